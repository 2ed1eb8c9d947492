"""Told to end once, and twice."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from gateway.runtime.stopping import LEFT_BEHIND, Stopping


async def seven() -> int:
    return 7


async def test_a_signal_asks_and_a_second_one_insists() -> None:
    stopping = Stopping(asyncio.get_running_loop())
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stopping.asked.wait(), 5)
    assert not stopping.insisted.is_set()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(stopping.insisted.wait(), 5)


async def test_work_is_waited_for_unless_told_again() -> None:
    stopping = Stopping(asyncio.get_running_loop())
    stopping.heard()
    assert await stopping.unless_again(seven()) == 7
    cut_off: list[bool] = []

    async def endless() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            cut_off.append(True)
        return 0

    waiting = asyncio.create_task(stopping.unless_again(endless()))
    await asyncio.sleep(0)
    stopping.heard()
    assert await waiting is None
    assert cut_off == [True]


async def test_what_goes_wrong_while_stopping_is_raised() -> None:
    async def broken() -> int:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        await Stopping(asyncio.get_running_loop()).unless_again(broken())


async def test_the_exit_code_tells_of_requests_left(caplog: pytest.LogCaptureFixture) -> None:
    stopping = Stopping(asyncio.get_running_loop())
    assert stopping.exit_code(0) == 0
    assert stopping.exit_code(3) == LEFT_BEHIND
    assert "3 requests were left" in caplog.text
    assert stopping.exit_code(None) == LEFT_BEHIND
    assert "unknown number" in caplog.text
