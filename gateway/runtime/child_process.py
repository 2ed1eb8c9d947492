"""A child as its supervisor sees it: a process, a channel, an admin door on a Unix socket.

Children are workers and the process that hosts the centers. Each is a module run with one end
of a socket pair as its argument; the first message on it says everything the child must know,
the child answers when it is ready or could not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from gateway.api import NearwayError
from gateway.runtime.worker_channel import (
    BEATS,
    Channel,
    Failed,
    Hello,
    HostCenters,
    Ready,
    ToChild,
)

log = logging.getLogger("nearway.supervisor")

READY_WITHIN_S = 60.0
ASK_TIMEOUT_S = 5.0
ENDS_WITHIN_S = 5.0


class ChildLost(NearwayError):
    """A child could not start, did not answer, or ended when it should not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child's admin door said."""

    status: int
    body: bytes
    content_type: str


class ChildProcess:
    """One child, started. ``name`` is for messages: "worker 1", "the centers". ``hung_s``: how
    long it may be silent; 0: for ever.
    """

    def __init__(
        self, name: str, admin_path: str, process: asyncio.subprocess.Process, channel: Channel
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.started_s = time.monotonic()
        self.models: tuple[str, ...] = ()
        self.hung_s = 0.0
        self._beats = 0
        self._admin_path = admin_path
        self._process = process
        self._channel = channel
        self._session: aiohttp.ClientSession | None = None

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    async def wait_ready(self) -> None:
        """Until it serves. Raises ChildLost with what it said, or how it ended."""
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                said = await anext(self._channel.to_supervisor(), None)
        except TimeoutError:
            await self.end(within_s=0.0)
            raise ChildLost(
                f"{self.name} was not ready within {READY_WITHIN_S:.0f} s and was killed; its own "
                "messages stand above"
            ) from None
        if isinstance(said, Ready):
            self.models = said.models
            return
        code = await self.end(within_s=ENDS_WITHIN_S)
        if isinstance(said, Failed):
            raise ChildLost(said.message)
        raise ChildLost(
            f"{self.name} ended with {code} before it was ready; its own messages stand above"
        )

    async def ended(self) -> int:
        """Wait for its end; returns its exit code, negative for a signal.

        A child that does not say for ``hung_s`` that it is alive is killed.
        """
        listening = asyncio.create_task(self._listen(), name=f"{self.name} is alive")
        watching = asyncio.create_task(self._kill_when_hung(), name=f"{self.name} hangs")
        try:
            return await self._process.wait()
        finally:
            for task in (listening, watching):
                task.cancel()

    async def _listen(self) -> None:
        async for _ in self._channel.to_supervisor():
            self._beats += 1

    async def _kill_when_hung(self) -> None:
        """Looks on which nothing was new are counted, not seconds: a supervisor that was held up
        itself has heard nothing in that time.
        """
        known, misses = -1, 0
        while self.hung_s and misses < BEATS:
            await asyncio.sleep(self.hung_s / BEATS)
            known, misses = self._beats, misses + 1 if self._beats == known else 0
        if self.hung_s:
            log.error("%s has not been heard of for %g s: killed", self, self.hung_s)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def tell(self, order: ToChild) -> None:
        """Give an order."""
        self._channel.tell(order)

    async def end(self, *, within_s: float) -> int:
        """Wait so long for its end, then kill it; returns its exit code."""
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        code = await self._process.wait()
        self._channel.close()
        if self._session is not None:
            await self._session.close()
        return code

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        """One request to its admin door. Raises ChildLost when it does not answer in time."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(self._admin_path),
                timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT_S),
            )
        headers = {} if content_type is None else {"Content-Type": content_type}
        url = f"http://localhost{path}"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, skip_auto_headers=("Content-Type",)
            ) as answer:
                told = await answer.read()
                return Answer(answer.status, told, answer.headers.get("Content-Type", ""))
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or f"no answer within {ASK_TIMEOUT_S:.0f} s"
            raise ChildLost(f"{self}: {why}") from None


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's process. ``slot``: which public sockets are its; ``seat``: its row."""

    slot: int
    seat: int
    process: ChildProcess


async def start_worker(slot: int, hello: Hello) -> Worker:
    """Start one; ``wait_ready`` comes next."""
    inherited = (hello.memory_fd, *hello.sockets)
    child = await _start("gateway.runtime.worker", f"worker {slot}", hello.admin_path, inherited)
    child.tell(hello)
    return Worker(slot, hello.seat, child)


async def start_centers(hosted: HostCenters) -> ChildProcess:
    """Start the process that hosts the centers; ``wait_ready`` comes next."""
    child = await _start("gateway.runtime.centers_host", "the centers", hosted.socket, ())
    child.tell(hosted)
    return child


async def _start(module: str, name: str, admin_path: str, inherited: Sequence[int]) -> ChildProcess:
    ours, its = socket.socketpair()
    with its:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, str(its.fileno())),
            pass_fds=(its.fileno(), *inherited),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # an interrupt at the terminal is the supervisor's
        )
    return ChildProcess(name, admin_path, process, await Channel.over(ours))
