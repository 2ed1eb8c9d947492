"""The engine behind all emulated centers of one process: one repository, one runner.

Eighty-eight centers declare the same model and are told to load it in the same loop turn:
the file is loaded once, off the loop, and every center waits for that one load. A model is
dropped from memory when the last center has unloaded it. What reads its requests and writes
its answers is made once as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from gateway.centers.served_model import ServedModel
from gateway.engine import ModelRepository, Runner

OnResidency = Callable[[str, int, bool, float], None]
"""(model, center row, resident, run_ms): routing must learn of it in the same loop turn."""


class SharedEngine:
    """Loads shared by centers; tells ``on_residency`` of every change."""

    def __init__(
        self,
        repository: ModelRepository,
        runner: Runner,
        on_residency: OnResidency,
        *,
        tensor_elements_max: int,
    ) -> None:
        self.repository = repository
        self.runner = runner
        self.on_residency = on_residency
        self.tensor_elements_max = tensor_elements_max
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._served: dict[str, dict[str, ServedModel]] = {}
        self._residents: Counter[str] = Counter()

    def resident(self, model: str, center: int) -> None:
        """``center`` serves ``model`` from now on."""
        self._residents[model] += 1
        self.on_residency(model, center, True, self.repository.get(model).run_ms)

    def served(self, model: str, version: str) -> ServedModel:
        """The version in memory, the highest unless told. Raises NotFound."""
        loaded = self.repository.get(model, version)
        versions = self._served.get(model)
        if versions is None:
            versions = self._served[model] = {}
        served = versions.get(loaded.version)
        if served is None or served.model is not loaded:
            served = ServedModel(loaded, tensor_elements_max=self.tensor_elements_max)
            versions[loaded.version] = served
        return served

    async def load(self, model: str) -> None:
        """Load or reload; calls that overlap share one load. Raises as the repository does."""
        loading = self._loading.get(model)
        if loading is None:
            loading = asyncio.ensure_future(asyncio.to_thread(self.repository.load, model))
            self._loading[model] = loading
            loading.add_done_callback(lambda _: self._loaded(model))
        await asyncio.shield(loading)

    def _loaded(self, model: str) -> None:
        """The load is over; versions that are gone are not kept alive by their readers."""
        self._loading.pop(model, None)
        self._served.pop(model, None)

    def dropped(self, model: str, center: int) -> None:
        """``center`` no longer serves ``model``; the last one frees the memory."""
        self.on_residency(model, center, False, 0.0)
        self._residents[model] -= 1
        if self._residents[model] <= 0:
            del self._residents[model]
            self._served.pop(model, None)
            self.repository.unload(model)
