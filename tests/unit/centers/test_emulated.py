"""An emulated center on a virtual clock, with a real model in it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from gateway_models import repository

from gateway.api import (
    Center,
    CenterBusy,
    CenterDown,
    CenterFailed,
    InvalidRequest,
    Location,
    NotFound,
)
from gateway.centers import Answered, Attempt, Chunk, Failed, Head, Sent
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


def test_an_answer_takes_the_round_trip_drawn() -> None:
    site = Site()
    site.start()
    assert site.events == []
    site.time.run()
    assert site.kinds() == [Sent, Head, Chunk, Answered]
    at_s, answered = site.events[-1]
    assert at_s == pytest.approx(site.rtt_s)
    assert answered.drawn_ms == pytest.approx(site.rtt_s * 1e3)
    assert answered.report.queue_ms == 0
    assert answered.report.slots == 2
    assert site.center.free_slots == 2
    assert site.center.work_ms == 0


def test_a_slower_center_holds_its_slots_and_the_others_wait_in_line() -> None:
    site = Site(slots=1, speed_factor=1e4)
    for _ in range(3):
        site.start()
    site.time.run()
    answered = [event.report for _, event in site.events if isinstance(event, Answered)]
    assert len(answered) == 3
    assert answered[0].queue_ms == 0
    assert answered[0].service_ms > 10
    assert 0 < answered[1].queue_ms < answered[2].queue_ms
    assert (site.center.free_slots, site.center.in_flight) == (1, 0)


def test_a_long_line_of_inline_runs_needs_no_deep_stack() -> None:
    site = Site(slots=1, speed_factor=1e4, queue_max=3000)
    for _ in range(3000):
        site.start()
    site.center.free_slots = 0
    site.time.run(site.rtt_s / 2 + 1e-6)
    site.center.center = Center(
        "wuhu-a", "wuhu", "a", "Wuhu", "CN", Location(31.34, 118.37), slots=1
    )
    site.center.free_slots = 1
    site.center.next_from_queue()
    site.time.run()
    assert sum(isinstance(e, Answered) for _, e in site.events) == 3000


def test_the_queue_is_bounded() -> None:
    site = Site(slots=1, speed_factor=1e4, queue_max=2)
    for _ in range(5):
        site.start()
    site.time.run()
    full = [e.error for _, e in site.events if isinstance(e, Failed)]
    assert len(full) == 2
    assert all(isinstance(error, CenterBusy) for error in full)
    assert "queue of 2 full" in str(full[0])


@pytest.mark.parametrize(
    ("kind", "value", "error"), [("down", 1, CenterDown), ("error", 1, CenterFailed)]
)
def test_faults_are_errors_after_a_round_trip(kind: Any, value: float, error: type) -> None:
    site = Site()
    site.faults.set(0, kind, value, None)
    site.start()
    site.time.run()
    assert site.kinds() == [Sent, Failed]
    assert isinstance(site.events[-1][1].error, error)
    assert site.events[-1][0] == pytest.approx(site.rtt_s)
    site.faults.clear(None)
    site.start()
    site.time.run()
    assert site.kinds()[-1] is Answered


def test_a_black_hole_is_silent_and_can_be_cancelled() -> None:
    site = Site()
    site.faults.set(0, "black_hole", 1, None)
    cancel = site.start()
    site.time.run()
    assert site.kinds() == [Sent]
    cancel()
    assert site.center.in_flight == 0


def test_a_slow_fault_multiplies_the_run_time() -> None:
    site = Site()
    site.start()
    site.time.run()
    usual_ms = site.events[-1][1].report.service_ms
    site.faults.set(0, "slow", 1e4, None)
    site.start()
    site.time.run()
    assert site.events[-1][1].report.service_ms > usual_ms + 10


@pytest.mark.parametrize("after", [0.0, 0.4, 0.6, 0.99])
def test_cancelled_anywhere_no_event_follows_and_the_slot_is_free(after: float) -> None:
    site = Site(slots=1, speed_factor=1e4)
    cancel = site.start()
    site.time.run(after * site.rtt_s)
    before = len(site.events)
    cancel()
    cancel()
    site.time.run()
    assert len(site.events) == before
    assert (site.center.free_slots, site.center.in_flight, site.center.work_ms) == (1, 0, 0)


def test_cancelled_while_waiting_the_line_moves_on() -> None:
    site = Site(slots=1, speed_factor=1e4)
    site.start()
    cancel = site.start()
    site.start()
    site.time.run(site.rtt_s / 2 + 1e-6)
    assert len(site.center.waiting) == 2
    cancel()
    site.time.run()
    assert sum(isinstance(e, Answered) for _, e in site.events) == 2
    assert site.center.free_slots == 1


def test_expired_work_is_dropped_before_it_runs() -> None:
    site = Site(slots=1, speed_factor=1e4)
    site.start()
    site.start(deadline_s=site.rtt_s)
    site.time.run()
    expired = [e.error for _, e in site.events if isinstance(e, Failed)]
    assert len(expired) == 1
    assert "expired in the queue of center wuhu-a" in str(expired[0])


def test_bad_input_is_the_requests_fault_and_comes_back_over_the_network() -> None:
    site = Site()
    site.start(b'{"inputs": [{"name": "windw"}]}')
    site.start(model="no-such")
    site.time.run()
    errors = [e.error for _, e in site.events if isinstance(e, Failed)]
    assert [type(e) for e in errors] == [InvalidRequest, NotFound]
    assert not any(e.another_center_may_help for e in errors)
    assert site.center.free_slots == 2


async def test_models_are_unloaded_and_loaded_here() -> None:
    site = Site()
    center = site.center
    assert await center.ready(MODEL, "")
    await center.unload(MODEL)
    assert not await center.ready(MODEL, "")
    assert {s.name: s.state for s in await center.index()}[MODEL] == "UNAVAILABLE"
    with pytest.raises(NotFound):
        await center.metadata(MODEL, "")
    await center.load(MODEL)
    assert (await center.metadata(MODEL, "")).name == MODEL
    assert site.told == [(MODEL, 0, True), (MODEL, 0, False), (MODEL, 0, True)]
    with pytest.raises(NotFound):
        await center.ready("no-such", "")


def test_a_probe_sees_what_a_request_would() -> None:
    site = Site()
    seen: list[bool] = []
    site.center.probe(seen.append)
    site.time.run()
    site.faults.set(0, "down", 1, None)
    site.center.probe(seen.append)
    site.time.run()
    assert seen == [True, False]
