"""The connections to one remote center: kept open, bounded, used last in first out.

Theory of operation. ``send`` gives an errand to the connection used last, so that those not
needed grow old and are closed; with none idle the errand waits in line, and each that waits
opens at most one connection, up to ``connections_max``. The line is bounded by ``queue_max``:
beyond it the center is busy.

* ``send`` never fails an errand from within: what is refused hears so in the next turn.
* A connection that was kept open and closes before a byte of its answer came was closed by
  the other side while the request was on its way (RFC 9112, 9.3.1). The errand is sent once
  more, on a connection opened for it; one that fails on a fresh connection is not.
* A failed connect fails everybody in line when no connection is open, else the first of them:
  nobody waits for a connection that will not come.
* Every ``SWEEPS_PER_IDLE``-th part of ``idle_s`` the old are closed and ``connections_min``
  made up for. There is no timer and no task a request; a connect is a task the pool owns.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Callable

from gateway.api import CenterBusy, CenterDown, NearwayError
from gateway.centers.outbox import Outbox
from gateway.centers.remote.answer_head import KnownHeads
from gateway.centers.remote.connection import Connection
from gateway.centers.remote.endpoint import Endpoint
from gateway.centers.remote.errand import Errand
from gateway.config.settings import Remote

SWEEPS_PER_IDLE = 4


class Pool:
    """``name``: the center's id, for messages. ``clock``: monotonic, in seconds. ``outbox``:
    shared with the other pools of a process.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        endpoint: Endpoint,
        limits: Remote,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self.outbox = outbox or Outbox(loop.call_soon)
        self.name = name
        self.endpoint = endpoint
        self.limits = limits
        self.known_heads = KnownHeads(limits.head_bytes_max)
        self.connect_ms = 0.0  # the fastest connect so far; 0: none yet
        self.call_soon = loop.call_soon
        self._loop = loop
        self._clock = clock
        self._tls = tls
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._line: deque[Errand] = deque()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open_count(self) -> int:
        """Connections open now."""
        return len(self._open)

    @property
    def waiting_count(self) -> int:
        """Errands in line now."""
        return len(self._line)

    # ---- life -----------------------------------------------------------------------------

    async def open(self) -> None:
        """Open ``connections_min``; one that cannot be opened is no error here."""
        self._sweep()
        if self._opening:
            await asyncio.wait(tuple(self._opening))

    async def close(self) -> None:
        """End everything: what waits or is under way fails as CenterDown."""
        self._closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        self._fail_line(len(self._line), "the gateway stops")
        for connection in tuple(self._open):
            connection.stop(CenterDown(f"center {self.name}: the gateway stops"))
        await asyncio.sleep(0)

    # ---- errands --------------------------------------------------------------------------

    def send(self, errand: Errand) -> None:
        """Send now, or as soon as a connection is free."""
        if self._idle:
            self._idle.pop().carry(errand)
        else:
            self._wait(errand)

    def leave(self, errand: Errand) -> None:
        """An errand that waits in line does not want to any more."""
        with contextlib.suppress(ValueError):
            self._line.remove(errand)

    def _wait(self, errand: Errand) -> None:
        if self._closed:
            self._refuse(errand, CenterDown(f"center {self.name}: the gateway stops"))
        elif len(self._line) >= self.limits.queue_max:
            self._refuse(
                errand,
                CenterBusy(
                    f"center {self.name}: {len(self._line)} requests wait for one of "
                    f"{len(self._open)} connections (remote.queue_max, remote.connections_max)"
                ),
            )
        else:
            errand.waited = True
            self._line.append(errand)
            self._open_for_line()

    def _refuse(self, errand: Errand, error: NearwayError) -> None:
        def tell() -> None:
            if not errand.over:
                errand.fail(error)

        self._loop.call_soon(tell)

    def unanswered(self, errand: Errand, *, kept_open: bool, reason: str) -> None:
        """Its connection closed without a word; ``kept_open``: it had carried others before."""
        if kept_open and not errand.resent and not self._closed:
            errand.resent = errand.waited = True
            errand.connection = None
            self._line.appendleft(errand)
            self._open_for_line()
        else:
            errand.fail(
                CenterDown(f"center {self.name} closed the connection without an answer: {reason}")
            )

    # ---- what connections tell ------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """A new connection is ready."""
        self._open.add(connection)
        if self._closed:
            connection.drop()
        else:
            self.free(connection)

    def free(self, connection: Connection) -> None:
        """A connection is idle: it takes the next in line."""
        if self._line:
            connection.carry(self._line.popleft())
        else:
            self._idle.append(connection)
            connection.idle_since_s = self._clock()

    def forget(self, connection: Connection) -> None:
        """A connection is gone, or not to be used again. Harmless when repeated."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)
        self._open_for_line()

    # ---- connecting -----------------------------------------------------------------------

    def _started(self) -> int:
        return len(self._open) + len(self._opening)

    def _open_for_line(self) -> None:
        if (
            len(self._opening) < len(self._line)
            and self._started() < self.limits.connections_max
            and not self._closed
        ):
            self._start_opening()

    def _start_opening(self) -> None:
        task = self._loop.create_task(self._connect(), name=f"connect to center {self.name}")
        self._opening.add(task)
        task.add_done_callback(self._connect_ended)

    def _connect_ended(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._open_for_line()

    async def _connect(self) -> None:
        endpoint, began_s = self.endpoint, self._clock()
        timeout_ms = self.limits.connect_timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1e3):
                await self._loop.create_connection(
                    lambda: Connection(self),
                    endpoint.host,
                    endpoint.port,
                    ssl=self._tls,
                    server_hostname=endpoint.host if self._tls is not None else None,
                )
        except TimeoutError:
            self._not_connected(f"no connection within {timeout_ms:.0f} ms")
        except OSError as error:
            self._not_connected(error.strerror or str(error))
        else:
            took_ms = (self._clock() - began_s) * 1e3
            self.connect_ms = min(self.connect_ms or took_ms, took_ms)

    def _not_connected(self, reason: str) -> None:
        self._fail_line(1 if self._open else len(self._line), reason)

    def _fail_line(self, count: int, reason: str) -> None:
        failed = [self._line.popleft() for _ in range(min(count, len(self._line)))]
        for errand in failed:
            if not errand.over:
                errand.fail(CenterDown(f"center {self.name} at {self.endpoint.url}: {reason}"))

    # ---- age ------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Close who was idle too long, oldest first; open what is missing to the least."""
        limits, old_s = self.limits, self._clock() - self.limits.idle_s
        while (
            self._idle
            and len(self._open) > limits.connections_min
            and self._idle[0].idle_since_s < old_s
        ):
            connection = self._idle[0]
            self.forget(connection)
            connection.close_idle()
        for _ in range(limits.connections_min - self._started()):
            self._start_opening()
        self._sweep_timer = self._loop.call_later(limits.idle_s / SWEEPS_PER_IDLE, self._sweep)
