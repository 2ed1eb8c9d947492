"""A child: what it announces, what it printed, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.measure.chaos.child import Child

SCRIPT = """
import json, os, pathlib, sys, time
print("hello", flush=True)
if "fail" in sys.argv: sys.exit(3)
part = pathlib.Path(sys.argv[1] + ".part")
part.write_text(json.dumps({"more": sys.argv[2:]}))
part.replace(sys.argv[1])
time.sleep(60)
"""


def child(folder: Path) -> Child:
    announce = str(folder / "one.announced.json")
    return Child("one", folder, (sys.executable, "-c", SCRIPT, announce))


async def test_it_is_ready_when_it_has_announced_itself(tmp_path: Path) -> None:
    made = child(tmp_path)
    assert not made.alive
    assert await made.start("again") == {"more": ["again"]}
    assert made.alive
    assert made.printed() == "hello"
    await made.stop()
    assert not made.alive


async def test_it_is_killed_and_started_again(tmp_path: Path) -> None:
    made = child(tmp_path)
    await made.start()
    first = made.pid
    await made.kill()
    assert not made.alive
    made.signal(signal.SIGKILL)  # nobody is there any more
    await made.start()
    assert made.pid != first
    await made.kill()


async def test_one_that_is_stopped_can_be_ended(tmp_path: Path) -> None:
    made = child(tmp_path)
    await made.start()
    made.signal(signal.SIGSTOP)
    async with asyncio.timeout(10):
        await made.stop()
    assert not made.alive


async def test_what_it_printed_is_told_when_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"one did not start; it printed:\nhello"):
        await child(tmp_path).start("fail")
