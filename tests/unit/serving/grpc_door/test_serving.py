"""What calls share: the front in force, and tasks that are the door's."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving


async def test_a_task_is_the_doors_until_it_ends(make_front: Any) -> None:
    serving = Serving(make_front(), asyncio.get_running_loop())
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0)
        done.append(1)

    task = serving.spawn(work(), "one")
    assert serving.tasks == {task}
    assert task.get_name() == "one"
    await task
    assert done == [1]
    await asyncio.sleep(0)
    assert serving.tasks == set()


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
