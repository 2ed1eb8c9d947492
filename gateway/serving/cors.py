"""Pages of other origins: which may ask, and what they may read (the Fetch standard, CORS).

Off unless ``server.cors_origins`` names somebody. Answers to an origin that is named say so; a
preflight is answered before any route is looked for. To an origin that is not named nothing is
said, and its browser keeps the answer from the page. Credentials are never allowed: there are
none here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import web

ANY = "*"
METHODS = "GET, HEAD, POST"
PREFLIGHT_S = 600
EXPOSED = ", ".join(
    (
        "x-request-id",
        "x-nearway-center",
        "x-nearway-reason",
        "x-nearway-degraded-to",
        "x-nearway-cache",
        "x-nearway-explanation",
        "server-timing",
        "retry-after",
        "inference-header-content-length",
        "endpoint-load-metrics",
    )
)
"""What a script may read beside the few fields that every script may."""
_NAMES = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")
_ORIGIN, _METHOD, _HEADERS = (
    "Origin",
    "Access-Control-Request-Method",
    "Access-Control-Request-Headers",
)


def allowed(origin: str | None, origins: Sequence[str]) -> str:
    """What an answer to ``origin`` says is allowed; empty: nothing."""
    if origin is None or not origins:
        return ""
    if ANY in origins:
        return ANY
    return origin if origin in origins else ""


def tell(request: web.BaseRequest, response: web.StreamResponse, origins: Sequence[str]) -> None:
    """Fields of an answer, whoever asked: caches must not give one origin's to another."""
    if not origins:
        return
    headers = response.headers
    if ANY not in origins:
        headers["Vary"] = f"{headers['Vary']}, {_ORIGIN}" if "Vary" in headers else _ORIGIN
    told = allowed(request.headers.get(_ORIGIN), origins)
    if told:
        headers["Access-Control-Allow-Origin"] = told
        headers["Access-Control-Expose-Headers"] = EXPOSED


def preflight(request: web.Request, origins: Sequence[str]) -> web.Response | None:
    """The answer to a preflight of an origin that is named; None for any other request.

    What it asks for is granted: origin and fields are looked at, methods are the routes' matter.
    """
    headers = request.headers
    if request.method != "OPTIONS" or _METHOD not in headers:
        return None
    if not allowed(headers.get(_ORIGIN), origins):
        return None
    fields = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Max-Age": str(PREFLIGHT_S)}
    wanted = headers.get(_HEADERS, "").strip()
    if _NAMES.fullmatch(wanted):
        fields["Access-Control-Allow-Headers"] = wanted
    return web.Response(status=204, headers=fields)
