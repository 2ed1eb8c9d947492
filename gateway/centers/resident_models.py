"""The models of a center of this process: which are declared, which are resident, what they say.

One repository stands behind all centers (``shared_engine``); what is resident *here* is this
center's own.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from gateway.api import Center, ModelMetadata, NotFound
from gateway.centers.port import ModelState
from gateway.centers.served_model import ServedModel
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import triton_config


class ResidentModels:
    """The half of ``CenterPort`` that is about models; a center of this process is one."""

    def __init__(self, row: int, center: Center, engine: SharedEngine) -> None:
        self.row = row
        self.center = center
        self.engine = engine
        self._resident: set[str] = set()

    def model_for(self, name: str, version: str) -> ServedModel:
        """The loaded model this center serves. Raises NotFound."""
        if name not in self._resident:
            self._refuse_model(name)
        return self.engine.served(name, version)

    def _refuse_model(self, name: str) -> None:
        what = "is not loaded" if self.declares(name) else "is not declared"
        raise NotFound(
            f"model {name!r} {what} at center {self.center.id}; "
            f"loaded here: {', '.join(sorted(self._resident)) or 'none'}"
        )

    def declares(self, model: str) -> bool:
        """Does one of the center's patterns match?"""
        return any(fnmatchcase(model, pattern) for pattern in self.center.models)

    def adopt(self, model: str) -> None:
        """Serve a model that the shared repository already holds."""
        if model not in self._resident:
            self._resident.add(model)
            self.engine.resident(model, self.row)

    async def index(self) -> tuple[ModelState, ...]:
        """Every model of the repository this center declares."""
        rows = []
        for name, version, state, reason in self.engine.repository.index():
            if not self.declares(name):
                continue
            if state == "READY" and name not in self._resident:
                state, reason = "UNAVAILABLE", "unloaded"
            rows.append(ModelState(name, version, state, reason))
        return tuple(rows)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """Raises NotFound."""
        return self.model_for(model, version).model.metadata

    async def ready(self, model: str, version: str) -> bool:
        """False while declared but not loaded; raises NotFound when nobody knows it."""
        if model in self._resident:
            self.engine.repository.get(model, version)
            return True
        if not self.declares(model) or model not in self.engine.repository.names():
            self._refuse_model(model)
        return False

    async def config(self, model: str, version: str) -> dict[str, Any]:
        """Raises NotFound."""
        return triton_config(self.model_for(model, version).model)

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """One entry a model; the centers of a process share the counters."""
        names = [model] if model else sorted(self._resident)
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
        self.engine.dropped(model, self.row)
