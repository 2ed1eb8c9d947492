"""An asyncio event loop in virtual time: the clock jumps to the next thing due, nothing sleeps.

Theory of operation. It is asyncio's own loop (``BaseEventLoop``: ready queue, timers, tasks,
futures) on a selector that has no sockets: where a real one would wait for ``timeout``, the
clock is moved on by it. So the real protocols, tasks and timers run unchanged, and a turn of
the loop is what it is live: everything that was ready at its beginning.

* A turn takes ``TURN_S`` of virtual time, so that code which measures finds something.
* ``stop_process`` moves the clock on by itself: the process was stopped, or its machine was,
  and wakes with every timer of that time overdue.
* ``after_turn`` is called between two turns; what it raises ends the run.
* Threads are virtual as well: ``run_in_executor`` calls the function some time later.
* Connections go through ``network``. When nothing is ready and nothing is due, nobody will
  ever wake: that is a ``Stuck``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

TURN_S = 20e-6
EXECUTOR_S = 0.001
BEGINS_S = 1000.0

T = TypeVar("T")


class Stuck(RuntimeError):
    """Somebody waits, and nothing is left that could happen."""


class Connects(Protocol):
    """What connects: see ``network``."""

    async def connect(
        self, factory: Callable[[], asyncio.Protocol], address: tuple[str, int]
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """As ``create_connection``."""


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. ``faults``: what was reported to the exception handler."""

    def __init__(self) -> None:
        super().__init__()
        self.network: Connects | None = None
        self.after_turn: Callable[[], None] | None = None
        self.turns = 0
        self.faults: list[dict[str, Any]] = []
        self._now_s = BEGINS_S
        self._selector = self
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda _loop, context: self.faults.append(context))

    def time(self) -> float:
        """The instant everything happens at, in seconds."""
        return self._now_s

    def stop_process(self, for_s: float) -> None:
        """Nothing runs for so long, and then everything that is overdue."""
        self._now_s += for_s

    # ---- what asyncio's loop asks of a selector and of a system -----------------------------

    def select(self, timeout: float | None) -> list[Any]:
        """A turn is over; the next begins when something is due."""
        self.turns += 1
        if self.after_turn is not None:
            self.after_turn()
        if timeout is None:
            raise Stuck("nothing is ready, nothing is due, and somebody waits")
        self._now_s += max(timeout, TURN_S)
        return []

    def _process_events(self, _events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody must be woken."""

    def run_in_executor(  # type: ignore[override]  # a plain future: there is no thread
        self, _executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """``func`` is called some time later."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:  # noqa: BLE001  # as an executor: whoever waits hears it
                future.set_exception(error)

        self.call_later(EXECUTOR_S, run)
        return future

    async def create_connection(  # type: ignore[override]  # of asyncio's ways, the one in use
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        **_options: Any,
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """To a listener of ``network``. Raises OSError, as asyncio's does."""
        assert self.network is not None
        return await self.network.connect(protocol_factory, (host, port))

    # ---- is anything left? ------------------------------------------------------------------

    def pending_timers(self) -> list[str]:
        """What is still due, in words."""
        timers: list[asyncio.TimerHandle] = getattr(self, "_scheduled", [])
        return [repr(timer) for timer in timers if not timer.cancelled()]
