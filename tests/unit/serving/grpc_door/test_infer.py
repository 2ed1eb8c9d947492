"""``ModelInfer`` over a socket: answers, errors, deadlines, and clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import DeadlineExceeded, InvalidRequest
from gateway.serving.grpc_door.infer import parse, read_asked
from gateway.serving.grpc_door.invocation import CallHead, CallHeaders


def never(port: Any) -> None:
    port.script = None


@pytest.mark.parametrize("raw", [True, False])
async def test_an_answer_has_the_requests_id_and_trailers(
    grpc_door: Any, request_of: Any, raw: bool
) -> None:
    client = await grpc_door()
    told = await client("ModelInfer", request_of(raw=raw, id_="i-1"), x_request_id="r-7")
    assert (told.code, told.answer.id, told.answer.model_name) == ("OK", "i-1", "mlp")
    assert told.trailers["x-request-id"] == "r-7"
    assert told.trailers["x-nearway-center"] == "c0"
    attempt = client.front.ports[0].started[0].attempt
    assert attempt.body[attempt.head_bytes :] == b"\x00\x00\x80\x3f" * 4


async def test_what_is_wrong_with_a_message_is_told(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door()
    request = request_of(raw=False)
    request.inputs[0].shape[0] = 2
    told = await client("ModelInfer", request)
    assert told.code == "INVALID_ARGUMENT"
    assert "contents.fp32_contents has 4 elements" in told.details
    assert told.trailers["x-nearway-reason"] == "invalid_request"


async def test_an_answer_that_is_none_is_the_centers_fault(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door()
    client.front.ports[0].script = lambda one: one.answer(b"[]")
    told = await client("ModelInfer", request_of())
    assert told.code == "INTERNAL"
    assert "the center's answer is none of the protocol" in told.details


async def test_a_client_that_cancels_ends_the_attempt(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door()
    for port in client.front.ports:
        never(port)
    call = client.begin("ModelInfer", request_of())
    await until(lambda: client.front.ports[0].started)
    one = client.front.ports[0].started[0]
    assert call.cancel()
    await until(lambda: one.cancelled)
    await until(lambda: client.front.metrics.in_flight == 0)
    assert client.front.router.outcomes[0].ending == "cancelled"
    assert client.front.router.open == []


async def test_a_deadline_that_passes_ends_the_attempt(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door(attempts={"max": 1})
    for port in client.front.ports:
        never(port)
    told = await client("ModelInfer", request_of(), timeout=0.1)
    assert told.code == "DEADLINE_EXCEEDED"
    await until(lambda: client.front.metrics.in_flight == 0)
    assert client.front.ports[0].started[0].cancelled


async def test_a_gateway_that_drains_says_so(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door()
    client.front.ready = lambda: False
    told = await client("ModelInfer", request_of())
    assert told.code == "UNAVAILABLE"
    assert "starting or draining" in told.details
    assert told.trailers["retry-after"] == "1"


async def test_many_calls_at_once_get_their_own_answers(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door(server={"grpc_calls_max": 16})
    ids = [f"i-{number}" for number in range(12)]
    told = await asyncio.gather(*(client("ModelInfer", request_of(id_=one)) for one in ids))
    assert [one.answer.id for one in told] == ids
    assert client.front.metrics.in_flight == 0


class OneCall:
    """What is read of a call beside its message."""

    def __init__(self, left_ms: float | None) -> None:
        self.head = CallHead("/x", None, CallHeaders(()))
        self.peer = "10.0.0.1"
        self._left_ms = left_ms

    def left_ms(self) -> float | None:
        return self._left_ms


def test_a_message_is_read_with_peer_and_deadline(request_of: Any) -> None:
    request = request_of(id_="i")
    request.model_version = "2"
    request.parameters["timeout"].int64_param = 1000
    call: Any = OneCall(250.0)
    told = read_asked(request, call, "r", 7.0)
    assert (told.model, told.version, told.id, told.peer) == ("mlp", "2", "i", "10.0.0.1")
    assert (told.left_ms, told.own_ms, told.arrived_s) == (250.0, 1.0, 7.0)
    assert told.headers is call.head.headers


def test_a_message_without_a_model_is_refused(request_of: Any) -> None:
    call: Any = OneCall(None)
    with pytest.raises(InvalidRequest, match="model_name"):
        read_asked(request_of(model=""), call, "r", 7.0)


def test_a_deadline_that_has_passed_is_told(request_of: Any) -> None:
    call: Any = OneCall(0.0)
    with pytest.raises(DeadlineExceeded, match="had passed"):
        read_asked(request_of(), call, "r", 7.0)


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"no inference\.ModelInferRequest"):
        parse(b"\xff\xff")


async def test_a_defect_is_told_by_the_id_alone(
    grpc_door: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await grpc_door()

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("gateway.serving.grpc_door.infer.oip_body", broken)
    told = await client("ModelInfer", request_of(), x_request_id="r-9")
    assert told.code == "INTERNAL"
    assert "secret" not in told.details
    assert "r-9" in told.details
    monkeypatch.undo()
    assert (await client("ModelInfer", request_of())).code == "OK"
