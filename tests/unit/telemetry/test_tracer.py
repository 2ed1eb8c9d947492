from random import Random

import pytest

from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.tracer import KEPT_MAX, Tracer, traceparent_of
from gateway.wire.traceparent import parse_traceparent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


def tracer(share: float = 0.0, per_s_max: float = 1e9, clock: Clock | None = None) -> Tracer:
    return Tracer(clock or Clock(), Random(1), share=share, per_s_max=per_s_max)


def record() -> RequestRecord:
    return RequestRecord("id", "mlp", "", "", 0, "anonymous", 0.0)


def test_a_client_that_is_traced_goes_on_in_its_trace() -> None:
    trace = tracer().begin(PARENT + "01")
    assert trace is not None
    assert f"{trace.trace_id:032x}" in PARENT
    assert f"{trace.parent_id:016x}" in PARENT
    assert trace.span_id not in (0, trace.parent_id)


def test_a_client_that_is_not_traced_is_not_however_large_the_share() -> None:
    assert tracer(share=1.0).begin(PARENT + "00") is None


@pytest.mark.parametrize("given", ["", "nonsense", PARENT + "zz"])
def test_of_the_others_the_share_is_traced(given: str) -> None:
    assert tracer(share=0.0).begin(given) is None
    sampling = tracer(share=0.25)
    traces = [trace for _ in range(4000) if (trace := sampling.begin(given)) is not None]
    assert 900 < len(traces) < 1100
    assert len({trace.trace_id for trace in traces}) == len(traces)
    assert {trace.parent_id for trace in traces} == {0}


def test_whoever_asks_no_more_than_the_bound_are_traced() -> None:
    clock = Clock()
    bounded = tracer(share=1.0, per_s_max=5.0, clock=clock)
    assert sum(bounded.begin(PARENT + "01") is not None for _ in range(20)) == 5
    assert bounded.over == 15
    assert bounded.begin("") is None
    clock.now += 0.4
    assert [bounded.begin("") is not None for _ in range(3)] == [True, True, False]


def test_a_bound_below_one_a_second_still_traces_one_now_and_then() -> None:
    clock = Clock()
    bounded = tracer(share=1.0, per_s_max=0.1, clock=clock)
    assert [bounded.begin("") is not None for _ in range(2)] == [True, False]
    clock.now += 10.1
    assert bounded.begin("") is not None


def test_what_nobody_fetches_is_dropped_and_counted() -> None:
    full = tracer()
    for _ in range(KEPT_MAX + 3):
        full.ended(record())
    assert full.dropped == 3
    assert len(full.take()) == KEPT_MAX
    assert full.take() == []


def test_what_is_told_to_a_center_is_read_by_it() -> None:
    one = tracer(share=1.0)
    trace = one.begin("")
    assert trace is not None
    told = parse_traceparent(traceparent_of(trace, 7))
    assert told is not None
    assert (told.trace_id, told.span_id, told.sampled) == (trace.trace_id, 7, True)
