"""The heads of requests to one center: all that does not change is made once.

They are made from nothing but what the attempt says. No header of a client is copied, so no
hop-by-hop header passes, and what could end a line is quoted or left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from gateway.centers.port import Attempt
from gateway.centers.remote.endpoint import Endpoint
from gateway.wire import orca

MADE_MAX = 1024
BUDGET_MS_MIN = 0.1


class RequestHeads:
    """``vantage_names``: by number, for a center that emulates its path; else empty."""

    __slots__ = ("_asked", "_binary", "_endpoint", "_json", "_vantages")

    def __init__(self, endpoint: Endpoint, vantage_names: Sequence[str] = ()) -> None:
        self._endpoint = endpoint
        self._json: dict[object, str] = {}
        self._binary: dict[object, str] = {}
        self._vantages = [
            f"\r\nx-nearway-vantage: {quote(name, safe=_SAFE_IN_VALUE)}" for name in vantage_names
        ]

    def infer(self, attempt: Attempt, remaining_ms: float) -> bytes:
        """``POST .../infer`` or ``/v1/...``, up to and with the empty line."""
        version, head_bytes = attempt.version, attempt.head_bytes
        key: object = (attempt.model, version) if version else attempt.model
        if attempt.route:
            key = (attempt.route,)
        made = (self._json if head_bytes is None else self._binary).get(key)
        if made is None:
            made = self._make(attempt, key)
        if remaining_ms < BUDGET_MS_MIN:
            remaining_ms = BUDGET_MS_MIN
        request_id = attempt.request_id
        if not (request_id.isascii() and request_id.isprintable()):
            request_id = quote(request_id)
        vantage = self._vantages[attempt.vantage] if self._vantages else ""
        if attempt.traceparent:
            vantage = f"{vantage}\r\ntraceparent: {attempt.traceparent}"
        if head_bytes is not None:
            vantage = f"\r\ninference-header-content-length: {head_bytes}{vantage}"
        return (
            f"{made}{len(attempt.body)}\r\nx-request-timeout-ms: {remaining_ms:.1f}\r\n"
            f"x-request-id: {request_id}{vantage}\r\n\r\n"
        ).encode("ascii")

    def question(
        self, method: str, path: str, body_bytes: int = 0, vantage: int | None = None
    ) -> bytes:
        """Any other request; ``path`` from ``/v2`` on, quoted by the caller."""
        lines = [self._first_lines(method, path)]
        if method == "POST":
            lines.append(f"content-type: application/json\r\ncontent-length: {body_bytes}")
        told = self._vantages[vantage] if self._vantages and vantage is not None else ""
        return ("\r\n".join(lines) + f"{told}\r\n\r\n").encode("ascii")

    def _make(self, attempt: Attempt, key: object) -> str:
        binary = attempt.head_bytes is not None
        kind = "application/octet-stream" if binary else "application/json"
        path = f"{model_path(attempt.model, attempt.version)}/infer"
        if attempt.route:
            path = f"/v1/{attempt.route}"
        made = f"{self._first_lines('POST', path)}\r\ncontent-type: {kind}\r\ncontent-length: "
        table = self._binary if binary else self._json
        if len(table) >= MADE_MAX:
            table.clear()
        table[key] = made
        return made

    def _first_lines(self, method: str, path: str) -> str:
        endpoint = self._endpoint
        return (
            f"{method} {endpoint.path}{path} HTTP/1.1\r\nhost: {endpoint.authority}\r\n"
            f"{orca.FORMAT_HEADER}: text"
        )


_SAFE_IN_VALUE = " ,'()-._~/:+&@!*"


def model_path(model: str, version: str = "") -> str:
    """``/v2/models/M`` or ``/v2/models/M/versions/V``."""
    path = f"/v2/models/{quote(model, safe='')}"
    return f"{path}/versions/{quote(version, safe='')}" if version else path
