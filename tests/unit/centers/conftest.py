"""One center on a virtual clock, emulated or local, with a real model in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from gateway_models import repository

from gateway.api import Center, InvalidRequest, Location
from gateway.centers import Attempt
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.local import LocalCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, Runner
from gateway.telemetry.recent import RecentMs
from gateway.testing import VirtualTime
from gateway.wan import PROFILES, EmulatedNetwork, Faults, Gazetteer, PathModel, load_cities

MODEL = "blast-furnace"
OTHER = "grid-load"
BODY = (repository() / MODEL / "example.json").read_bytes()


class Site:
    """One center at Wuhu with two slots, seen from Nanjing; everything on a virtual clock."""

    def __init__(self, *, slots: int = 2, speed_factor: float = 1.0, queue_max: int = 4) -> None:
        self.time = VirtualTime()
        center = Center(
            "wuhu-a", "wuhu", "a", "Wuhu", "CN", Location(31.34, 118.37),
            slots=slots, speed_factor=speed_factor,
        )  # fmt: skip
        models = ModelRepository([repository()], tensor_elements_max=1_000_000)
        models.scan()
        models.load(MODEL)
        self.told: list[tuple[str, int, bool]] = []
        engine = SharedEngine(
            models,
            Runner(1, 1e9, lambda *_: None),
            lambda model, row, resident, _: self.told.append((model, row, resident)),
            tensor_elements_max=1_000_000,
        )
        gazetteer = Gazetteer(load_cities(), (center,))
        self.vantage = gazetteer.find("Nanjing")
        self.faults = Faults()
        self.network = EmulatedNetwork(
            gazetteer.places,
            (center,),
            PathModel(PROFILES["cloud"], border_ms=0, last_mile_ms=0),
            1,
            jitter=False,
            faults=self.faults,
            random=Random(1),
        )
        self.center = EmulatedCenter(
            0,
            center,
            engine=engine,
            network=self.network,
            faults=self.faults,
            line=self.time,
            overshoot=RecentMs(),
            random=Random(1),
            queue_max=queue_max,
        )
        self.center.adopt(MODEL)
        self.rtt_s = float(self.network.base_ms(self.vantage)[0]) / 1e3
        self.events: list[tuple[float, Any]] = []

    def start(self, body: bytes = BODY, model: str = MODEL, deadline_s: float = 1e9) -> Any:
        attempt = Attempt("r", self.vantage, model, "", body, None, deadline_s)
        return self.center.start(attempt, lambda e: self.events.append((self.time.now(), e)))

    def kinds(self) -> list[type]:
        return [type(event) for _, event in self.events]


class ByHand:
    """A runner whose runs end when the test says so: ``end`` in any order, or at once."""

    def __init__(self) -> None:
        self.at_once = True
        self.can_stop = True
        self.refuses: Callable[[dict[str, Any]], bool] = lambda inputs: False
        self.runs: list[tuple[Any, ...]] = []
        self.rows: list[int] = []

    def submit(self, model: Any, inputs: Any, outputs: Any, on_done: Any) -> Callable[[], bool]:
        run = (model, inputs, outputs, on_done)
        self.runs.append(run)
        self.rows.append(len(next(iter(inputs.values()))))
        if self.at_once:
            self.end(run)
            return lambda: False
        return lambda: self.can_stop and (self.runs.remove(run) or True)

    def end(self, run: tuple[Any, ...] | None = None) -> None:
        """The oldest run that goes on is over, or this one."""
        run = run or self.runs[0]
        self.runs.remove(run)
        model, inputs, outputs, on_done = run
        if self.refuses(inputs):
            on_done(None, InvalidRequest("refused by hand"), 0.1)
        else:
            on_done(model.run(inputs, outputs), None, 0.1)


class LocalSite:
    """One local center on a virtual clock; up to ``rows_max`` examples share a run."""

    def __init__(
        self,
        models: ModelRepository,
        *,
        rows_max: int = 8,
        slots: int = 2,
        queue_max: int = 64,
        speed_factor: float = 1.0,
    ) -> None:
        self.time = VirtualTime()
        self.runner = ByHand()
        self.faults = Faults()
        engine = SharedEngine(
            models,
            self.runner,  # type: ignore[arg-type]  # as much of a runner as a center uses
            lambda *_: None,
            tensor_elements_max=1_000_000,
        )
        self.center = LocalCenter(
            0,
            Center(
                "here", "h", "a", "H", "CN", Location(31, 118),
                slots=slots, speed_factor=speed_factor,
            ),
            engine=engine,
            faults=self.faults,
            line=self.time,
            call_soon=lambda call: self.time.call_at(0.0, call),
            random=Random(1),
            queue_max=queue_max,
        )  # fmt: skip
        for name in (MODEL, OTHER):
            self.center.adopt(name)
            engine.served(name, "").rows_max = rows_max
        self.events: list[tuple[Any, Any]] = []

    def start(
        self, body: bytes = BODY, *, name: Any = None, model: str = MODEL, deadline_s: float = 1e9,
        then: Callable[[], None] = lambda: None, head_bytes: int | None = None,
    ) -> Any:  # fmt: skip
        """``name``: what its events are told by."""

        def hear(event: Any) -> None:
            self.events.append((name, event))
            then()

        attempt = Attempt("r", 0, model, "", body, head_bytes, deadline_s)
        return self.center.start(attempt, hear)

    def turn(self) -> None:
        """One turn of the loop, and what it brings about at once."""
        self.time.run(self.time.now())

    def heard(self) -> dict[Any, Any]:
        """Events by name; one a name."""
        assert len({name for name, _ in self.events}) == len(self.events)
        return dict(self.events)

    def idle(self) -> bool:
        """Nothing is left of anybody."""
        center = self.center
        load = (center.meter.in_flight, center.meter.work_ms, center.meter._busy)
        waiting = (center._waiting, center._waiting_c)
        lines = (center._arrived, center._alone, center.out, *(line._by_form for line in waiting))
        return (
            center.free_slots == center.center.slots
            and load == (0, 0.0, 0)
            and not any(lines)
            and not any(line.count for line in waiting)
            and (center.meter_c.in_flight, center.meter_c.work_ms) == (0, 0.0)
        )


@pytest.fixture
def local_site(shipped: ModelRepository) -> Callable[..., LocalSite]:
    return partial(LocalSite, shipped)


@pytest.fixture
def shipped() -> ModelRepository:
    """The shipped models, those two loaded that are small."""
    models = ModelRepository([repository()], tensor_elements_max=1_000_000)
    models.scan()
    models.load(MODEL)
    models.load(OTHER)
    return models


@pytest.fixture(name="body", scope="session")
def example_body() -> bytes:
    """A request that ``MODEL`` answers."""
    return BODY


@pytest.fixture(name="make_site", scope="session")
def site_class() -> type[Site]:
    return Site
