"""The models of a center of this process: which are declared, which are resident, what they say.

One repository stands behind all centers (``shared_engine``); what is resident *here* is this
center's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from gateway.api import Center, ModelMetadata, NotFound, NotHere
from gateway.centers.language.places import Places
from gateway.centers.port import ModelState
from gateway.centers.served_model import ServedModel
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import NotYetLoaded, triton_config


class ResidentModels:
    """The half of ``CenterPort`` that is about models; a center of this process is one."""

    def __init__(self, row: int, center: Center, engine: SharedEngine) -> None:
        self.row = row
        self.center = center
        self.engine = engine
        self._resident: set[str] = set()
        self._places: Places | None = None

    @property
    def places(self) -> Places:
        """Where it continues texts."""
        if self._places is None:
            self._places = Places(self.engine.generation)
        return self._places

    def model_for(self, name: str, version: str) -> ServedModel:
        """The loaded model this center serves. Raises NotFound."""
        if name not in self._resident:
            self._refuse_model(name)
        return self.engine.served(name, version)

    def _refuse_model(self, name: str) -> None:
        declared = self.declares(name)
        what = "is not loaded" if declared else "is not declared"
        error = NotHere if declared and self.engine.repository.knows(name) else NotFound
        raise error(
            f"model {name!r} {what} at center {self.center.id}; "
            f"loaded here: {', '.join(sorted(self._resident)) or 'none'}"
        )

    def declares(self, model: str) -> bool:
        """Does one of the center's patterns match?"""
        return any(fnmatchcase(model, pattern) for pattern in self.center.models)

    def adopt(self, model: str) -> None:
        """Serve a model that the shared repository holds, or loads on demand. Raises NotFound."""
        if model not in self._resident:
            self.engine.resident(model, self.row, self)
            self._resident.add(model)

    @property
    def resident(self) -> frozenset[str]:
        """What it serves."""
        return frozenset(self._resident)

    def give_up(self, models: Iterable[str]) -> None:
        """These are gone from disk, or this center from the fleet: routing knows already."""
        for model in self._resident & frozenset(models):
            self.engine.released(model, self)

    def lose(self, models: Iterable[str]) -> None:
        """``give_up``, and refuse whoever still asks for them."""
        self.give_up(models)
        self._resident -= frozenset(models)

    def lost(self, model: str) -> None:
        """It could not be loaded when it was needed."""
        if model in self._resident:
            self._resident.remove(model)
            self.engine.cannot(model, self.row, self)

    async def index(self) -> tuple[ModelState, ...]:
        """Every model of the repository this center declares."""
        rows = []
        for name, version, state, reason in self.engine.repository.index():
            if not self.declares(name):
                continue
            if state == "READY" and name not in self._resident:
                state, reason = "UNAVAILABLE", "unloaded"
            speaks = self.engine.repository.speaks(name)
            rows.append(ModelState(name, version, state, reason, speaks))
        return tuple(rows)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound."""
        return (await self._in_memory(model, version)).model.metadata

    async def _in_memory(self, model: str, version: str) -> ServedModel:
        """What is loaded on demand is loaded for whoever asks about it."""
        try:
            return self.model_for(model, version)
        except NotYetLoaded:
            await self.engine.load(model)
            return self.model_for(model, version)

    async def ready(self, model: str, version: str) -> bool:
        """False while declared but not loaded; raises NotFound when nobody knows it."""
        if model in self._resident:
            if self.engine.repository.cold(model) is None:
                self.engine.repository.get(model, version)
            return True
        if not self.declares(model) or model not in self.engine.repository.names():
            self._refuse_model(model)
        return False

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Raises NotFound."""
        return triton_config((await self._in_memory(model, version)).model)

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """One entry a model; the centers of a process share the counters."""
        cold = self.engine.repository.cold
        names = [model] if model else sorted(n for n in self._resident if cold(n) is None)
        if model and cold(model) is not None:
            return []
        return [self.model_for(name, version).model.statistics() for name in names]

    async def load(self, model: str) -> None:
        """Load or reload from the shared repository."""
        if not self.declares(model):
            self._refuse_model(model)
        await self.engine.load(model)
        self.adopt(model)

    async def unload(self, model: str) -> None:
        """Stop serving it here; attempts already running end normally."""
        if model not in self._resident:
            self._refuse_model(model)
        self._resident.remove(model)
        if self._places is not None:
            self._places.forget(model)
        self.engine.dropped(model, self.row, self)
