"""One inference: it tells its call once, leaves what it entered, and cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.api import CenterDown, NearwayError, NoCenter, Report, TooLarge
from gateway.centers.port import Answered, Chunk, Head
from gateway.serving.grpc_door.infer_call import Asked, InferCall
from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.recording import Recorder
from gateway.telemetry.access_log import AccessLog
from gateway.telemetry.tracer import Tracer

HEAD = b'{"model_name":"mlp","outputs":[]}'


def asked(front: Any, **given: Any) -> Asked:
    headers = CallHeaders(tuple(given.pop("metadata", {}).items()))
    told = {"model": "mlp", "body": b"{}", "peer": "127.0.0.1", "left_ms": None, "own_ms": None}
    told |= given
    return Asked(
        told["model"],
        "",
        "id",
        told["body"],
        2,
        headers,
        told["peer"],
        told["left_ms"],
        told["own_ms"],
        "r-1",
        front.clock(),
    )


Begin = Callable[..., tuple[InferCall, asyncio.Future[InferCall], list[InferCall]]]


def begun(front: Any, **given: Any) -> tuple[InferCall, list[InferCall]]:
    told: list[InferCall] = []
    serving = Serving(front, asyncio.get_running_loop())
    call = InferCall(asked(front, **given), serving, told.append)
    call.begin()
    return call, told


def nothing_is_left(front: Any) -> bool:
    return front.metrics.in_flight == 0 and front.router.open == []


async def test_an_answer_is_told_once_with_its_trailers(make_front: Any, until: Any) -> None:
    front = make_front()
    call, told = begun(front)
    await until(lambda: call.done)
    assert told == [call]
    assert call.error is None
    assert call.payload == HEAD
    trailers = dict(call.trailers)
    assert trailers["x-request-id"] == "r-1"
    assert trailers["x-nearway-center"] == "c0"
    assert "service;dur=1.5" in trailers["server-timing"]
    assert "content-type" not in trailers
    assert nothing_is_left(front)


async def test_an_answer_in_parts_is_whole(make_front: Any, until: Any) -> None:
    front = make_front()
    for port in front.ports:
        port.script = lambda one: one.in_parts(HEAD)
    call, _ = begun(front)
    await until(lambda: call.done)
    assert call.payload == HEAD


async def test_an_answer_that_is_too_large_ends_it_and_the_attempt(
    make_front: Any, until: Any
) -> None:
    front = make_front(remote={"answer_bytes_max": 4})
    for port in front.ports:
        port.script = None
    call, told = begun(front)
    one = front.ports[0].started[0]
    one.hear(Head(200, "application/json", None))
    one.hear(Chunk(b"12345"))
    await until(lambda: call.done)
    assert told == [call]
    assert "more than 4 bytes" in str(call.error)
    assert one.cancelled
    assert nothing_is_left(front)


async def test_a_center_that_fails_is_told_as_it_is(make_front: Any, until: Any) -> None:
    front = make_front(1, attempts={"max": 1})
    front.ports[0].script = lambda one: one.fail(CenterDown("gone"))
    call, told = begun(front)
    await until(lambda: call.done)
    assert told == [call]
    assert isinstance(call.error, NearwayError)
    assert "gone" in str(call.error)
    assert nothing_is_left(front)


async def test_when_nobody_is_eligible_the_model_door_is_asked_why(
    make_front: Any, until: Any
) -> None:
    front = make_front()
    front.router.refusal = NoCenter("nobody")
    call, _ = begun(front, model="unknown")
    await until(lambda: call.done)
    assert "declared by no center" in str(call.error)


async def test_a_client_that_goes_cancels_the_attempt_and_hears_nothing(make_front: Any) -> None:
    front = make_front()
    for port in front.ports:
        port.script = None
    call, told = begun(front)
    call.cancel()
    call.cancel()
    assert front.ports[0].started[0].cancelled
    assert told == []
    assert nothing_is_left(front)


async def test_a_call_cancelled_before_it_began_begins_nothing(make_front: Any) -> None:
    front = make_front()
    told: list[InferCall] = []
    call = InferCall(asked(front), Serving(front, asyncio.get_running_loop()), told.append)
    call.cancel()
    call.begin()
    assert not any(port.started for port in front.ports)
    assert told == []


async def test_what_cannot_enter_is_refused_and_counted(make_front: Any) -> None:
    front = make_front(server={"body_bytes_max": 1})
    call, told = begun(front)
    assert told == [call]
    assert isinstance(call.error, TooLarge)
    front.ready = lambda: False
    call, _ = begun(front, body=b"")
    assert isinstance(call.error, NoCenter)
    assert nothing_is_left(front)


@pytest.mark.parametrize(
    ("given", "budget_ms"),
    [
        ({}, 30_000.0),
        ({"left_ms": 500.0}, 500.0),
        ({"left_ms": 1e9}, 30_000.0),
        ({"left_ms": 500.0, "metadata": {"x-request-timeout-ms": "40"}}, 40.0),
        ({"left_ms": 20.0, "metadata": {"x-request-timeout-ms": "40"}}, 20.0),
        ({"left_ms": 500.0, "own_ms": 40.0, "body": b'{"parameters":{"timeout":40000}}'}, 40.0),
        ({"left_ms": 20.0, "own_ms": 40.0, "body": b'{"parameters":{"timeout":40000}}'}, 20.0),
    ],
)
async def test_the_shortest_deadline_counts(
    make_front: Any, given: dict[str, Any], budget_ms: float
) -> None:
    front = make_front()
    told = asked(front, **given)
    told.head_bytes = len(told.body)
    call = InferCall(told, Serving(front, asyncio.get_running_loop()), lambda _: None)
    call.begin()
    assert front.router.committed[0].query.deadline_ms == pytest.approx(budget_ms, abs=5.0)
    call.cancel()


async def test_who_is_not_trusted_says_nothing_of_origin_and_tenant(make_front: Any) -> None:
    front = make_front()
    metadata = {"x-nearway-origin": "Beijing", "x-nearway-tenant": "t"}
    begun(front, metadata=metadata, peer="127.0.0.1")[0].cancel()
    begun(front, metadata=metadata, peer="10.9.9.9")[0].cancel()
    trusted, other = (decision.query for decision in front.router.committed)
    assert (trusted.vantage, trusted.tenant) == (1, "t")
    assert (other.vantage, other.tenant) == (0, "anonymous")


async def test_a_traced_call_is_recorded_in_its_clients_trace(make_front: Any) -> None:
    front = make_front(telemetry={"traces": "spans"})
    tracer = Tracer(front.clock, Random(1), share=0.0, per_s_max=1e9)
    recorder = Recorder(tracer, None, tuple, front.clock)
    front.collaborators = replace(front.collaborators, recorder=recorder)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    begun(front, metadata=metadata, peer="127.0.0.1")[0].cancel()
    begun(front, metadata=metadata, peer="10.9.9.9")[0].cancel()
    assert trace in front.ports[0].started[0].attempt.traceparent
    (record,) = tracer.take()
    assert record.trace is not None
    assert f"{record.trace.trace_id:032x}" == trace
    assert record.status == 499


async def test_who_was_turned_away_is_logged(make_front: Any) -> None:
    front = make_front()
    access_log = AccessLog(Random(1), share=1.0)
    front.recorder = Recorder(None, access_log, tuple, front.clock)
    begun(front, metadata={"x-request-timeout-ms": "soon"})
    (line,) = access_log.take()
    assert (line.request_id, line.model) == ("r-1", "mlp")
    assert (line.status, line.reason) == (400, "invalid_request")


async def test_a_streams_report_ends_it(make_front: Any) -> None:
    front = make_front()
    for port in front.ports:
        port.script = None
    call, told = begun(front)
    one = front.ports[0].started[0]
    one.hear(Head(200, "application/json", None))
    one.hear(Chunk(HEAD[:5]))
    assert told == []
    one.hear(Chunk(HEAD[5:]))
    one.hear(Answered(Report(0.5, 1.5), None))
    assert told == [call]
    assert call.payload == HEAD
