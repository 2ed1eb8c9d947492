"""A center in this process: an emulated way there and back, a real model in between.

It owns what visits share (slots, the line of those who wait, the load meter) and its models;
the way of one request is a ``Visit``. Its slots are served first come, first served.

A probe goes the way of a request without its work: it takes a round trip drawn for the path
it comes along, meets the same faults, and brings back what the load meter says.
"""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from random import Random
from typing import Any

from gateway.api import Center, ModelMetadata, NotFound
from gateway.centers.load_meter import LoadMeter
from gateway.centers.port import Attempt, Cancel, ModelState, OnEvent, OnReport
from gateway.centers.shared_engine import SharedEngine
from gateway.centers.visit import Visit
from gateway.engine import LoadedModel, triton_config
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, EmulatedNetwork, Faults


class EmulatedCenter:
    """One row of the fleet, served by this process. Implements ``CenterPort``."""

    def __init__(
        self,
        row: int,
        center: Center,
        *,
        engine: SharedEngine,
        network: EmulatedNetwork,
        faults: Faults,
        line: DelayLine,
        overshoot: RecentMs,
        random: Random,
        queue_max: int,
    ) -> None:
        self.row = row
        self.center = center
        self.engine = engine
        self.network = network
        self.faults = faults
        self.line = line
        self.overshoot = overshoot
        self.random = random
        self.queue_max = queue_max
        self.free_slots = center.slots
        self.waiting: deque[Visit] = deque()
        self.meter = LoadMeter(line.now())
        self._resident: set[str] = set()
        self._serving_queue = False

    # ---- requests -------------------------------------------------------------------------

    def start(self, attempt: Attempt, on_event: OnEvent) -> Cancel:
        """Send ``attempt`` on its way; see ``gateway.centers.port``."""
        visit = Visit(self, attempt, on_event)
        return visit.cancel

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """There and back with no work in between; a black hole swallows it."""
        line = self.line
        one_way_s = self.network.draw_ms(vantage, self.row) * 5e-4

        def arrive() -> None:
            effect = self.faults.effect(self.row, vantage)
            fails = False
            if effect is not None:
                if effect.black_hole:
                    return
                fails = effect.down or self.random.random() < effect.error_rate
            now = line.now()
            report = None if fails else self.meter.probed(now, self.center.slots)
            line.call_at(now + one_way_s, lambda: on_result(report))

        line.call_at(line.now() + one_way_s, arrive)

    def model_for(self, name: str, version: str) -> LoadedModel:
        """The loaded model this center serves. Raises NotFound."""
        if name not in self._resident:
            self._refuse_model(name)
        return self.engine.repository.get(name, version)

    def _refuse_model(self, name: str) -> None:
        what = "is not loaded" if self.declares(name) else "is not declared"
        raise NotFound(
            f"model {name!r} {what} at center {self.center.id}; "
            f"loaded here: {', '.join(sorted(self._resident)) or 'none'}"
        )

    def next_from_queue(self) -> None:
        """A slot is free: run whoever waits longest.

        A model that runs inline frees its slot before ``run`` returns and comes back here;
        the loop below then goes on, instead of one stack frame a waiting visit.
        """
        if self._serving_queue:
            return
        self._serving_queue = True
        while self.waiting and self.free_slots > 0:
            self.waiting.popleft().run()
        self._serving_queue = False

    # ---- models ---------------------------------------------------------------------------

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
        return self.model_for(model, version).metadata

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
        return triton_config(self.model_for(model, version))

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        """One entry a model; the emulated centers of a process share the counters."""
        names = [model] if model else sorted(self._resident)
        return [self.model_for(name, version).statistics() for name in names]

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
