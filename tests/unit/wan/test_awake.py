"""A turning loop turns, and sleeps again afterwards."""

from __future__ import annotations

import asyncio

from gateway.wan import awake


async def test_the_loop_turns_while_awake_and_not_after() -> None:
    loop = asyncio.get_running_loop()
    calls = 0
    real = loop.call_soon

    def counting(*arguments, **options):
        nonlocal calls
        calls += 1
        return real(*arguments, **options)

    loop.call_soon = counting
    try:
        with awake(loop):
            await asyncio.sleep(0.01)
        turned = calls
        await asyncio.sleep(0.01)
    finally:
        del loop.call_soon
    assert turned > 20
    assert calls - turned < 10
