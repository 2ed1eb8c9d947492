"""What threads reach the loop by."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving


async def test_work_of_a_thread_is_done_on_the_loop(make_front: Any) -> None:
    serving = Serving(make_front(), asyncio.get_running_loop())
    where: list[int] = []

    async def answer() -> int:
        return 42

    def thread() -> int:
        serving.on_loop(lambda: where.append(threading.get_ident()))
        return serving.run(answer()).result()

    assert await asyncio.to_thread(thread) == 42
    assert where == [threading.get_ident()]


def test_a_closed_loop_takes_no_more_and_that_is_no_error() -> None:
    loop = asyncio.new_event_loop()

    async def make(front: Any) -> Serving:
        return Serving(front, loop)

    class Front:
        center_ids = ()

    serving = loop.run_until_complete(make(Front()))
    loop.close()
    done: list[int] = []
    serving.on_loop(lambda: done.append(1))
    assert done == []


async def test_calls_go_by_the_front_taken_last(make_front: Any) -> None:
    first, second = make_front(), make_front()
    serving = Serving(first, asyncio.get_running_loop())
    models = serving.models
    serving.take(second)
    assert serving.front is second
    assert serving.models is not models


async def test_a_request_keeps_its_id_or_gets_one(make_front: Any) -> None:
    serving = Serving(make_front(), asyncio.get_running_loop())
    assert serving.request_id(CallHeaders((("x-request-id", "mine"),))) == "mine"
    assert serving.new_id() != serving.new_id()


async def test_it_is_ready_when_inference_may_enter_and_centers_suffice(make_front: Any) -> None:
    front = make_front()
    serving = Serving(front, asyncio.get_running_loop())
    assert serving.is_ready()
    front.unready = lambda: "too few centers"
    assert not serving.is_ready()
    front.unready, front.ready = str, lambda: False
    assert not serving.is_ready()
