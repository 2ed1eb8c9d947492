"""The public door as an aiohttp application: every route, and how it wants to be run.

``runner_options`` belongs to the application: request bodies are inflated here with a bound, so
aiohttp must not do it; and a client that goes must cancel its handler.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.serving import cors
from gateway.serving.aiohttp_lane import note_requests
from gateway.serving.batch import BatchDoor
from gateway.serving.boundary import SERVER, json_answer, make_boundary, make_expectation
from gateway.serving.front import Front
from gateway.serving.generate import GenerateDoor
from gateway.serving.infer import InferDoor
from gateway.serving.models import ModelDoor
from gateway.serving.oip import ProtocolDoor
from gateway.serving.openai_door import openai_routes
from gateway.serving.openapi import document
from gateway.serving.websocket import StreamDoor
from gateway.telemetry import EXPOSITION_CONTENT_TYPE, OPENMETRICS, OPENMETRICS_CONTENT_TYPE

LINGER_S = 2.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]


def handler_options(front: Front) -> dict[str, Any]:
    """Keyword arguments for ``aiohttp.web.RequestHandler``; the application relies on them."""
    server = front.settings.server
    return {
        "auto_decompress": False,
        "access_log": None,
        "keepalive_timeout": server.idle_timeout_s,
        "lingering_time": LINGER_S,
        "max_line_size": server.head_bytes_max,
        "max_field_size": server.head_bytes_max,
    }


def runner_options(front: Front) -> dict[str, Any]:
    """Keyword arguments for ``aiohttp.web.AppRunner``, which hands most to each connection."""
    return {
        "handler_cancellation": True,
        "shutdown_timeout": front.settings.server.drain_s,
        **handler_options(front),
    }


class Routes:
    """Where the routes of a door lead. Another front may take over while requests are under way:
    each goes by the front it found.
    """

    def __init__(self, front: Front, routes_of: Callable[[Front], Iterable[Route]]) -> None:
        self._routes_of = routes_of
        self.take(front)

    def take(self, front: Front) -> None:
        """Lead to this front's handlers from now on; its routes must be the same ones."""
        self.front = front
        self._handlers = {
            (method, path): handler for method, path, handler in self._routes_of(front)
        }

    def routes(self) -> list[Route]:
        """Every route, with a handler that stays."""
        return [(method, path, self._leading(method, path)) for method, path in self._handlers]

    def _leading(self, method: str, path: str) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handlers[method, path](request)

        return handle


LEADS = web.AppKey("leads", Routes)


def public_routes(front: Front) -> Routes:
    """Those of the public door."""
    return Routes(front, _routes)


def build_public_app(front: Front) -> web.Application:
    """All routes of the public door of a front that stays."""
    return lasting_public_app(public_routes(front))


def lasting_public_app(leads: Routes, local: Routes | None = None) -> web.Application:
    """All routes of the public door, with and without a trailing slash; another front may take
    over. ``local``: routes more, for whoever comes over a Unix socket.
    """
    front, routes = leads.front, leads.routes()
    paths = sorted({path for _, path, _ in routes})
    app = web.Application(
        client_max_size=front.settings.server.body_bytes_max,
        middlewares=[note_requests, _preflights(leads), make_boundary(front.intake, lambda: paths)],
    )

    async def finish_head(request: web.Request, response: web.StreamResponse) -> None:
        cors.tell(request, response, leads.front.settings.server.cors_origins)
        if leads.front.retiring:
            response.force_close()
            response.headers["Connection"] = "close"  # aiohttp wrote the headers before this hook

    app[LEADS] = leads
    app.on_response_prepare.append(finish_head)
    expect = make_expectation(front.intake)
    for method, path, handler in routes:
        for variant in (path, f"{path}/"):
            app.router.add_route(method, variant, handler, expect_handler=expect)
            if method == "GET":
                app.router.add_route("HEAD", variant, handler, expect_handler=expect)
    for method, path, handler in () if local is None else local.routes():
        if path not in paths:
            app.router.add_route(method, path, _over_unix(handler), expect_handler=expect)
    return app


def _front_now(request: web.Request) -> Front:
    return request.app[LEADS].front


def _preflights(leads: Routes) -> Middleware:
    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = cors.preflight(request, leads.front.settings.server.cors_origins)
        return await handler(request) if answer is None else answer

    return answered


def _over_unix(handler: Handler) -> Handler:
    """For anybody else there is no such route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        connection = None if request.transport is None else request.get_extra_info("socket")
        if connection is None or connection.family != socket.AF_UNIX:
            raise web.HTTPNotFound
        return await handler(request)

    return handle


def _routes(front: Front) -> Iterator[Route]:
    """Inference first: aiohttp tries the routes of one prefix in their order."""
    models = ModelDoor(front)
    infer = InferDoor(front, models)
    door = ProtocolDoor(front, models)
    model = "/v2/models/{model}"
    of_version = f"{model}/versions/{{version}}"
    yield "POST", f"{model}/infer", infer.handle
    yield "POST", f"{of_version}/infer", infer.handle
    for suffix, stream in (("generate", False), ("generate_stream", True)):
        generate = GenerateDoor(front, models, stream=stream)
        yield "POST", f"{model}/{suffix}", generate.handle
        yield "POST", f"{of_version}/{suffix}", generate.handle
    yield "POST", "/v2/batch", BatchDoor(front, models).handle
    yield "GET", "/v2/stream", StreamDoor(_front_now).handle
    yield "GET", "/v2", door.server_metadata
    yield "GET", "/v2/health/live", door.live
    yield "GET", "/v2/health/ready", door.ready
    yield "GET", "/v2/models/stats", door.model_stats
    for prefix in (model, of_version):
        yield "GET", prefix, door.model_metadata
        yield "GET", f"{prefix}/ready", door.model_ready
        yield "GET", f"{prefix}/config", door.model_config
        yield "GET", f"{prefix}/stats", door.model_stats
    yield "POST", "/v2/repository/index", door.index
    yield "POST", "/v2/repository/models/{model}/load", door.load
    yield "POST", "/v2/repository/models/{model}/unload", door.unload
    yield from openai_routes(front, models)
    yield "GET", "/metrics", _whole_metrics_handler(front)
    yield "GET", "/openapi.json", _openapi_handler(front)


def metrics_handler(front: Front) -> Handler:
    """``GET /metrics`` of this process; OpenMetrics, with exemplars, for who asks for it."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        openmetrics = OPENMETRICS in request.headers.get("Accept", "").lower()
        text = front.exposition.text(openmetrics=openmetrics)
        return metrics_answer(text, openmetrics=openmetrics)

    return metrics


def metrics_answer(text: bytes, *, openmetrics: bool = False) -> web.Response:
    """Prometheus text as an answer."""
    kind = OPENMETRICS_CONTENT_TYPE if openmetrics else EXPOSITION_CONTENT_TYPE
    headers = {"Content-Type": kind, "Server": SERVER}
    return web.Response(body=text, headers=headers)


def _whole_metrics_handler(front: Front) -> Handler:
    """``GET /metrics`` at the public door: of all workers, where there are several."""
    own = metrics_handler(front)

    async def metrics(request: web.Request) -> web.StreamResponse:
        if front.whole_metrics is None:
            return await own(request)
        return metrics_answer(await front.whole_metrics())

    return metrics


def _openapi_handler(front: Front) -> Handler:
    told = document(front.version)

    async def openapi(_request: web.Request) -> web.StreamResponse:
        return json_answer(told)

    return openapi
