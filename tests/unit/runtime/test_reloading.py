"""Reloads nobody waits for: never two at once, none forgotten."""

from __future__ import annotations

import asyncio

from gateway.api import ConfigError
from gateway.runtime.reloading import Reloading


class Slow:
    """A reload that takes until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.running = 0
        self.most = 0
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.go.wait()
        finally:
            self.running -= 1


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_asked_for_meanwhile_follows() -> None:
    slow = Slow()
    reloading = Reloading(slow)
    for _ in range(5):
        reloading.soon()
        await turns()
    assert (slow.begun, slow.most) == (1, 1)
    slow.go.set()
    await turns()
    assert (slow.begun, slow.most) == (2, 1)
    reloading.soon()
    await turns()
    assert slow.begun == 3


async def test_a_wrong_config_is_not_raised() -> None:
    async def wrong() -> None:
        raise ConfigError("no such policy")

    await Reloading(wrong).again()


async def test_none_is_begun_once_it_stops() -> None:
    slow = Slow()
    reloading = Reloading(slow)
    reloading.soon()
    await turns()
    reloading.soon()
    reloading.stop()
    slow.go.set()
    await turns()
    assert (slow.begun, slow.running) == (1, 0)
