from dataclasses import replace
from itertools import count
from math import inf

import pytest

from gateway.api import Decision, Query, Report
from gateway.telemetry.request_record import AttemptRecord, RequestRecord, Trace
from gateway.telemetry.spans import SpanMaker

QUERY = Query(0, "mlp", "acme", 100.0, 10)
CENTERS, ORIGINS = ("a", "b"), ("Wuhu",)
TRACE = Trace(1, 2, 3)


def maker(**changes: object) -> SpanMaker:
    numbers = count(100)
    return replace(SpanMaker(CENTERS, ORIGINS, lambda: next(numbers)), **changes)  # type: ignore[arg-type]


def an_attempt(center: int, span_id: int, asked_s: float, ended_s: float) -> AttemptRecord:
    decision = Decision(QUERY, center, 5.0, 1 - center, 9.0, (4.0, 1.0), 1.0)
    return AttemptRecord(
        decision,
        ("network", "queue"),
        asked_s,
        span_id,
        ended_s=ended_s,
        attempt_ms=(ended_s - asked_s) * 1e3,
        ending="answer",
        report=Report(1.0, 2.0),
    )


def a_record() -> RequestRecord:
    failed = an_attempt(0, 11, 10.001, 10.005)
    failed.ending, failed.reason, failed.report = "error", "center_down", None
    return RequestRecord(
        *("id-1", "mlp", "", "", 0, "acme", 10.0, 10, TRACE),
        began_s=10.0005,
        decided_s=10.001,
        ended_s=10.016,
        served="mlp",
        status=200,
        center=1,
        parts_ms=(6.0, 7.0, 1.0, 2.0),
        report=Report(1.0, 2.0),
        attempts=[failed, an_attempt(1, 12, 10.005, 10.015)],
    )


def test_of_a_request_that_is_not_traced_there_are_none() -> None:
    record = a_record()
    record.trace = None
    assert maker().spans(record) == []


def test_the_request_the_decision_and_both_attempts() -> None:
    spans = maker().spans(a_record())
    assert [(s.name, s.kind, s.span_id, s.parent_id) for s in spans] == [
        ("infer mlp", "server", 2, 3),
        ("decide", "internal", 100, 2),
        ("attempt", "client", 11, 2),
        ("attempt", "client", 12, 2),
    ]
    assert {s.trace_id for s in spans} == {1}
    request, decide, failed, answered = spans
    assert [s.remote for s in spans] == [True, False, False, False]
    assert (request.start_s, request.end_s) == (10.0, 10.016)
    assert (decide.start_s, decide.end_s) == (10.0005, 10.001)
    assert [s.error for s in spans] == ["", "", "center_down", ""]
    assert request.attributes["nearway.center"] == "b"
    assert request.attributes["nearway.gateway_ms"] == 6.0
    assert request.attributes["nearway.attempts"] == 2
    assert decide.attributes["nearway.center"] == "a"
    assert failed.attributes["error.type"] == "center_down"
    assert "nearway.queue_ms" not in failed.attributes
    assert answered.attributes == {
        "nearway.center": "b",
        "nearway.predicted.network_ms": 4.0,
        "nearway.predicted.queue_ms": 1.0,
        "nearway.predicted_ms": 5.0,
        "nearway.runner_up": "a",
        "nearway.runner_up_ms": 9.0,
        "nearway.attempt": 2,
        "nearway.hedge": False,
        "nearway.ending": "answer",
        "nearway.attempt_ms": 10.0,
        "nearway.network_ms": 7.0,
        "nearway.queue_ms": 1.0,
        "nearway.service_ms": 2.0,
    }


def test_queue_and_compute_stand_in_the_middle_of_an_attempt_in_this_process() -> None:
    spans = maker(here={1}).spans(a_record())
    assert [s.name for s in spans[-2:]] == ["queue", "compute"]
    queue, compute = spans[-2:]
    assert {queue.parent_id, compute.parent_id} == {12}
    assert queue.start_s == pytest.approx(10.0085)
    assert queue.end_s == compute.start_s == pytest.approx(10.0095)
    assert compute.end_s == pytest.approx(10.0115)


def test_a_center_shows_itself_alone() -> None:
    spans = maker(center=True).spans(a_record())
    assert [(s.name, s.kind, s.parent_id) for s in spans] == [
        ("center", "server", 3),
        ("queue", "internal", 2),
        ("compute", "internal", 2),
    ]
    assert "nearway.attempts" not in spans[0].attributes


def test_durations_longer_than_what_they_stand_in_do_not_begin_before_it() -> None:
    record = a_record()
    record.report = Report(500.0, 600.0)
    whole, queue, _ = maker(center=True).spans(record)
    assert queue.start_s == whole.start_s


def test_a_request_that_was_refused_is_one_span_with_its_reason() -> None:
    record = a_record()
    record.attempts, record.parts_ms, record.center = [], None, -1
    record.status, record.reason = 503, "no_center"
    (span,) = maker().spans(record)
    assert span.error == "no_center"
    assert span.attributes["http.response.status_code"] == 503


def test_what_the_client_did_wrong_is_no_error_of_the_span() -> None:
    record = a_record()
    record.attempts, record.parts_ms, record.center = [], None, -1
    record.status, record.reason = 404, "not_found"
    (span,) = maker().spans(record)
    assert span.error == ""
    assert span.attributes["error.type"] == "not_found"


def test_a_text_is_named_by_the_conventions_for_generative_ai() -> None:
    record = a_record()
    record.route = "chat/completions"
    span = maker().spans(record)[0]
    assert span.name == "chat/completions mlp"
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["gen_ai.request.model"] == "mlp"


def test_a_trace_that_begins_here_has_no_parent() -> None:
    record = a_record()
    record.trace = Trace(1, 2, 0)
    request = maker().spans(record)[0]
    assert (request.parent_id, request.remote) == (0, False)


def test_what_is_not_finite_is_left_out() -> None:
    record = a_record()
    record.attempts = record.attempts[1:]
    decision = record.attempts[0].decision
    decision.predicted_ms, decision.runner_up, decision.runner_up_ms = inf, -1, inf
    attributes = maker().spans(record)[1].attributes
    assert {"nearway.predicted_ms", "nearway.runner_up", "nearway.runner_up_ms"}.isdisjoint(
        attributes
    )
