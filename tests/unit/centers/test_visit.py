"""The way of one request through an emulated center, on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import (
    Center,
    CenterBusy,
    CenterDown,
    CenterFailed,
    InvalidRequest,
    Location,
    NotFound,
    NotHere,
)
from gateway.centers import Failed, Sent, Whole
from gateway.engine import NotYetLoaded


def test_an_answer_takes_the_round_trip_drawn(make_site: Any) -> None:
    site = make_site()
    site.start()
    assert site.events == []
    site.time.run()
    assert site.kinds() == [Sent, Whole]
    at_s, answered = site.events[-1]
    assert at_s == pytest.approx(site.rtt_s)
    assert answered.drawn_ms == pytest.approx(site.rtt_s * 1e3)
    assert answered.report.queue_ms == 0
    assert answered.report.slots == 2
    assert site.center.free_slots == 2
    assert site.center.meter.work_ms == 0


def test_a_slower_center_holds_its_slots_and_the_others_wait_in_line(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    for _ in range(3):
        site.start()
    site.time.run()
    answered = [event.report for _, event in site.events if isinstance(event, Whole)]
    assert len(answered) == 3
    assert answered[0].queue_ms == 0
    assert answered[0].service_ms > 10
    assert 0 < answered[1].queue_ms < answered[2].queue_ms
    assert (site.center.free_slots, site.center.meter.in_flight) == (1, 0)


def test_a_long_line_of_inline_runs_needs_no_deep_stack(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4, queue_max=3000)
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
    assert sum(isinstance(e, Whole) for _, e in site.events) == 3000


def test_the_queue_is_bounded(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4, queue_max=2)
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
def test_faults_are_errors_after_a_round_trip(
    kind: Any, value: float, error: type, make_site: Any
) -> None:
    site = make_site()
    site.faults.set(0, kind, value, None)
    site.start()
    site.time.run()
    assert site.kinds() == [Sent, Failed]
    assert isinstance(site.events[-1][1].error, error)
    assert site.events[-1][0] == pytest.approx(site.rtt_s)
    site.faults.clear(None)
    site.start()
    site.time.run()
    assert site.kinds()[-1] is Whole


def test_a_black_hole_is_silent_and_can_be_cancelled(make_site: Any) -> None:
    site = make_site()
    site.faults.set(0, "black_hole", 1, None)
    call = site.start()
    site.time.run()
    assert site.kinds() == [Sent]
    call.cancel()
    assert site.center.meter.in_flight == 0


def test_a_slow_fault_multiplies_the_run_time(make_site: Any) -> None:
    site = make_site()
    site.start()
    site.time.run()
    usual_ms = site.events[-1][1].report.service_ms
    site.faults.set(0, "slow", 1e4, None)
    site.start()
    site.time.run()
    assert site.events[-1][1].report.service_ms > usual_ms + 10


@pytest.mark.parametrize("after", [0.0, 0.4, 0.6, 0.99])
def test_cancelled_anywhere_no_event_follows_and_the_slot_is_free(
    after: float, make_site: Any
) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    call = site.start()
    site.time.run(after * site.rtt_s)
    before = len(site.events)
    call.cancel()
    call.cancel()
    site.time.run()
    assert len(site.events) == before
    assert (site.center.free_slots, site.center.meter.in_flight, site.center.meter.work_ms) == (
        1,
        0,
        0,
    )


def test_cancelled_while_waiting_the_line_moves_on(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    site.start()
    call = site.start()
    site.start()
    site.time.run(site.rtt_s / 2 + 1e-6)
    assert len(site.center.waiting) == 2
    call.cancel()
    site.time.run()
    assert sum(isinstance(e, Whole) for _, e in site.events) == 2
    assert site.center.free_slots == 1


def test_expired_work_is_dropped_before_it_runs(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    site.start()
    site.start(deadline_s=site.rtt_s)
    site.time.run()
    expired = [e.error for _, e in site.events if isinstance(e, Failed)]
    assert len(expired) == 1
    assert "expired in the queue of center wuhu-a" in str(expired[0])


def test_bad_input_is_the_requests_fault_and_comes_back_over_the_network(make_site: Any) -> None:
    site = make_site()
    site.start(b'{"inputs": [{"name": "windw"}]}')
    site.start(model="no-such")
    site.time.run()
    errors = [e.error for _, e in site.events if isinstance(e, Failed)]
    assert [type(e) for e in errors] == [InvalidRequest, NotFound]
    assert not any(e.another_center_may_help for e in errors)
    assert site.center.free_slots == 2


def test_a_report_tells_of_the_load_the_answer_leaves_behind(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    for _ in range(3):
        site.start()
    site.time.run()
    first, second, third = (e.report for _, e in site.events if isinstance(e, Whole))
    assert [r.in_flight for r in (first, second, third)] == [2, 1, 0]
    assert first.work_ms == pytest.approx(2.0 * second.work_ms)
    assert third.utilization > 0.0
    assert third.rate_per_s > 0.0
    assert third.errors_per_s == 0.0
    assert third.latency_ms == pytest.approx(first.service_ms, rel=0.01)


def test_errors_of_the_center_are_reported_and_the_requests_are_not(make_site: Any) -> None:
    site = make_site()
    site.start(body=b"nonsense")
    site.time.run()
    assert site.events[-1][1].report.errors_per_s == 0.0
    site.faults.set(0, "error", 1, None)
    site.start()
    site.time.run()
    assert site.events[-1][1].report.errors_per_s > 0.0


@pytest.mark.parametrize("after", [0.0, 0.4, 0.6, 0.99])
def test_a_cancelled_visit_leaves_no_slot_in_use(after: float, make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e4)
    call = site.start()
    site.time.run(after * site.rtt_s)
    call.cancel()
    site.time.run()
    site.time.run(site.time.now() + 20.0)
    assert site.center.meter.probed(site.time.now(), 1).utilization == pytest.approx(0.0, abs=1e-6)


class LoadsByHand:
    """The engine of a site, whose model is on demand until ``end`` says that it is loaded."""

    def __init__(self, site: Any) -> None:
        self.waiting: list[Any] = []
        self._engine = site.center.engine
        self._served = self._engine.served
        self._engine.served = self._not_yet
        self._engine.when_loaded = lambda _, then: self.waiting.append(then)

    def _not_yet(self, *_: Any) -> Any:
        raise NotYetLoaded("not in memory")

    def end(self, error: Any = None) -> None:
        if error is None:
            self._engine.served = self._served
        waiting, self.waiting = self.waiting, []
        for then in waiting:
            then(error)


def test_a_load_counts_as_queue_and_takes_no_slot(make_site: Any) -> None:
    site = make_site()
    loads = LoadsByHand(site)
    site.start()
    site.time.run()
    assert site.kinds() == [Sent]
    assert site.center.free_slots == 2
    arrived_s = site.time.now()
    site.time.call_at(arrived_s + 0.3, loads.end)
    site.time.run()
    assert site.kinds() == [Sent, Whole]
    report = site.events[-1][1].report
    assert report.queue_ms == pytest.approx(300.0)
    assert report.service_ms == pytest.approx(0.0, abs=1e-6)
    model = site.center.engine.served("blast-furnace", "").model
    assert (model.under_way, model.used_s) == (0, pytest.approx(arrived_s + 0.3))


def test_a_model_that_cannot_be_loaded_sends_its_requests_elsewhere(make_site: Any) -> None:
    site = make_site()
    loads = LoadsByHand(site)
    site.start()
    site.start().cancel()
    site.time.run()
    loads.end(NotFound("the file is broken"))
    site.time.run()
    assert site.kinds() == [Sent, Failed]
    error = site.events[-1][1].error
    assert isinstance(error, NotHere)
    assert "the file is broken" in str(error)


def test_cancelled_while_its_model_loads_nothing_follows(make_site: Any) -> None:
    site = make_site()
    loads = LoadsByHand(site)
    call = site.start()
    site.time.run()
    call.cancel()
    loads.end()
    site.time.run()
    assert site.kinds() == [Sent]
    assert site.center.free_slots == 2
