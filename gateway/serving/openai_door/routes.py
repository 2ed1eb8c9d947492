"""Which routes there are, and the two that need no model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web

from gateway.api import NearwayError, NoCenter
from gateway.serving.boundary import json_answer
from gateway.serving.front import Front
from gateway.serving.models import ModelDoor
from gateway.serving.openai_door.ask import AskDoor
from gateway.serving.openai_door.errors import openai_error_answer
from gateway.serving.openai_door.listing import ModelList

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ROUTES = ("chat/completions", "completions", "embeddings")


def openai_routes(front: Front, models: ModelDoor) -> Iterator[tuple[str, str, Handler]]:
    """(method, path, handler) of each."""
    for route in ROUTES:
        yield "POST", f"/v1/{route}", AskDoor(front, models, route).handle
    listing = ModelList(front, models)
    yield "GET", "/v1/models", _answered(front, listing.all)
    yield "GET", "/v1/models/{model:.+}", _answered(front, listing.one)
    yield "GET", "/health", _answered(front, _health(front))


def _answered(front: Front, handle: Handler) -> Handler:
    """``handle``, with errors in OpenAI's shape."""

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except NearwayError as error:
            return openai_error_answer(error, front.intake.request_id(request.headers))

    return answered


def _health(front: Front) -> Handler:
    async def health(_request: web.Request) -> web.StreamResponse:
        if not front.ready():
            raise NoCenter("the gateway is starting or draining")
        return json_answer({"status": "ok"})

    return health
