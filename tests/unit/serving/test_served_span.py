from __future__ import annotations

from random import Random
from typing import Any

import pytest

from gateway.api import Overloaded, Report
from gateway.centers.port import Answered, Attempt, Chunk, Failed, Head, Sent, Whole
from gateway.serving.served_span import ServedSpan
from gateway.telemetry.request_record import Trace
from gateway.telemetry.tracer import Tracer

TRACE = Trace(1, 2, 3)
REPORT = Report(1.0, 2.0)
ENDS: dict[str, tuple[list[Any], int, str]] = {
    "whole": ([Sent(), Whole(200, "application/json", None, b"x", REPORT, None)], 200, ""),
    "in parts": (
        [Head(200, "application/json", None), Chunk(b"x"), Answered(REPORT, None)],
        200,
        "",
    ),
    "failed": ([Failed(Overloaded("full"), REPORT)], Overloaded("").http_status, "overloaded"),
}


@pytest.mark.parametrize("how", ENDS)
def test_every_event_is_passed_on_and_the_end_is_a_record(world: Any, how: str) -> None:
    events, status, reason = ENDS[how]
    heard: list[Any] = []
    tracer = Tracer(world.clock, Random(1), share=0.0, per_s_max=1e9)
    attempt = Attempt("r1", 4, "mlp", "", b"body", None, 130.0)
    span = ServedSpan(tracer, TRACE, attempt, 7, world.clock, heard.append)
    for event in events:
        world.clock.advance(0.005)
        assert tracer.take() == []
        span.hear(event)
    assert heard == events
    (record,) = tracer.take()
    assert (record.trace, record.center, record.vantage) == (TRACE, 7, 4)
    assert (record.status, record.reason, record.report) == (status, reason, REPORT)
    assert record.ended_s - record.arrived_s == pytest.approx(0.005 * len(events))
