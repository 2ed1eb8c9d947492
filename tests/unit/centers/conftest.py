"""One emulated center on a virtual clock, with a real model in it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from gateway_models import repository

from gateway.api import Center, Location
from gateway.centers import Attempt
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, Runner
from gateway.telemetry.recent import RecentMs
from gateway.testing import VirtualTime
from gateway.wan import PROFILES, EmulatedNetwork, Faults, Gazetteer, PathModel, load_cities

MODEL = "blast-furnace"
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


@pytest.fixture(name="make_site", scope="session")
def site_class() -> type[Site]:
    return Site
