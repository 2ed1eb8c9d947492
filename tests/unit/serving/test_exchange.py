"""The state machine on a virtual clock: order, retries, timers, and exactly one ending."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import (
    CenterBusy,
    CenterDown,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NoCenter,
    NotFound,
    NotHere,
    Overloaded,
    Report,
)
from gateway.centers.port import Answered, Chunk, Failed, Head, Relay, Sent
from gateway.serving import Exchange

OK = Head(200, "application/json", None)


def begun(world: Any, budget_ms: float = 30_000.0) -> Exchange:
    exchange = Exchange(world.collaborators(), world.arrival(budget_ms), world.answer)
    exchange.begin()
    return exchange


def endings(world: Any) -> list[tuple[int, str, str]]:
    return [(out.center, out.ending, out.reason) for out in world.router.outcomes]


def test_a_whole_answer_goes_out_at_once_with_its_four_parts(world: Any) -> None:
    begun(world)
    world.clock.advance(0.010)
    world.started(0).answer(b"abc", queue_ms=1.0, service_ms=2.0)
    assert world.answer.told == ["whole"]
    assert world.answer.body == b"abc"
    parts = world.answer.parts
    assert parts.network_ms == pytest.approx(7.0)
    assert (parts.queue_ms, parts.service_ms) == (1.0, 2.0)
    assert parts.gateway_ms == pytest.approx(0.0, abs=1e-6)
    assert endings(world) == [(0, "answer", "")]
    world.clock.advance(60.0)
    assert world.clock.pending() == 0


def test_an_answer_in_parts_within_one_turn_goes_out_whole_with_its_parts(world: Any) -> None:
    begun(world)
    world.clock.advance(0.010)
    world.started(0).in_parts(b"abc", queue_ms=1.0, service_ms=2.0)
    assert world.answer.told == ["head", "chunk", "end"]
    assert world.answer.body == b"abc"
    assert world.answer.parts.network_ms == pytest.approx(7.0)
    assert endings(world) == [(0, "answer", "")]


def test_a_slow_client_pauses_the_center_of_the_open_try_alone(world: Any) -> None:
    exchange = begun(world)
    exchange.pause()
    assert world.started(0).paused
    exchange.resume()
    assert not world.started(0).paused
    world.started(0).answer()
    exchange.pause()
    assert not world.started(0).paused


def test_nothing_keeps_a_finished_exchange_alive(world: Any) -> None:
    def alive() -> int:
        return sum(isinstance(one, Exchange) for one in gc.get_objects())

    gc.collect()
    before = alive()
    exchange = begun(world)
    world.started(0).answer()
    assert alive() == before + 1
    world.ports[0].started.clear()
    del exchange
    assert alive() == before


def test_an_emulated_network_is_the_delay_drawn_and_the_rest_is_the_gateway(world: Any) -> None:
    begun(world)
    world.clock.advance(0.010)
    world.started(0).answer(queue_ms=1.0, service_ms=2.0, drawn_ms=6.5)
    assert world.answer.parts.network_ms == 6.5
    assert world.answer.parts.gateway_ms == pytest.approx(0.5)


def test_the_outcome_carries_what_was_charged_and_reported(world: Any) -> None:
    begun(world)
    world.clock.advance(0.004)
    world.started(0).answer(queue_ms=0.5, service_ms=1.5)
    (outcome,) = world.router.outcomes
    assert outcome.attempt_ms == pytest.approx(4.0)
    assert outcome.network_ms == pytest.approx(2.0)
    assert (outcome.charged_ms, outcome.predicted_ms) == (1.0, 5.0)


def test_the_body_and_the_deadline_reach_the_center_untouched(world: Any) -> None:
    begun(world, budget_ms=250.0)
    attempt = world.started(0).attempt
    assert attempt.body == b"{}"
    assert attempt.deadline_s == pytest.approx(world.clock.now + 0.25)
    assert attempt.request_id == "r1"


@pytest.mark.parametrize("error", [CenterDown("no"), CenterFailed("broken"), CenterBusy("full")])
def test_a_failed_center_is_followed_by_the_next(world: Any, error: Exception) -> None:
    begun(world)
    world.started(0).fail(error)
    world.clock.advance(0.002)
    world.started(1).answer(b"from the second")
    assert world.answer.body == b"from the second"
    assert world.answer.center == 1
    assert [ending for _, ending, _ in endings(world)] == ["error", "answer"]
    assert world.counted()["nearway_retries_total[]"] == 1


def test_time_lost_on_failed_attempts_counts_as_the_gateways(world: Any) -> None:
    begun(world)
    world.clock.advance(0.005)
    world.started(0).fail(CenterDown("refused"))
    world.clock.advance(0.010)
    world.started(1).answer(queue_ms=1.0, service_ms=1.0)
    assert world.answer.parts.gateway_ms == pytest.approx(5.0)
    assert world.answer.parts.network_ms == pytest.approx(8.0)


def test_when_all_fail_the_error_names_every_center_tried(make_world: Any) -> None:
    world = make_world(centers=5)
    begun(world)
    for center in range(3):
        world.started(center).fail(CenterFailed(f"center c{center} is broken"))
    assert isinstance(world.answer.error, CenterDown)
    assert world.answer.error.http_status == 503
    for center in range(3):
        assert f"c{center} is broken" in str(world.answer.error)
    assert "3 of 3 attempts" in str(world.answer.error)
    assert not world.ports[3].started


def test_when_nobody_is_left_the_routers_reason_is_told(make_world: Any) -> None:
    world = make_world(centers=1)
    begun(world)
    world.started(0).fail(CenterDown("center c0 refused"))
    assert "c0 refused" in str(world.answer.error)
    assert "all 1 centers were tried" in str(world.answer.error)
    assert world.answer.told == ["fail"]


def test_a_model_that_was_unloaded_on_the_way_is_asked_for_elsewhere(make_world: Any) -> None:
    world = make_world(centers=2)
    begun(world)
    world.started(0).fail(NotHere("model 'mlp' is not loaded at center c0"))
    world.started(1).answer(b"from the second")
    assert world.answer.body == b"from the second"


def test_that_a_model_is_nowhere_only_the_one_center_there_is_can_say(make_world: Any) -> None:
    alone = make_world(centers=1)
    begun(alone)
    alone.started(0).fail(NotHere("model 'mlp' is not loaded at center c0"))
    assert alone.answer.error.http_status == 404
    others_are_out = make_world(centers=2)
    begun(others_are_out)
    others_are_out.router.refusal = NoCenter("healthy refuses 1")
    others_are_out.started(0).fail(NotHere("model 'mlp' is not loaded at center c0"))
    assert others_are_out.answer.error.http_status == 503
    assert "mlp" in str(others_are_out.answer.error)
    assert "healthy refuses 1" in str(others_are_out.answer.error)


@pytest.mark.parametrize("error", [InvalidRequest("inputs[0].shape"), Overloaded("full")])
def test_an_error_another_center_cannot_mend_goes_to_the_client(world: Any, error: Any) -> None:
    begun(world)
    world.started(0).fail(error)
    assert world.answer.error is error
    assert not world.ports[1].started


@pytest.mark.parametrize("report", [None, Report(0.1, 0.0)])
def test_a_refused_request_ends_as_an_error_with_its_reason(world: Any, report: Any) -> None:
    begun(world)
    world.started(0).fail(InvalidRequest("shape"), report)
    assert endings(world) == [(0, "error", "invalid_request")]
    assert world.router.outcomes[0].report is report


def test_no_center_from_the_start_charges_nobody(world: Any) -> None:
    world.router.refusal = NoCenter("nobody is healthy")
    begun(world)
    assert world.answer.error is world.router.refusal
    assert not world.router.committed


def test_a_silent_center_is_left_after_three_times_its_99th_percentile(world: Any) -> None:
    world.router.predicted_ms = 10.0  # the fake's percentile is twice that
    begun(world)
    world.clock.advance(0.0599)
    assert not world.ports[1].started
    world.clock.advance(0.0002)
    assert world.started(0).cancelled
    assert endings(world) == [(0, "error", "timed_out")]
    world.started(1).answer()
    assert world.answer.told == ["whole"]


def test_the_router_is_told_whether_the_last_center_was_silent_and_what_is_left(
    make_world: Any,
) -> None:
    world = make_world()
    begun(world)
    world.started(0).fail(CenterDown("refused"))
    world.clock.advance(2.0)
    (refused, _), (silent, left_ms) = world.router.asked_next
    assert (refused, silent) == (False, True)
    assert 28_000.0 < left_ms < 30_000.0


def test_a_model_of_two_seconds_is_not_cut_off_at_its_first_request(world: Any) -> None:
    world.router.predicted_ms = 2000.0
    begun(world)
    world.clock.advance(11.0)
    assert not world.started(0).cancelled


def test_patience_has_a_floor(make_world: Any) -> None:
    world = make_world(attempts={"timeout_ms": 200.0})
    world.router.predicted_ms = 0.1
    begun(world)
    world.clock.advance(0.199)
    assert not world.ports[1].started
    world.clock.advance(0.002)
    assert world.ports[1].started


def test_each_timeout_makes_the_next_attempt_four_times_as_patient(world: Any) -> None:
    begun(world)
    world.clock.advance(0.031)
    world.clock.advance(0.118)
    assert not world.started(1).cancelled
    world.clock.advance(0.002)
    assert world.started(1).cancelled


def test_the_last_attempt_has_all_the_time_that_is_left(world: Any) -> None:
    begun(world)
    world.clock.advance(29.0)
    assert not world.started(2).cancelled
    world.started(2).answer(b"late, but an answer")
    assert world.answer.body == b"late, but an answer"


def test_the_only_center_is_not_cut_off(make_world: Any) -> None:
    world = make_world(centers=1)
    begun(world)
    world.clock.advance(29.0)
    assert not world.started(0).cancelled


def test_a_budget_with_no_room_for_two_is_given_to_the_first(world: Any) -> None:
    begun(world, budget_ms=18.0)
    world.clock.advance(0.0179)
    assert not world.started(0).cancelled


def test_room_for_a_second_attempt_is_kept(world: Any) -> None:
    begun(world, budget_ms=25.0)
    world.clock.advance(0.0161)
    assert world.started(0).cancelled
    world.started(1).answer(b"in time")
    assert world.answer.body == b"in time"


def test_a_timer_that_comes_late_gives_the_center_as_long_again(world: Any) -> None:
    begun(world)
    world.clock.now += 0.2  # the loop was held up
    world.clock.advance(0.1)
    assert not world.started(0).cancelled
    world.started(0).answer(b"it had come")
    assert world.answer.body == b"it had come"


def test_a_late_timer_is_excused_once(world: Any) -> None:
    begun(world)
    world.clock.now += 0.2
    world.clock.advance(0.0)
    world.clock.now += 0.2
    world.clock.advance(0.0)
    assert world.started(0).cancelled


def test_no_retry_is_started_that_cannot_end_in_time(world: Any) -> None:
    begun(world, budget_ms=12.0)
    world.clock.now += 0.007
    world.started(0).fail(CenterDown("center c0 refused"))
    assert not world.ports[1].started
    assert isinstance(world.answer.error, DeadlineExceeded)
    assert "5.0 ms are left and another center would take 9.0" in str(world.answer.error)


def test_retries_are_paid_from_a_budget_and_given_back(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 1})
    begun(world)
    begun(world)
    first, second = world.ports[0].started
    first.fail(CenterFailed("center c0 is broken"))
    assert world.retries.in_flight == 1
    second.fail(CenterFailed("center c0 is broken"))
    assert "1 retries are in flight" in str(world.answer.error)
    assert world.counted()["nearway_retries_refused_total[]"] == 1
    world.started(1).answer()
    assert world.retries.in_flight == 0


def test_the_budget_is_a_share_of_the_requests_in_flight(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 0})
    world.metrics.in_flight = 10
    for _ in range(3):
        begun(world)
    for one in list(world.ports[0].started):
        one.fail(CenterBusy("center c0 is full"))
    assert len(world.ports[1].started) == 2


def test_who_leaves_a_center_that_is_out_of_service_needs_no_budget(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 0, "retry_budget": 0.0})
    begun(world)
    world.started(0).fail(CenterDown("center c0 refused"))
    world.started(1).fail(CenterDown("center c1 closed the connection"))
    assert world.retries.in_flight == 0
    world.started(2).fail(CenterDown("center c2 refused"))
    assert "no center answered in 3 of 3 attempts" in str(
        world.answer.error
    )  # bounded all the same
    assert world.counted()["nearway_retries_refused_total[]"] == 0


def test_what_follows_an_error_is_paid_though_a_refusal_came_before(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 1})
    begun(world)
    world.started(0).fail(CenterDown("center c0 refused"))
    world.started(1).fail(CenterFailed("center c1 is broken"))
    assert world.retries.in_flight == 1
    world.started(2).answer()
    assert world.retries.in_flight == 0


def test_a_silent_center_is_waited_for_while_the_budget_allows_no_retry(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 0, "retry_budget": 0.0})
    begun(world)
    world.clock.advance(5.0)
    assert not world.started(0).cancelled
    assert world.counted()["nearway_retries_refused_total[]"] > 2
    world.started(0).answer(b"at last")
    assert world.answer.body == b"at last"
    world.clock.advance(60.0)
    assert world.clock.pending() == 0


def test_a_silent_center_is_left_without_a_budget_once_it_is_out(make_world: Any) -> None:
    world = make_world(attempts={"retries_min": 0, "retry_budget": 0.0})
    begun(world)
    world.clock.advance(0.05)
    assert not world.started(0).cancelled
    world.router.out.add(0)
    world.clock.advance(1.0)
    assert world.started(0).cancelled
    assert world.retries.in_flight == 0
    world.started(1).answer(b"from the second")
    assert world.answer.body == b"from the second"


def test_a_client_that_leaves_gives_the_retry_back(world: Any) -> None:
    exchange = begun(world)
    world.started(0).fail(CenterFailed("no"))
    assert world.retries.in_flight == 1
    exchange.cancel()
    assert world.retries.in_flight == 0


def _raises(*_given: Any) -> Any:
    raise RuntimeError("a bug of the port")


def test_a_port_that_raises_is_a_failed_attempt(world: Any, caplog: Any) -> None:
    world.ports[0].start = _raises
    begun(world)
    world.clock.turn()
    world.started(1).answer(b"from the second")
    assert world.answer.body == b"from the second"
    assert [ending for _, ending, _ in endings(world)] == ["error", "answer"]
    assert world.router.open == []
    assert "a bug of the port" in caplog.text


def test_a_client_may_leave_while_a_port_that_raised_is_about_to_say_so(world: Any) -> None:
    world.ports[0].start = _raises
    exchange = begun(world)
    exchange.pause()
    exchange.resume()
    exchange.cancel()
    world.clock.turn()
    assert [ending for _, ending, _ in endings(world)] == ["cancelled"]
    assert world.router.open == []
    assert world.answer.told == []


def test_when_every_port_raises_the_client_hears_of_it(world: Any) -> None:
    for port in world.ports:
        port.start = _raises
    begun(world)
    for _ in range(3):
        world.clock.turn()
    assert "could not be asked" in str(world.answer.error)
    assert world.router.open == []
    assert world.retries.in_flight == 0


def test_the_report_of_the_answer_is_kept_for_the_door(world: Any) -> None:
    exchange = begun(world)
    assert exchange.report is None
    world.started(0).answer(queue_ms=0.25)
    assert exchange.report.queue_ms == 0.25


def test_the_deadline_cancels_and_says_where_the_time_went(world: Any) -> None:
    begun(world, budget_ms=1500.0)
    world.clock.advance(2.0)
    assert isinstance(world.answer.error, DeadlineExceeded)
    message = str(world.answer.error)
    assert "budget of 1500.0 ms" in message
    assert "center c0 was silent for 30 ms" in message
    assert "center c1 was silent for 120 ms" in message
    assert "1350.0 ms waiting for center c2" in message
    assert world.started(2).cancelled
    assert endings(world) == [
        (0, "error", "timed_out"),
        (1, "error", "timed_out"),
        (2, "error", "deadline_exceeded"),
    ]


def test_nothing_is_started_when_the_budget_is_spent_on_arrival(world: Any) -> None:
    exchange = Exchange(world.collaborators(), world.arrival(10.0), world.answer)
    world.clock.advance(0.011)
    exchange.begin()
    assert isinstance(world.answer.error, DeadlineExceeded)
    assert not world.router.committed


def test_no_retry_starts_after_the_deadline(world: Any) -> None:
    begun(world, budget_ms=100.0)
    world.clock.now += 0.2
    world.started(0).fail(CenterDown("late"))
    assert isinstance(world.answer.error, DeadlineExceeded)
    assert not world.ports[1].started


def test_a_timer_that_fires_early_waits_on(world: Any) -> None:
    begun(world)
    world.clock.now -= 0.001
    world.clock.advance(0.0305)
    assert not world.ports[1].started
    world.clock.advance(0.001)
    assert world.ports[1].started


def test_a_client_that_leaves_cancels_the_attempt_exactly_once(world: Any) -> None:
    exchange = begun(world)
    exchange.cancel()
    exchange.cancel()
    assert world.started(0).cancelled
    assert endings(world) == [(0, "cancelled", "client_gone")]
    assert world.answer.told == []
    assert world.counted()["nearway_requests_total[('code', '499'), ('model', 'other')]"] == 1


def test_cancel_after_the_answer_changes_nothing(world: Any) -> None:
    exchange = begun(world)
    world.started(0).answer()
    exchange.cancel()
    assert endings(world) == [(0, "answer", "")]
    assert world.counted()["nearway_requests_total[('code', '200'), ('model', 'mlp')]"] == 1


def test_events_of_a_cancelled_attempt_are_not_heard(world: Any) -> None:
    begun(world)
    world.clock.advance(0.1)
    world.started(0).answer(b"too late")
    assert world.answer.told == []
    world.started(1).answer(b"in time")
    assert world.answer.body == b"in time"


def test_an_answer_over_several_turns_is_streamed_without_parts(world: Any) -> None:
    begun(world)
    center = world.started(0)
    center.hear(OK)
    assert world.answer.told == []
    center.hear(Chunk(b"one,"))
    center.hear(Chunk(b"two,"))
    world.clock.turn()
    assert world.answer.told == ["head", "chunk", "chunk"]
    assert world.answer.parts is None
    center.hear(Chunk(b"three"))
    center.hear(Answered(Report(0.1, 0.2), None))
    assert world.answer.told == ["head", "chunk", "chunk", "chunk", "end"]
    assert world.answer.body == b"one,two,three"
    assert endings(world) == [(0, "answer", "")]


def test_more_than_the_hold_bound_is_let_go_within_the_turn(world: Any) -> None:
    begun(world)
    center = world.started(0)
    center.hear(OK)
    for _ in range(3):
        center.hear(Chunk(b"x" * 50_000))
    assert world.answer.told == ["head", "chunk", "chunk", "chunk"]


def test_one_large_chunk_is_still_a_whole_answer(world: Any) -> None:
    begun(world)
    world.started(0).answer(b"x" * 1_000_000)
    assert world.answer.parts is not None


def test_a_failure_before_the_head_is_out_is_retried(world: Any) -> None:
    begun(world)
    center = world.started(0)
    center.hear(OK)
    center.hear(Chunk(b"half"))
    center.fail(CenterDown("went away"))
    world.started(1).answer(b"whole")
    assert world.answer.body == b"whole"
    assert world.answer.told == ["whole"]


def test_a_stream_that_breaks_off_is_not_retried(world: Any) -> None:
    begun(world)
    center = world.started(0)
    center.hear(OK)
    center.hear(Chunk(b"half"))
    world.clock.turn()
    center.fail(CenterDown("went away"))
    assert world.answer.told == ["head", "chunk", "fail"]
    assert not world.ports[1].started


def test_a_stream_is_given_up_when_it_falls_silent(world: Any) -> None:
    begun(world)
    center = world.started(0)
    center.hear(OK)
    center.hear(Chunk(b"a"))
    world.clock.advance(0.9)
    center.hear(Chunk(b"b"))
    world.clock.advance(0.9)
    assert world.answer.told == ["head", "chunk", "chunk"]
    world.clock.advance(0.2)
    assert world.answer.told == ["head", "chunk", "chunk", "fail"]
    assert center.cancelled


def test_what_passes_by_keeps_a_stream_from_being_given_up(world: Any) -> None:
    begun(world)
    center, relay = world.started(0), Relay()
    center.hear(replace(OK, relay=relay))
    center.hear(Chunk(b"a"))
    world.clock.advance(0.9)
    relay.heard_s = world.clock()
    world.clock.advance(0.9)
    assert world.answer.told == ["head", "chunk"]
    world.clock.advance(0.2)
    assert world.answer.told == ["head", "chunk", "fail"]
    assert center.cancelled


def test_an_answer_without_a_head_counts_as_a_failure(world: Any) -> None:
    begun(world)
    world.started(0).hear(Answered(Report(0.1, 0.2), None))
    assert world.ports[1].started
    assert endings(world) == [(0, "error", "center_failed")]


def test_a_planted_delay_holds_the_answer_and_shows_as_the_gateways(make_world: Any) -> None:
    world = make_world(planted={"gateway_delay_ms": 20.0})
    begun(world)
    world.started(0).answer(queue_ms=0.0, service_ms=0.0)
    world.clock.advance(0.019)
    assert world.answer.told == []
    world.clock.advance(0.001)
    assert world.answer.told == ["whole"]
    assert world.answer.parts.gateway_ms == pytest.approx(20.0)
    assert endings(world) == [(0, "answer", "")]


def test_a_planted_delay_holds_a_stream_too(make_world: Any) -> None:
    world = make_world(planted={"gateway_delay_ms": 20.0})
    begun(world)
    center = world.started(0)
    center.hear(OK)
    center.hear(Chunk(b"a"))
    world.clock.turn()
    assert world.answer.told == []
    world.clock.advance(0.020)
    assert world.answer.told == ["head", "chunk"]
    center.hear(Chunk(b"b"))
    center.hear(Answered(Report(0.1, 0.1), None))
    assert world.answer.body == b"ab"


def test_a_client_that_leaves_during_the_planted_delay_gets_nothing(make_world: Any) -> None:
    world = make_world(planted={"gateway_delay_ms": 20.0})
    exchange = begun(world)
    world.started(0).answer()
    exchange.cancel()
    world.clock.advance(1.0)
    assert world.answer.told == []
    assert len(world.router.outcomes) == 1


def test_one_decision_in_so_many_is_kept_with_its_table(make_world: Any) -> None:
    world = make_world(routing={"explain_every": 2})
    for _ in range(5):
        begun(world)
    kept = world.decisions.kept()
    assert len(kept) == 2
    assert kept[0].table.policy == "fake"


def test_a_request_that_was_to_be_explained_and_cannot_be_decided_is_refused(
    make_world: Any,
) -> None:
    world = make_world(routing={"explain_every": 1})

    def explain(*_: Any) -> Any:
        raise NotFound("no such model")

    world.router.explain = explain
    begun(world)
    assert world.answer.told == ["fail"]
    assert isinstance(world.answer.error, NotFound)


def test_what_nobody_foresaw_is_counted_as_such(world: Any) -> None:
    exchange = begun(world)
    exchange.cancel(500)
    assert endings(world) == [(0, "cancelled", "internal")]
    assert world.counted()["nearway_requests_total[('code', '500'), ('model', 'other')]"] == 1
    assert world.answer.told == []


def test_what_came_of_a_kept_decision_is_kept_with_it(make_world: Any) -> None:
    world = make_world(routing={"explain_every": 1})
    begun(world)
    world.clock.advance(0.010)
    world.started(0).answer(b"abc", queue_ms=1.0, service_ms=2.0)
    assert world.answer.told == ["whole"]
    (kept,) = world.decisions.kept()
    assert kept.came is not None
    assert kept.came.center == 0
    assert kept.came.parts_ms["network"] == pytest.approx(7.0)
    begun(world)
    world.started(0).fail(InvalidRequest("odd"))
    assert world.decisions.kept()[0].came.reason == "invalid_request"


EVENTS = st.sampled_from(
    ["sent", "head", "chunk", "answered", "down", "failed", "invalid", "turn", "wait", "long",
     "client", "stale"]
)  # fmt: skip


def play(world: Any, exchange: Exchange, step: str) -> None:
    """One random step; centers may also speak out of order or after their end."""
    used = [one for port in world.ports for one in port.started]
    center = used[0 if step == "stale" else -1] if used else None
    if step == "client":
        exchange.cancel()
    elif step == "turn":
        world.clock.turn()
    elif step in ("wait", "long"):
        world.clock.advance(0.02 if step == "wait" else 1.1)
    elif center is not None and not center.cancelled:
        center.hear(
            {
                "sent": Sent(),
                "head": OK,
                "chunk": Chunk(b"x" * 40_000),
                "answered": Answered(Report(0.1, 0.2), None),
                "stale": Answered(Report(0.1, 0.2), None),
                "down": Failed(CenterDown("gone")),
                "failed": Failed(CenterFailed("broken"), Report(0.0, 0.0)),
                "invalid": Failed(InvalidRequest("shape")),
            }[step]
        )


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(EVENTS, max_size=25), delay_ms=st.sampled_from([0.0, 400.0]))
def test_any_order_of_events_ends_every_commit_once_and_answers_at_most_once(
    make_world: Any, steps: list[str], delay_ms: float
) -> None:
    world = make_world(planted={"gateway_delay_ms": delay_ms})
    exchange = begun(world, budget_ms=2500.0)
    for step in steps:
        play(world, exchange, step)
        assert len(world.router.open) <= 1
    world.clock.advance(60.0)
    assert world.router.open == []
    assert world.retries.in_flight == 0
    assert len(world.router.outcomes) == len(world.router.committed)
    world.clock.advance(60.0)
    assert world.clock.pending() == 0
    told = world.answer.told
    assert told.count("head") <= 1
    ends = [word for word in told if word in ("end", "fail")]
    assert len(ends) == (0 if "client" in steps and not ends else 1)
    if ends:
        assert told[-1] == ends[0]
    counted = [value for name, value in world.counted().items() if "nearway_requests_total" in name]
    assert sum(counted) == 1


# ---- hedges -------------------------------------------------------------------------------


def slow_world(make_world: Any, **attempts: Any) -> Any:
    """5 ms predicted; one attempt in twenty takes 8 ms, one in a thousand 40."""
    world = make_world(attempts={"hedge_share": 0.5, **attempts})
    world.router.quantiles = {0.95: 8.0, 0.99: 20.0, 0.999: 40.0}
    for _ in range(4):  # earns two copies
        begun(world)
        world.started(0).answer()
    world.router.outcomes.clear()
    world.answer.told.clear()
    world.answer.body = b""
    return world


def test_a_try_slower_than_nearly_all_gets_a_copy_and_the_first_answer_counts(
    make_world: Any,
) -> None:
    world = slow_world(make_world)
    exchange = begun(world)
    world.clock.advance(0.0079)
    assert not world.ports[1].started
    world.clock.advance(0.0012)
    world.clock.advance(0.003)
    world.started(1).answer(b"from the copy", queue_ms=0.0, service_ms=1.0)
    assert world.answer.told == ["whole"]
    assert (world.answer.body, world.answer.center) == (b"from the copy", 1)
    assert exchange.decision is not None
    assert exchange.decision.center == 1
    assert world.started(0).cancelled
    assert endings(world) == [(0, "cancelled", "outrun"), (1, "answer", "")]
    assert not world.router.open
    assert world.counted()["nearway_hedges_total[('result', 'won')]"] == 1
    assert world.counted()["nearway_retries_total[]"] == 0


def test_the_first_may_still_win_and_the_copy_is_called_back(make_world: Any) -> None:
    world = slow_world(make_world)
    exchange = begun(world)
    world.clock.advance(0.010)
    world.started(0).answer(b"from the first")
    assert (world.answer.body, world.answer.center) == (b"from the first", 0)
    assert exchange.decision is not None
    assert exchange.decision.center == 0
    assert world.started(1).cancelled
    assert endings(world) == [(1, "cancelled", "outrun"), (0, "answer", "")]
    assert world.counted()["nearway_hedges_total[('result', 'lost')]"] == 1


def test_when_one_of_two_fails_the_other_goes_on_alone(make_world: Any) -> None:
    world = slow_world(make_world)
    begun(world)
    world.clock.advance(0.010)
    world.started(1).fail(CenterDown("refused"))
    assert world.answer.told == []
    world.started(0).fail(CenterFailed("broken"))
    world.started(2).answer(b"from the third")
    assert world.answer.told == ["whole"]
    assert [ending[0] for ending in endings(world)] == [1, 0, 2]
    assert not world.router.open


def test_two_copies_that_are_both_silent_are_given_up_together(make_world: Any) -> None:
    """A hedge into the same dark region does not make its request wait a second patience."""
    world = slow_world(make_world)
    begun(world)
    world.clock.advance(0.010)
    assert world.ports[1].started
    world.clock.advance(0.049)
    assert not world.started(0).cancelled
    world.clock.advance(0.003)
    assert endings(world) == [(0, "error", "timed_out"), (1, "error", "timed_out")]
    world.started(2).answer(b"from the third")
    assert world.answer.body == b"from the third"
    assert not world.router.open


def test_a_copy_that_is_the_last_try_keeps_all_the_time_there_is(make_world: Any) -> None:
    world = slow_world(make_world, max=2)
    begun(world)
    world.clock.advance(0.010)
    world.clock.advance(5.0)
    assert not world.started(1).cancelled
    world.started(1).answer(b"late, but an answer")
    assert world.answer.told == ["whole"]


def test_the_client_leaving_calls_both_back(make_world: Any) -> None:
    world = slow_world(make_world)
    exchange = begun(world)
    world.clock.advance(0.010)
    exchange.cancel()
    assert world.started(0).cancelled
    assert world.started(1).cancelled
    assert not world.router.open
    assert world.answer.told == []


def test_both_expire_together(make_world: Any) -> None:
    world = slow_world(make_world)
    exchange = Exchange(world.collaborators(), world.arrival(15.0), world.answer)
    exchange.begin()
    world.clock.advance(0.1)
    assert isinstance(world.answer.error, DeadlineExceeded)
    assert world.answer.told == ["fail"]
    assert not world.router.open


def test_the_head_of_a_stream_ends_the_race(make_world: Any) -> None:
    world = slow_world(make_world)
    begun(world)
    world.clock.advance(0.010)
    world.started(1).hear(OK)
    assert world.started(0).cancelled
    world.started(1).hear(Chunk(b"abc"))
    world.started(1).hear(Answered(Report(0.0, 1.0), None))
    assert world.answer.body == b"abc"
    assert world.answer.center == 1


def test_an_error_of_the_request_ends_the_race(make_world: Any) -> None:
    world = slow_world(make_world)
    begun(world)
    world.clock.advance(0.010)
    world.started(1).fail(InvalidRequest("shape"))
    assert world.answer.told == ["fail"]
    assert world.started(0).cancelled
    assert not world.router.open


def test_without_a_free_slot_elsewhere_there_is_no_copy(make_world: Any) -> None:
    world = slow_world(make_world)
    world.router.crowded = True
    begun(world)
    world.clock.advance(0.010)
    assert not world.ports[1].started


def earns_many(world: Any) -> Any:
    """So many requests that early copies are paid for too."""
    for _ in range(1000):
        world.metrics.decided(0, 0.1, 1)
    return world


def test_a_copy_that_would_be_back_after_nearly_all_is_sent_when_all_hope_is_gone(
    make_world: Any,
) -> None:
    world = earns_many(slow_world(make_world, hedge_share=0.02))
    world.router.quantiles = {0.95: 8.0, 0.99: 11.0, 0.999: 12.0}
    begun(world)
    world.clock.advance(0.0095)
    assert not world.ports[1].started  # nearly all are back after 12 ms, a copy would take until 13
    world.clock.advance(0.003)
    assert world.ports[1].started  # one in a hundred is as slow by itself


def test_a_copy_that_would_be_back_before_nearly_all_is_sent_early(make_world: Any) -> None:
    world = earns_many(slow_world(make_world, hedge_share=0.02))
    begun(world)
    world.clock.advance(0.0095)
    assert world.ports[1].started


def test_an_early_copy_nobody_pays_for_is_asked_for_again_late(make_world: Any) -> None:
    world = slow_world(make_world, hedge_share=0.02)
    for _ in range(150):  # earns three copies: too few for an early one
        world.metrics.decided(0, 0.1, 1)
    begun(world)
    world.clock.advance(0.012)
    assert not world.ports[1].started
    world.clock.advance(0.010)
    assert world.ports[1].started


def test_copies_are_a_share_of_the_requests(make_world: Any) -> None:
    world = make_world(attempts={"hedge_share": 0.1, "timeout_ms": 1000.0})
    world.router.quantiles = {0.95: 8.0, 0.99: 400.0, 0.999: 100.0}
    for _ in range(60):
        begun(world)
        world.clock.advance(0.9)
        world.started(0).answer()
    counted = world.counted()
    copies = sum(counted[f"nearway_hedges_total[('result', '{how}')]"] for how in ("won", "lost"))
    assert 4 <= copies <= 6


def test_no_share_no_copy(make_world: Any) -> None:
    world = slow_world(make_world, hedge_share=0.0)
    begun(world)
    world.clock.advance(0.019)
    assert not world.ports[1].started


# ---- in time, or not at all ---------------------------------------------------------------


def test_a_hopeless_request_is_refused_before_anything_is_sent(world: Any) -> None:
    world.router.predicted_ms = 50.0
    world.router.quantiles = {0.05: 30.0}
    begun(world, budget_ms=20.0)
    assert not world.ports[0].started
    assert isinstance(world.answer.error, DeadlineExceeded)
    assert "predicted to take 50.0" in str(world.answer.error)
    for _ in range(31):  # one in 32 is tried all the same, or nothing would be learned
        assert not world.ports[0].started
        begun(world, budget_ms=20.0)
    assert len(world.ports[0].started) == 1
    assert world.counted()["nearway_requests_hopeless_total[]"] == 32


def test_a_request_that_one_in_twenty_would_make_is_tried(world: Any) -> None:
    world.router.predicted_ms = 50.0
    world.router.quantiles = {0.05: 19.0}
    begun(world, budget_ms=20.0)
    world.started(0).answer()
    assert world.answer.told == ["whole"]


def test_a_smaller_model_answers_when_time_is_short(world: Any) -> None:
    world.router.predicted_by_model = {"mlp": 50.0, "mlp-m": 30.0, "mlp-s": 5.0}
    world.smaller.update({"mlp": "mlp-m", "mlp-m": "mlp-s", "mlp-s": "mlp"})
    exchange = begun(world, budget_ms=20.0)
    assert world.started(0).attempt.model == "mlp-s"
    world.started(0).answer()
    assert world.answer.told == ["whole"]
    assert exchange.decision is not None
    assert exchange.decision.query.model == "mlp-s"
    counted = world.counted()
    assert counted["nearway_requests_degraded_total[]"] == 1
    assert counted["nearway_requests_total[('code', '200'), ('model', 'mlp')]"] == 1
