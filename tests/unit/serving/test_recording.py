"""A recorded exchange is an exchange: the same answers, and a record of how it went."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.api import CenterDown, InvalidRequest, NoCenter, Report
from gateway.serving import Exchange
from gateway.serving.recording import RecordedExchange, Recorder
from gateway.telemetry.access_log import AccessLog, TurnedAway
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracer import Tracer
from gateway.wire.traceparent import parse_traceparent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


def scorers() -> tuple[str, ...]:
    return ("network", "queue")


class Watched:
    """A world whose exchanges are recorded."""

    def __init__(self, world: Any, *, traced: bool = True, logged: bool = True) -> None:
        self.world = world
        tracer = Tracer(world.clock, Random(1), share=0.0, per_s_max=1e9) if traced else None
        access_log = AccessLog(Random(1), share=1.0) if logged else None
        self.recorder = Recorder(tracer, access_log, scorers, world.clock)

    def begun(self, traceparent: str = "") -> Exchange:
        world = self.world
        with_ = replace(world.collaborators(), recorder=self.recorder)
        arrival = world.arrival()
        arrival.traceparent = traceparent
        exchange = self.recorder.exchange(with_, arrival, world.answer)
        exchange.begin()
        return exchange

    def record(self) -> RequestRecord:
        assert self.recorder.access_log is not None
        (record,) = self.recorder.access_log.take()
        assert isinstance(record, RequestRecord)
        return record


@pytest.fixture
def watched(world: Any) -> Watched:
    return Watched(world)


def test_an_answer_is_recorded_with_its_parts(watched: Watched) -> None:
    world = watched.world
    arrived_s = world.clock()
    watched.begun()
    world.clock.advance(0.010)
    world.started(0).answer(b"abc", queue_ms=1.0, service_ms=2.0)
    assert world.answer.told == ["whole"]
    record = watched.record()
    assert (record.status, record.reason, record.center) == (200, "", 0)
    assert record.parts_ms == pytest.approx((0.0, 7.0, 1.0, 2.0), abs=1e-6)
    assert record.ended_s - arrived_s == pytest.approx(0.010)
    assert record.served == record.model == "mlp"
    assert record.trace is None
    (attempt,) = record.attempts
    assert (attempt.ending, attempt.span_id, attempt.hedge) == ("answer", 0, False)
    assert attempt.predicted() == {"network": 4.0, "queue": 1.0}
    assert attempt.network_ms == pytest.approx(7.0)


def test_every_attempt_is_there_with_how_it_ended(watched: Watched) -> None:
    world = watched.world
    watched.begun()
    world.started(0).fail(CenterDown("gone"), Report(1.0, 0.0))
    world.started(1).answer()
    record = watched.record()
    assert [(each.decision.center, each.ending, each.reason) for each in record.attempts] == [
        (0, "error", "center_down"),
        (1, "answer", ""),
    ]
    assert record.center == 1


def test_a_request_that_no_center_may_answer_has_a_reason_and_no_attempts(
    watched: Watched,
) -> None:
    watched.world.router.refusal = NoCenter("nobody")
    watched.begun()
    record = watched.record()
    assert (record.status, record.reason, record.attempts) == (503, "no_center", [])
    assert record.parts_ms is None


def test_a_refused_request_keeps_the_reason_of_the_refusal(watched: Watched) -> None:
    watched.begun()
    watched.world.started(0).fail(InvalidRequest("odd"))
    record = watched.record()
    assert (record.status, record.reason) == (400, "invalid_request")


def test_a_client_that_left_is_recorded_once(watched: Watched) -> None:
    exchange = watched.begun()
    exchange.cancel()
    exchange.cancel()
    record = watched.record()
    assert (record.status, record.reason) == (499, "client_gone")
    assert record.attempts[0].ending == "cancelled"


def test_an_attempt_is_told_its_own_span_and_the_request_is_as_it_was(watched: Watched) -> None:
    world = watched.world
    watched.begun(PARENT + "01")
    world.started(0).fail(CenterDown("gone"))
    world.started(1).answer()
    record = watched.record()
    assert record.trace is not None
    told = [parse_traceparent(world.started(row).attempt.traceparent) for row in (0, 1)]
    assert [each.span_id for each in told if each] == [a.span_id for a in record.attempts]
    assert len({a.span_id for a in record.attempts}) == 2
    assert {each.trace_id for each in told if each} == {record.trace.trace_id}
    assert all(each.sampled for each in told if each)
    first, second = (world.started(row).attempt for row in (0, 1))
    assert (first.body, first.deadline_s) == (second.body, second.deadline_s)
    assert watched.recorder.tracer is not None
    assert watched.recorder.tracer.take() == [record]


def test_a_trace_that_is_not_recorded_here_is_passed_on_as_it_came(world: Any) -> None:
    watched = Watched(world, logged=False)
    exchange = watched.begun(PARENT + "00")
    assert type(exchange) is Exchange
    assert world.started(0).attempt.traceparent == PARENT + "00"


def test_without_an_access_log_what_is_not_traced_is_not_recorded(world: Any) -> None:
    watched = Watched(world, logged=False)
    assert type(watched.begun()) is Exchange
    assert type(watched.begun(PARENT + "01")) is RecordedExchange


def test_without_traces_all_are_recorded_and_none_is_told_of_one(world: Any) -> None:
    watched = Watched(world, traced=False)
    assert type(watched.begun(PARENT + "01")) is RecordedExchange
    world.started(0).answer()
    assert watched.record().trace is None


def test_who_was_turned_away_is_logged(watched: Watched) -> None:
    watched.recorder.turned_away("r9", "mlp", 429, "no_capacity")
    assert watched.recorder.access_log is not None
    (line,) = watched.recorder.access_log.take()
    assert line == TurnedAway("r9", "mlp", 429, "no_capacity", watched.world.clock())
    Watched(watched.world, logged=False).recorder.turned_away("r9", "mlp", 429, "no_capacity")


def test_the_record_is_whole_when_it_is_handed_on(watched: Watched) -> None:
    """Nothing is written to it later: it is another thread's from then on."""
    world = watched.world
    watched.begun()
    world.started(0).in_parts(b"abc")
    record = watched.record()
    before = repr(record)
    world.clock.advance(60.0)
    assert repr(record) == before
    assert all(each.ending for each in record.attempts)


