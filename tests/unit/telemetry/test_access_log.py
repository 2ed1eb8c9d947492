import json
from random import Random

import pytest

from gateway.api import Decision, Query, Report
from gateway.telemetry.access_log import KEPT_MAX, AccessLog, LineMaker, TurnedAway
from gateway.telemetry.request_record import AttemptRecord, RequestRecord, Trace

MAKER = LineMaker(("a", "b"), ("Wuhu",))


def a_record(status: int = 200, reason: str = "") -> RequestRecord:
    query = Query(0, "mlp", "acme", 100.0, 10)
    decision = Decision(query, 1, 5.0, 0, 9.0, (4.0, 1.0), 1.0)
    attempt = AttemptRecord(decision, ("network", "queue"), 10.0, 7, ended_s=10.01)
    attempt.attempt_ms, attempt.ending, attempt.report = 10.0, "answer", Report(1.0, 2.0)
    return RequestRecord(
        *("id-1", "mlp", "", "", 0, "acme", 10.0, 10),
        ended_s=10.0125,
        served="mlp",
        status=status,
        reason=reason,
        center=1,
        parts_ms=(2.5, 7.0, 1.0, 2.0),
        attempts=[attempt],
    )


def told(record: RequestRecord | TurnedAway) -> dict[str, object]:
    text = MAKER.lines([record], 1_000_000.0)
    assert text.endswith(b"\n")
    line: dict[str, object] = json.loads(text)
    return line


def test_a_line_says_what_happened() -> None:
    assert told(a_record()) == {
        "time": "1970-01-12T13:46:50.012+00:00",
        "request_id": "id-1",
        "model": "mlp",
        "status": 200,
        "origin": "Wuhu",
        "tenant": "acme",
        "body_bytes": 10,
        "total_ms": 12.5,
        "center": "b",
        "gateway_ms": 2.5,
        "network_ms": 7.0,
        "queue_ms": 1.0,
        "service_ms": 2.0,
        "attempts": [{"center": "b", "predicted_ms": 5.0, "attempt_ms": 10.0, "ending": "answer"}],
    }


def test_what_is_rare_is_said_where_it_is() -> None:
    record = a_record(200)
    record.version, record.route, record.served = "2", "chat/completions", "mlp-small"
    record.trace = Trace(255, 2, 0)
    record.attempts[0].hedge, record.attempts[0].reason = True, "outrun"
    line = told(record)
    assert line["version"] == "2"
    assert line["route"] == "chat/completions"
    assert line["degraded_to"] == "mlp-small"
    assert line["trace_id"] == f"{255:032x}"
    (attempt,) = line["attempts"]  # type: ignore[misc]
    assert (attempt["hedge"], attempt["reason"]) == (True, "outrun")


def test_who_was_turned_away_has_a_reason_and_no_way() -> None:
    line = told(TurnedAway("id-2", "m" * 5000, 400, "invalid_request", 10.0))
    assert line == {
        "time": "1970-01-12T13:46:50.000+00:00",
        "request_id": "id-2",
        "model": "m" * 256,
        "status": 400,
        "reason": "invalid_request",
    }


def test_a_name_cannot_end_a_line() -> None:
    record = a_record()
    record.request_id = 'x"\n{"status":200}'
    assert MAKER.lines([record], 0.0).count(b"\n") == 1


def test_answers_are_sampled_and_errors_are_all_there() -> None:
    log = AccessLog(Random(1), share=0.25)
    for _ in range(4000):
        log.ended(a_record())
    assert 900 < len(log.take()) < 1100
    for status in (400, 429, 499, 503):
        log.ended(a_record(status, "x"))
    log.turned_away(TurnedAway("id", "m", 400, "invalid_request", 1.0))
    assert [each.status for each in log.take()] == [400, 429, 499, 503, 400]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_and_all(share: float) -> None:
    log = AccessLog(Random(1), share=share)
    for _ in range(100):
        log.ended(a_record())
    assert len(log.take()) == 100 * share


def test_what_nobody_fetches_is_dropped_and_counted() -> None:
    log = AccessLog(Random(1), share=1.0)
    for _ in range(KEPT_MAX + 2):
        log.ended(a_record())
    assert log.dropped == 2
    assert len(log.take()) == KEPT_MAX
