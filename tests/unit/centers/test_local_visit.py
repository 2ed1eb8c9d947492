"""Cancelled anywhere, held where a center is slow: a slot is freed exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import CenterDown, CenterFailed, NotFound, NotHere
from gateway.centers import Failed, Whole
from gateway.engine import ModelConfig, NotYetLoaded, Service


def test_cancelled_before_its_turn_it_is_never_read(local_site: Any) -> None:
    site = local_site()
    site.start(b"never read", name="gone").cancel()
    site.start(name="stays")
    site.turn()
    assert [name for name, _ in site.events] == ["stays"]
    assert site.idle()


def test_cancelled_while_waiting_the_line_moves_on(local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once = False
    site.start(name="runs")
    site.turn()
    calls = [site.start(name=number) for number in range(3)]
    site.turn()
    calls[1].cancel()
    calls[1].cancel()
    assert site.center.meter.in_flight == 3
    site.runner.end()
    site.runner.end()
    assert site.runner.rows == [1, 2]
    assert [name for name, _ in site.events] == ["runs", 0, 2]
    assert site.idle()


def test_the_last_of_a_line_leaves_no_line(local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once = False
    site.start(name="runs")
    site.turn()
    call = site.start()
    site.turn()
    call.cancel()
    site.runner.end()
    assert site.idle()


@pytest.mark.parametrize("can_stop", [True, False])
def test_cancelled_while_running_the_slot_is_freed_once(can_stop: bool, local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once, site.runner.can_stop = False, can_stop
    call = site.start(name="gone")
    site.turn()
    site.start(name="next")
    site.turn()
    call.cancel()
    call.cancel()
    assert site.events == []
    if not can_stop:
        assert site.center.free_slots == 0
        site.runner.end()
    site.turn()
    assert site.runner.rows == [1, 1]
    site.runner.end()
    assert [name for name, _ in site.events] == ["next"]
    assert site.idle()


def test_a_batch_runs_on_for_those_that_still_wait(local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once = False
    calls = [site.start(name=number) for number in range(3)]
    site.turn()
    calls[0].cancel()
    assert site.center.meter.in_flight == 2
    site.runner.end()
    assert [name for name, _ in site.events] == [1, 2]
    assert site.idle()


def test_who_cancels_hears_nothing_of_others_meanwhile(local_site: Any) -> None:
    """The slot it frees lets another run inline; that is heard in the next turn."""
    site = local_site(slots=1)
    site.runner.at_once = False
    call = site.start(name="gone")
    site.turn()
    site.start(name="next")
    site.turn()
    site.runner.at_once = True
    call.cancel()
    assert site.events == []
    site.turn()
    assert [name for name, _ in site.events] == ["next"]
    assert site.idle()


def test_a_slower_center_holds_its_slot_and_a_batch_leaves_together(local_site: Any) -> None:
    site = local_site(slots=1, speed_factor=100.0)
    for number in range(2):
        site.start(name=number)
    site.turn()
    site.start(name=2)
    site.turn()
    assert site.events == []
    site.time.run(0.00999)
    assert site.events == []
    site.time.run(0.0101)
    assert [name for name, _ in site.events] == [0, 1]
    site.time.run(0.0301)
    first, second, third = (event.report for _, event in site.events)
    assert first.service_ms == second.service_ms == pytest.approx(10.0)
    assert (third.queue_ms, third.service_ms) == (pytest.approx(10.0), pytest.approx(10.0))
    assert site.idle()


def test_a_slow_fault_holds_the_slot_too(local_site: Any) -> None:
    site = local_site()
    site.faults.set(0, "slow", 50, None)
    site.start()
    site.turn()
    assert site.events == []
    site.time.run(0.0051)
    assert site.events[0][1].report.service_ms == pytest.approx(5.0)


def test_a_declared_service_time_is_held(local_site: Any) -> None:
    site = local_site(rows_max=1, slots=1)
    model = site.center.model_for("blast-furnace", "").model
    model.config = ModelConfig(service=Service(4.0))
    for number in range(2):
        site.start(name=number)
    site.turn()
    site.time.run(0.0041)
    assert len(site.events) == 1
    site.time.run(0.0081)
    assert [event.report.service_ms for _, event in site.events] == pytest.approx([4.0, 4.0])


def test_cancelled_while_holding(local_site: Any) -> None:
    site = local_site(slots=1, speed_factor=100.0)
    calls = [site.start(name=number) for number in range(2)]
    site.turn()
    calls[0].cancel()
    site.turn()
    assert site.center.free_slots == 0
    site.time.run(0.011)
    assert [name for name, _ in site.events] == [1]
    call = site.start(name="gone")
    site.turn()
    call.cancel()
    site.turn()
    assert site.idle()
    site.time.run(1.0)
    assert [name for name, _ in site.events] == [1]


def test_an_engine_that_is_shut_down_fails_every_member(local_site: Any) -> None:
    site = local_site()
    site.runner.submit = lambda model, inputs, outputs, done: done(None, CenterDown("shut"), 0.0)
    for number in range(3):
        site.start(name=number)
    site.turn()
    heard = site.heard()
    assert all(isinstance(event.error, CenterDown) for event in heard.values())
    assert site.idle()


def test_a_foreign_error_is_the_centers(local_site: Any) -> None:
    site = local_site()
    site.runner.submit = lambda model, inputs, outputs, done: done(None, KeyError("k"), 0.0)
    site.start()
    site.turn()
    [(_, failed)] = site.events
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, CenterFailed)
    assert failed.report.errors_per_s > 0.0
    assert site.idle()


def test_an_answer_that_cannot_be_written_fails_alone(local_site: Any) -> None:
    site = local_site()
    run = site.center.model_for("blast-furnace", "").model.run

    def submit(model: Any, inputs: Any, outputs: Any, done: Any) -> Any:
        arrays = [array.copy() for array in run(inputs, outputs)]
        arrays[0][1] = float("nan")
        done(arrays, None, 0.1)
        return lambda: False

    site.runner.submit = submit
    for number in range(3):
        site.start(name=number)
    site.turn()
    heard = site.heard()
    assert isinstance(heard[0], Whole)
    assert isinstance(heard[2], Whole)
    assert "NaN" in str(heard[1].error)
    assert site.idle()


def test_outputs_that_are_not_a_row_a_request_are_run_again_alone(local_site: Any) -> None:
    site = local_site()
    rows: list[int] = []
    run = site.center.model_for("blast-furnace", "").model.run

    def submit(model: Any, inputs: Any, outputs: Any, done: Any) -> Any:
        rows.append(len(inputs["window"]))
        arrays = run(inputs, outputs)
        done([array[:1] for array in arrays], None, 0.1)
        return lambda: False

    site.runner.submit = submit
    for number in range(3):
        site.start(name=number)
    site.turn()
    assert rows == [3, 1, 1, 1]
    assert len(site.events) == 3
    assert site.idle()


def test_pausing_is_harmless(local_site: Any) -> None:
    site = local_site()
    call = site.start()
    call.pause()
    call.resume()
    site.turn()
    assert len(site.events) == 1
    call.cancel()
    assert site.idle()


class LoadsByHand:
    """The engine of a site, whose models are on demand until ``end`` says that they are loaded."""

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


def test_all_that_wait_for_a_load_run_as_one_and_it_counts_as_queue(local_site: Any) -> None:
    site = local_site()
    loads = LoadsByHand(site)
    for name in ("a", "b"):
        site.start(name=name)
    site.turn()
    site.start(name="gone").cancel()
    assert site.center.free_slots == 2
    site.time.call_at(site.time.now() + 0.3, loads.end)
    site.time.run()
    assert site.runner.rows == [2]
    heard = site.heard()
    assert {name: type(event) for name, event in heard.items()} == {"a": Whole, "b": Whole}
    for event in heard.values():
        assert event.report.queue_ms == pytest.approx(300.0)
        assert event.report.service_ms == pytest.approx(0.0, abs=1e-6)
    assert site.center.engine.served("blast-furnace", "").model.under_way == 0
    assert site.idle()


def test_what_cannot_be_loaded_fails_for_all_that_wait(local_site: Any) -> None:
    site = local_site()
    loads = LoadsByHand(site)
    site.start(name="a")
    site.start(name="gone").cancel()
    site.turn()
    loads.end(NotFound("the file is broken"))
    site.turn()
    heard = site.heard()
    assert list(heard) == ["a"]
    assert isinstance(heard["a"].error, NotHere)
    assert site.idle()