@pytest.mark.parametrize("traces", ["", "spans"])
async def test_either_lane_records_its_requests_and_who_was_turned_away(
    door: Any, traces: str
) -> None:
    client = await door(telemetry={"traces": traces})
    front = client.front
    tracer = Tracer(front.clock, Random(1), share=0.0, per_s_max=1e9)
    access_log = AccessLog(Random(1), share=1.0)
    front.recorder = Recorder(tracer, access_log, scorers, front.clock)
    front.collaborators = replace(front.collaborators, recorder=front.recorder)
    client.door.take(front)
    headers = {"Content-Type": "application/json", "traceparent": PARENT + "01"}
    for number, more in enumerate(({}, {}, {"x-request-timeout-ms": "soon"})):
        told = {**headers, "x-request-id": f"r{number}", **more}
        response = await client.post("/v2/models/mlp/infer", data=b"{}", headers=told)
        await response.read()
    first, second, refused = access_log.take()
    assert [each.request_id for each in (first, second, refused)] == ["r0", "r1", "r2"]
    assert [each.status for each in (first, second, refused)] == [200, 200, 400]
    assert isinstance(refused, TurnedAway)
    assert refused.reason == "invalid_request"
    asked = [one.attempt for one in front.ports[0].started]
    if not traces:
        assert [each.traceparent for each in asked] == ["", ""]
        assert tracer.take() == []
        return
    assert tracer.take() == [first, second]
    for record, attempt in zip((first, second), asked, strict=True):
        assert isinstance(record, RequestRecord)
        assert record.trace is not None
        assert f"{record.trace.trace_id:032x}" in PARENT
        assert f"{record.attempts[0].span_id:016x}" in attempt.traceparent
