"""Whatever a method raises ends its call with a status, and nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api import NotFound
from gateway.serving.grpc_door.guarding import guarded, guarded_stream
from gateway.serving.grpc_door.serving import Serving


class Aborted(Exception):
    pass


class Context:
    """Of a call with an id of its own."""

    def __init__(self) -> None:
        self.trailers: dict[str, str] = {}
        self.code, self.details = "", ""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", "r-1"),)

    def set_trailing_metadata(self, pairs: Any) -> None:
        self.trailers = dict(pairs)

    def abort(self, code: Any, details: str) -> None:
        self.code, self.details = code.name, details
        raise Aborted


@pytest.fixture
async def serving(make_front: Any) -> Serving:
    return Serving(make_front(), asyncio.get_running_loop())


def failing(error: Exception) -> Any:
    def method(_request: Any, _context: Any, _request_id: str) -> Any:
        raise error

    return method


def failing_late(error: Exception) -> Any:
    def method(_request: Any, _context: Any, _request_id: str) -> Iterator[int]:
        yield 1
        raise error

    return method


async def test_an_answer_passes(serving: Serving) -> None:
    told = guarded(lambda request, _context, id_: (request, id_), serving)("q", Context())
    assert told == ("q", "r-1")


async def test_an_error_of_ours_is_a_status_with_its_message(serving: Serving) -> None:
    context = Context()
    with pytest.raises(Aborted):
        guarded(failing(NotFound("no such model")), serving)("q", context)
    assert (context.code, context.details) == ("NOT_FOUND", "no such model")
    assert context.trailers == {"x-request-id": "r-1", "x-nearway-reason": "not_found"}


async def test_a_defect_is_logged_and_told_by_the_id_alone(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context()
    with caplog.at_level(logging.ERROR), pytest.raises(Aborted):
        guarded(failing(RuntimeError("secret")), serving)("q", context)
    assert context.code == "INTERNAL"
    assert "secret" not in context.details
    assert "r-1" in context.details
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "code"), [(NotFound("gone"), "NOT_FOUND"), (ValueError("x"), "INTERNAL")]
)
async def test_a_stream_keeps_what_came_before_its_error(
    serving: Serving, error: Exception, code: str
) -> None:
    context = Context()
    told = guarded_stream(failing_late(error), serving)("q", context)
    assert next(told) == 1
    with pytest.raises(Aborted):
        next(told)
    assert context.code == code


async def test_a_stream_ends_well(serving: Serving) -> None:
    def method(_request: Any, _context: Any, _request_id: str) -> Iterator[int]:
        yield from (1, 2)

    assert list(guarded_stream(method, serving)("q", Context())) == [1, 2]
