"""Which centers are asked about a model, and what their answers add up to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import CenterDown, DeadlineExceeded, NotFound
from gateway.serving.models import ModelDoor


async def test_healthy_centers_are_asked_first(make_front: Any) -> None:
    front = make_front()
    front.healthy = lambda row: row == 2
    await ModelDoor(front).metadata("mlp", "")
    assert [len(port.calls) for port in front.ports] == [0, 0, 1]


async def test_a_center_without_the_model_or_silent_is_passed_over(make_front: Any) -> None:
    front = make_front()
    front.ports[0].models.clear()
    front.ports[1].refusals["config"] = CenterDown("gone")
    assert (await ModelDoor(front).config("mlp", ""))["name"] == "mlp"
    assert front.ports[2].calls == [("config", "mlp")]


async def test_when_all_are_silent_it_is_a_center_error(make_front: Any) -> None:
    front = make_front()
    for port in front.ports:
        port.refusals["metadata"] = CenterDown("gone")
    with pytest.raises(CenterDown, match=r"'mlp'.*gone"):
        await ModelDoor(front).metadata("mlp", "")


async def test_a_model_nobody_declares_asks_nobody(make_front: Any) -> None:
    front = make_front()
    with pytest.raises(NotFound, match="declared by no center"):
        await ModelDoor(front).metadata("other", "")
    assert not any(port.calls for port in front.ports)


async def test_an_unload_is_done_when_one_had_it(make_front: Any) -> None:
    front = make_front()
    front.ports[0].models.clear()
    await ModelDoor(front).unload("mlp")
    assert front.ports[1].models == {"mlp": False}


async def test_an_index_leaves_silent_centers_out(make_front: Any) -> None:
    front = make_front()
    front.ports[0].refusals["index"] = CenterDown("gone")
    lines = await ModelDoor(front).index(only_ready=False)
    assert [(line.name, line.state) for line in lines] == [("mlp", "READY")]


async def test_a_defect_of_a_port_is_not_hidden(make_front: Any) -> None:
    front = make_front()
    front.ports[0].refusals["load"] = RuntimeError("defect")
    with pytest.raises(RuntimeError, match="defect"):
        await ModelDoor(front).load("mlp")


async def test_centers_that_never_answer_end_at_the_deadline(make_front: Any) -> None:
    front = make_front(attempts={"deadline_ms": 10.0})

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    for port in front.ports:
        port.metadata = never
    with pytest.raises(DeadlineExceeded, match=r"attempts\.deadline_ms = 10"):
        await ModelDoor(front).metadata("mlp", "")
