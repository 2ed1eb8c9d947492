"""The engine behind all emulated centers of one process: one repository, one runner.

Eighty-eight centers declare the same model and are told to load it in the same loop turn:
the file is loaded once, off the loop, and every center waits for that one load. A model is
dropped from memory when the last center has unloaded it. What reads its requests and writes
its answers is made once as well.

A model may be served on demand: it is not in memory until its first request, which waits for it
(``when_loaded``) together with all that come meanwhile. Routing knows what such a wait costs
(``on_cold``). Where models take more than ``memory_bytes_max``, the least recently used one that
has no request under way goes back to being loaded on demand. While all are busy the bound is
exceeded, and looked at again every ``AGAIN_S``; the last model in memory stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from gateway.api import NearwayError, NotFound
from gateway.centers.served_model import ServedModel
from gateway.engine import CacheCounts, ModelRepository, Runner
from gateway.engine.generation import GenerationThread
from gateway.telemetry.model_memory import ModelMemory

OnResidency = Callable[[str, int, bool, float], None]
"""(model, center row, resident, run_ms): routing must learn of it in the same loop turn."""

OnCold = Callable[[str, Sequence[int], float, float], None]
"""(model, center rows, cold_ms, run_ms): so long a request waits there until the model is loaded
(0: it is), and so long it then runs.
"""

AGAIN_S = 0.05


class Home(Protocol):
    """A center of this process, in ``row``."""

    row: int

    def lost(self, model: str) -> None:
        """It cannot be loaded: serve it no more."""


def not_told(model: str, rows: Sequence[int], cold_ms: float, run_ms: float) -> None:
    """Who needs not know what waits cost."""


class SharedEngine:
    """Loads shared by centers; tells ``on_residency`` of every change."""

    def __init__(
        self,
        repository: ModelRepository,
        runner: Runner,
        on_residency: OnResidency,
        *,
        tensor_elements_max: int,
        on_cold: OnCold = not_told,
        memory_bytes_max: int = 0,
    ) -> None:
        """``memory_bytes_max`` 0: no bound."""
        self.repository = repository
        self.runner = runner
        self._generation: GenerationThread | None = None
        self.on_residency = on_residency
        self.on_cold = on_cold
        self.tensor_elements_max = tensor_elements_max
        self.memory_bytes_max = memory_bytes_max
        self.loads = 0
        self.evictions = 0
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="nearway-load")
        self._homes: dict[str, list[Home]] = {}
        self._again: asyncio.TimerHandle | None = None
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._served: dict[str, dict[str, ServedModel]] = {}
        self._residents: Counter[str] = Counter()
        self._cache_counts = CacheCounts()

    @property
    def generation(self) -> GenerationThread:
        """The thread that continues texts, for all centers of the process."""
        if self._generation is None:
            self._generation = GenerationThread(self.runner.call_soon_threadsafe)
        return self._generation

    def resident(self, model: str, center: int, home: Home | None = None) -> None:
        """``center`` serves ``model`` from now on. Raises NotFound when it is neither in memory
        nor loaded on demand.
        """
        cold = self.repository.cold(model)
        run_ms = cold.run_ms if cold is not None else self.repository.get(model).run_ms
        self._residents[model] += 1
        if home is not None:
            self._homes.setdefault(model, []).append(home)
        self.on_residency(model, center, True, run_ms)
        if cold is not None:
            self.on_cold(model, (center,), cold.load_ms, run_ms)

    def served(self, model: str, version: str) -> ServedModel:
        """The version in memory, the highest unless told. Raises NotFound."""
        loaded = self.repository.get(model, version)
        versions = self._served.get(model)
        if versions is None:
            versions = self._served[model] = {}
        served = versions.get(loaded.version)
        if served is None or served.model is not loaded:
            served = ServedModel(
                loaded,
                tensor_elements_max=self.tensor_elements_max,
                cache_counts=self._cache_counts,
            )
            versions[loaded.version] = served
        return served

    async def load(self, model: str) -> None:
        """Load or reload; calls that overlap share one load. Raises as the repository does."""
        await asyncio.shield(self._begun(model))

    def when_loaded(self, model: str, then: Callable[[NearwayError | None], None]) -> None:
        """Load, and call ``then`` in a later turn: with the reason when it could not be."""

        def over(loading: asyncio.Future[None]) -> None:
            error = None if loading.cancelled() else loading.exception()
            if isinstance(error, NearwayError) or error is None:
                then(error)
            else:
                then(NotFound(f"model {model!r} could not be loaded: {error}"))

        self._begun(model).add_done_callback(over)

    def _begun(self, model: str) -> asyncio.Future[None]:
        loading = self._loading.get(model)
        if loading is None:
            self._make_room(model)
            repository = self.repository
            loop = asyncio.get_running_loop()
            loading = loop.run_in_executor(self._loader, repository.load, model)
            self._loading[model] = loading
            loading.add_done_callback(lambda done: self._loaded(model, repository, done))
        return loading

    def _loaded(self, model: str, into: ModelRepository, done: asyncio.Future[None]) -> None:
        """The load is over; versions that are gone are not kept alive by their readers."""
        self._loading.pop(model, None)
        self._served.pop(model, None)
        if into is not self.repository:  # another one took over meanwhile
            self.repository.take_over(model, into)
        homes = self._homes.get(model, ())
        if done.cancelled() or done.exception() is not None:
            if model not in self.repository.present():
                for home in list(homes):
                    home.lost(model)
            return
        self.loads += 1
        loaded = self.repository.get(model)
        loaded.used_s = self.repository.used_s()
        self.on_cold(model, [home.row for home in homes], 0.0, loaded.run_ms)
        self._make_room(model, 0)

    # ---- memory ---------------------------------------------------------------------------

    def _make_room(self, model: str, needs_bytes: int | None = None) -> None:
        """Evict whoever was used least recently, until ``model`` has room."""
        if not self.memory_bytes_max:
            return
        if needs_bytes is None:
            cold = self.repository.cold(model)
            needs_bytes = cold.memory_bytes if cold is not None else 0
        left_bytes = self.memory_bytes_max - needs_bytes - self.repository.memory_bytes()
        for name in self.repository.idle() if left_bytes < 0 else ():
            if name == model or name in self._loading:
                continue
            before_bytes = self.repository.memory_bytes()
            self._evict(name)
            left_bytes += before_bytes - self.repository.memory_bytes()
            if left_bytes >= 0:
                return
        if left_bytes < 0 and self._again is None and len(self.repository.in_memory()) > 1:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(AGAIN_S, self._look_again, model)

    def _look_again(self, model: str) -> None:
        self._again = None
        self._make_room(model, 0)

    def _evict(self, model: str) -> None:
        self.repository.evict(model)
        self._served.pop(model, None)
        self.evictions += 1
        cold = self.repository.cold(model)
        if cold is not None:
            rows = [home.row for home in self._homes.get(model, ())]
            self.on_cold(model, rows, cold.load_ms, cold.run_ms)

    def memory(self) -> ModelMemory:
        """What is in memory, what that takes, how often it changed."""
        served = len(self.repository.present())
        in_memory = len(self.repository.in_memory())
        return ModelMemory(
            in_memory,
            served - in_memory,
            self.repository.memory_bytes(),
            self.loads,
            self.evictions,
            self._cache_counts.hits,
            self._cache_counts.misses,
            self._cache_counts.coalesced,
            self._cache_bytes(),
        )

    def _cache_bytes(self) -> int:
        versions = (
            served for by_version in self._served.values() for served in by_version.values()
        )
        return sum(served.cache.bytes for served in versions if served.cache is not None)

    def state(self) -> dict[str, Any]:
        """``memory``, JSON-ready."""
        memory = self.memory()
        return {
            "in_memory": memory.in_memory,
            "on_demand": memory.on_demand,
            "memory_mb": round(memory.memory_bytes / 1e6, 3),
            "memory_mb_max": round(self.memory_bytes_max / 1e6, 3),
            "loads": memory.loads,
            "evictions": memory.evictions,
        }

    def close(self) -> None:
        """Start no more loads; one that goes on ends by itself."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._loader.shutdown(wait=False, cancel_futures=True)
        if self._generation is not None:
            self._generation.close()

    # ---- changes --------------------------------------------------------------------------

    def take(self, repository: ModelRepository) -> None:
        """Serve from this one from now on; a run under way ends with the model it began with."""
        self.repository = repository
        self._served.clear()

    def released(self, model: str, home: Home | None = None) -> None:
        """A center that is no longer in the fleet served ``model``; routing knows already."""
        if self._unused(model, home):
            self.repository.forget(model)

    def dropped(self, model: str, center: int, home: Home | None = None) -> None:
        """``center`` no longer serves ``model``; the last one frees the memory."""
        self.on_residency(model, center, False, 0.0)
        if self._unused(model, home):
            with contextlib.suppress(NotFound):  # its folder may be gone
                self.repository.unload(model)

    def cannot(self, model: str, center: int, home: Home) -> None:
        """``center`` serves ``model`` no more: it could not be loaded, for a reason that stays."""
        self.on_residency(model, center, False, 0.0)
        self._unused(model, home)

    def _unused(self, model: str, home: Home | None) -> bool:
        """One center fewer has it; True when that was the last."""
        homes = self._homes.get(model, [])
        if home in homes:
            homes.remove(home)
        self._residents[model] -= 1
        if self._residents[model] > 0:
            return False
        del self._residents[model]
        self._homes.pop(model, None)
        self._served.pop(model, None)
        return True
