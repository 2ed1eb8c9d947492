"""Keeping a child running, on a clock of the test's: pauses, patience, and its end."""

import asyncio
from typing import Any, cast

import pytest

from gateway.runtime.child_process import ChildLost, ChildProcess
from gateway.runtime.crash_loop import CrashLoop
from gateway.runtime.keeper import Keeper

DEATHS_MAX, WINDOW_S = 5, 30.0


class FakeChild:
    """Lives for ``lives_s`` of the test's clock."""

    name = "worker 0"

    def __init__(self, world: "World", lives_s: float) -> None:
        self._world = world
        self._lives_s = lives_s
        self.started_s = world.now

    async def ended(self) -> int:
        if self._lives_s == float("inf"):
            await asyncio.Event().wait()
        self._world.now += self._lives_s
        return -9

    async def end(self, *, within_s: float) -> int:
        return -9

    def __str__(self) -> str:
        return self.name


class World:
    """The children to come, by how long they live; "broken" ones do not start."""

    def __init__(self, *lives: float | str) -> None:
        self.now = 0.0
        self.paused: list[float] = []
        self.lost = 0
        self.restarts = 0
        self._lives = list(lives)

    def child(self) -> ChildProcess:
        life = self._lives.pop(0)
        if isinstance(life, str):
            raise ChildLost(life)
        return cast(Any, FakeChild(self, life))

    async def again(self) -> ChildProcess:
        return self.child()

    async def sleep(self, pause: float) -> None:
        self.paused.append(pause)
        self.now += pause

    def count_lost(self) -> None:
        self.lost += 1

    def count_restart(self) -> None:
        self.restarts += 1

    def keeper(self) -> Keeper:
        return Keeper(
            self.again,
            self.count_lost,
            self.count_restart,
            CrashLoop(DEATHS_MAX, WINDOW_S),
            lambda: self.now,
            self.sleep,
        )


FOREVER = float("inf")


async def kept(world: World) -> None:
    """Until the last child is one that lives for ever."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await world.keeper().keep(world.child())


async def test_one_that_ends_is_followed_by_another() -> None:
    world = World(1.0, FOREVER)
    await kept(world)
    assert (world.lost, world.restarts, world.paused) == (1, 1, [0.1])


async def test_quick_ends_wait_longer_each_and_a_steady_life_forgives() -> None:
    world = World(1.0, 1.0, 1.0, WINDOW_S + 1, 1.0, FOREVER)
    await kept(world)
    assert world.paused == [0.1, 0.2, 0.4, 0.1, 0.2]


async def test_one_that_does_not_start_counts_as_an_end() -> None:
    world = World(1.0, "no such file", "no such file", FOREVER)
    await kept(world)
    assert world.paused == [0.1, 0.2, 0.4]
    assert (world.lost, world.restarts) == (1, 1)


@pytest.mark.parametrize("life", [0.5, "no such file"])
async def test_a_loop_of_ends_is_given_up_and_told(life: float | str) -> None:
    world = World(1.0, *[life] * 20)
    with pytest.raises(ChildLost, match=rf"worker 0 ended {DEATHS_MAX + 1} times within") as told:
        await world.keeper().keep(world.child())
    assert ("no such file" in str(told.value)) is isinstance(life, str)
    assert len(world.paused) == DEATHS_MAX
