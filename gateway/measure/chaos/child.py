"""A process of ours that announces itself in a file, can be killed or stopped, and started again.

It ends when this process does (Linux's parent-death signal), however that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.api import ConfigError
from gateway.measure.gateway_process import die_with_parent

START_WAIT_S = 60.0
STOP_WAIT_S = 15.0
POLL_S = 0.02
TAIL_BYTES = 2000
PYTHON_MODULE = (sys.executable, "-m")
NEARWAY = (*PYTHON_MODULE, "gateway.cli.main")


class Child:
    """``arguments`` must make the process write JSON to ``announce`` once it is ready."""

    def __init__(self, name: str, folder: Path, arguments: Sequence[str]) -> None:
        self.name = name
        self.said: dict[str, Any] = {}
        self.announce = folder / f"{name}.announced.json"
        self._printed = folder / f"{name}.printed.txt"
        self._arguments = tuple(arguments)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, *more: str) -> dict[str, Any]:
        """Start it and wait for what it announces. Raises ConfigError with what it printed."""
        self.announce.unlink(missing_ok=True)
        with self._printed.open("ab") as printed:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                *more,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                preexec_fn=die_with_parent(),
            )
        until_s = time.monotonic() + START_WAIT_S
        while not self.announce.is_file():
            if not self.alive or time.monotonic() > until_s:
                raise ConfigError(f"{self.name} did not start; it printed:\n{self.printed()}")
            await asyncio.sleep(POLL_S)
        self.said = msgspec.json.decode(self.announce.read_bytes(), type=dict[str, Any])
        return self.said

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing when it has ended."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM (after SIGCONT, should it be stopped), SIGKILL when that takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await process.wait()
        except TimeoutError:
            await self.kill()

    def printed(self) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError):
            return self._printed.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace").strip()
        return ""
