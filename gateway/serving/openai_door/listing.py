"""``/v1/models``: those that read text, at any center, and the aliases of them."""

from __future__ import annotations

import time

from aiohttp import web

from gateway.api import NotFound
from gateway.serving.boundary import json_answer
from gateway.serving.front import Front
from gateway.serving.models import ModelDoor
from gateway.wire.openai_models import model_object, models_object


class ModelList:
    """``created`` is when this door was made: models have no birthday."""

    def __init__(self, front: Front, models: ModelDoor) -> None:
        self._models = models
        self._aliases = front.settings.models.aliases
        self._created = int(time.time())

    async def all(self, _request: web.Request) -> web.StreamResponse:
        """``GET /v1/models``."""
        return json_answer(models_object(await self._names(), self._created))

    async def one(self, request: web.Request) -> web.StreamResponse:
        """``GET /v1/models/{model}``. Raises NotFound."""
        model = request.match_info["model"].rstrip("/")
        names = await self._names()
        if model not in names:
            raise NotFound(f"model {model!r} is not here; there are {', '.join(names) or 'none'}")
        return json_answer(model_object(model, self._created))

    async def _names(self) -> list[str]:
        states = await self._models.index(only_ready=True)
        names = {state.name for state in states if state.speaks}
        aliases = {alias for alias, model in self._aliases.items() if model in names}
        return sorted(names | aliases)
