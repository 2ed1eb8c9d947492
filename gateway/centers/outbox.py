"""What is written in one turn of the loop goes out together, at its end.

Theory of operation. A loop that is busy reads from many connections in one turn and, left to
itself, writes to one between any two reads. Each such write wakes whoever reads at the other
end; that one is done with it and asleep again before the next comes. Written one right after
the other, most of them find their reader awake: with 16 connections a proxied request took a
quarter less processor time. Nothing waits for company: a turn with one request ends when it is
done.

A ``TurnWriter`` stands before one transport and keeps its order. Whoever closes the transport,
or writes to it by another way, calls ``send`` first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Outbox:
    """Whose writes wait for the end of this turn. ``call_soon`` is the loop's."""

    __slots__ = ("_call_soon", "_writers")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._call_soon = call_soon
        self._writers: list[TurnWriter] = []

    def join(self, writer: TurnWriter) -> None:
        """``writer`` has something to send."""
        writers = self._writers
        writers.append(writer)
        if len(writers) == 1:
            self._call_soon(self._send)

    def _send(self) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.send()


class TurnWriter:
    """Writes to ``transport`` at the end of the turn; what is closed by then is not written to."""

    __slots__ = ("_join", "_pending", "_transport")

    def __init__(self, outbox: Outbox, transport: asyncio.WriteTransport) -> None:
        self._join = outbox.join
        self._transport = transport
        self._pending: list[bytes] = []

    def write(self, payload: bytes) -> None:
        """Send ``payload`` after all that was written before."""
        pending = self._pending
        pending.append(payload)
        if len(pending) == 1:
            self._join(self)

    def take_back(self, payload: bytes) -> bool:
        """Forget ``payload``, the very object, and what was written after it; False when it has
        been sent.
        """
        for at, waiting in enumerate(self._pending):
            if waiting is payload:
                del self._pending[at:]
                return True
        return False

    def send(self) -> None:
        """Send now what waits; harmless when nothing does."""
        pending = self._pending
        if not pending:
            return
        payload = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        transport = self._transport
        if not transport.is_closing():
            try:  # noqa: SIM105 - 0.4 us less than a context manager, twice a request
                transport.write(payload)
            except RuntimeError:  # closed by its other end in this very turn
                pass
