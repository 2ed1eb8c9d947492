"""Rows by id; a generation waits for what it charged. The rest: ``test_reload``."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from gateway.api import Center, Location
from gateway.runtime.generation import Generation, rows_by_id


def deciding(*names: str) -> Any:
    centers = [Center(name, name, "z", name, "CN", Location(30.0, 120.0)) for name in names]
    return SimpleNamespace(centers=tuple(centers))


def test_rows_of_those_that_are_in_both() -> None:
    assert rows_by_id(deciding("a", "b", "c"), deciding("c", "x", "a")) == {0: 2, 2: 0}
    assert rows_by_id(deciding("a"), deciding("b")) == {}


def test_a_lost_connection_is_told_to_the_fleet_by_its_row() -> None:
    told: list[Any] = []
    fleet = SimpleNamespace(reach_changed=lambda row, **how: told.append((row, how)))
    it = SimpleNamespace(
        _row_of={"a": 0, "b": 1},
        deciding=SimpleNamespace(fleet=fleet),
        lasting=SimpleNamespace(line=SimpleNamespace(now=lambda: 7.0)),
    )
    Generation.reach_changed(cast(Any, it), "b", False)
    Generation.reach_changed(cast(Any, it), "of another config", False)
    assert told == [(1, {"reachable": False, "now": 7.0})]


def generation(in_flight: int) -> Any:
    line = SimpleNamespace(now=asyncio.get_running_loop().time)
    return SimpleNamespace(
        deciding=SimpleNamespace(fleet=SimpleNamespace(in_flight=in_flight)),
        lasting=SimpleNamespace(line=line),
    )


async def test_it_is_emptied_when_the_last_has_ended_or_it_takes_too_long() -> None:
    busy = generation(1)
    assert not await Generation.emptied(cast(Any, busy), 0.0)
    waiting = asyncio.create_task(Generation.emptied(cast(Any, busy), 60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    busy.deciding.fleet.in_flight = 0
    assert await waiting
