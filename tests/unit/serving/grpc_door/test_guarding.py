"""Whatever a method raises ends its call with a status, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.api import NearwayError, NotFound
from gateway.serving.grpc_door.guarding import asked, in_a_task
from gateway.serving.grpc_door.invocation import CallHead, CallHeaders
from gateway.serving.grpc_door.messages import message
from gateway.serving.grpc_door.serving import Serving

Request = message("ModelReadyRequest")


class OneCall:
    """What is told to it."""

    def __init__(self) -> None:
        self.head = CallHead("/x", None, CallHeaders((("x-request-id", "r-1"),)))
        self.request_id = ""
        self.on_over: Any = None
        self.answers: list[bytes] = []
        self.errors: list[NearwayError] = []

    def answer(self, told: bytes) -> None:
        self.answers.append(told)

    def fail(self, error: NearwayError) -> None:
        self.errors.append(error)

    def expire_in_time(self) -> None:
        pass


@pytest.fixture
async def serving(make_front: Any) -> Serving:
    return Serving(make_front(), asyncio.get_running_loop())


async def told(serving: Serving, method: Callable[[Any], Awaitable[Any]], raw: bytes) -> OneCall:
    call: Any = OneCall()
    asked(method, Request, serving)(call, raw)
    await asyncio.gather(*serving.tasks, return_exceptions=True)
    return call  # type: ignore[no-any-return]


def failing(error: Exception) -> Any:
    async def method(_request: Any) -> Any:
        raise error

    return method


async def test_an_answer_passes(serving: Serving) -> None:
    async def same(request: Any) -> Any:
        return request

    raw = Request(name="mlp").SerializeToString()
    call = await told(serving, same, raw)
    assert (call.answers, call.errors, call.request_id) == ([raw], [], "r-1")
    assert call.on_over is None


async def test_an_error_of_ours_is_told(serving: Serving) -> None:
    call = await told(serving, failing(NotFound("no such model")), b"")
    assert [str(error) for error in call.errors] == ["no such model"]
    assert call.answers == []


async def test_a_defect_is_logged_and_told_by_the_id_alone(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        call = await told(serving, failing(RuntimeError("secret")), b"")
    [error] = call.errors
    assert "secret" not in str(error)
    assert "r-1" in str(error)
    assert "secret" in caplog.text


async def test_bytes_that_are_no_message_are_told_by_its_name(serving: Serving) -> None:
    call = await told(serving, failing(RuntimeError()), b"\xff\xff")
    assert "inference.ModelReadyRequest" in str(call.errors[0])


async def test_a_call_that_is_over_ends_its_task(serving: Serving) -> None:
    begun = asyncio.Event()

    async def forever(_call: Any, _request: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    call: Any = OneCall()
    in_a_task(forever, Request, serving)(call, b"")
    await begun.wait()
    call.on_over()
    await asyncio.gather(*serving.tasks, return_exceptions=True)
    assert (call.answers, call.errors) == ([], [])
    assert serving.tasks == set()
