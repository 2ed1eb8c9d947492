"""A center of another make: an Open Inference Protocol server over HTTP, with its own bad habits.

It shares no code with ours: heads are cut at their empty line, bodies read by their length.
``Habits`` says how often it does what servers do: refuse, fail, stop in the middle, send
something else, stream, answer twice, close, keep silent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from gateway.testing.adversary.engine import MODEL, SMALLER, tripled
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.sockets import End

FLUSHES = 0.2
FLUSHED_BYTES = (5, 13)
GARBAGE = (
    b"HTTP/1.1 200 OK\r\ncontent-length: nonsense\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x50",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{",
)


@dataclass(slots=True)
class Habits:
    """Probabilities, each of an answer; ``service_ms``: the median time, ``slow`` its factor."""

    busy: float = 0.0
    fails: float = 0.0
    garbage: float = 0.0
    stops_in_the_middle: float = 0.0
    silent: float = 0.0
    streams: float = 0.1
    twice: float = 0.0
    closes: float = 0.05
    service_ms: float = 1.0
    slow: float = 1.0


class HttpCenter:
    """What its connections share. ``serving``: requests being answered."""

    def __init__(self, loop: VirtualLoop, random: Random, habits: Habits) -> None:
        self.loop = loop
        self.random = random
        self.habits = habits
        self.serving = 0
        self.answered = 0
        self.busy_until_s = 0.0

    def connection(self) -> asyncio.Protocol:
        """For one that was accepted."""
        return _Connection(self)

    def done_s(self) -> float:
        """When one that came now has been served: one slot, first come, first served."""
        begins_s = max(self.loop.time(), self.busy_until_s)
        took_ms = self.habits.service_ms * self.random.lognormvariate(0.0, 0.4)
        self.busy_until_s = begins_s + self.habits.slow * took_ms * 1e-3
        return self.busy_until_s


class _Connection(asyncio.Protocol):
    def __init__(self, center: HttpCenter) -> None:
        self._center = center
        self._unread = b""
        self._transport: asyncio.Transport | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._busy:
            self._busy = False
            self._center.serving -= 1

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._next()

    def _later(self, at_s: float, callback: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            callback()

        timer = self._center.loop.call_at(at_s, run)
        self._timers.add(timer)

    def _next(self) -> None:
        """One request at a time."""
        head, empty_line, rest = self._unread.partition(b"\r\n\r\n")
        if self._busy or not empty_line:
            return
        lines = head.decode("ascii").lower().split("\r\n")
        size = 0
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name == "content-length":
                size = int(value)
        if len(rest) < size:
            return
        self._unread = rest[size:]
        self._busy = True
        self._center.serving += 1
        self._serve(head.split(b" ")[1].decode(), rest[:size])

    def _serve(self, path: str, body: bytes) -> None:
        center, habits = self._center, self._center.habits
        if not path.endswith("/infer"):
            told: Any = {}
            if path.endswith("/index"):
                told = [{"name": n, "version": "1", "state": "READY"} for n in (MODEL, SMALLER)]
            self._send(200, told, padding=center.random.randrange(8))
            return
        draw = center.random.random()
        if draw < habits.silent:
            return
        if draw < habits.silent + habits.busy:
            self._send(503, {"error": "no room"})
            return
        if draw < habits.silent + habits.busy + habits.fails:
            self._send(500, {"error": "it failed"})
            return
        self._later(center.done_s(), lambda: self._answer(body))

    def _answer(self, body: bytes) -> None:
        center, habits = self._center, self._center.habits
        asked = json.loads(body)
        numbers = asked["inputs"][0]["data"]
        told = {
            "model_name": MODEL,
            "model_version": "1",
            "id": asked.get("id", ""),
            "outputs": [
                {
                    "name": "y",
                    "datatype": "INT64",
                    "shape": asked["inputs"][0]["shape"],
                    "data": tripled(numbers),
                }
            ],
        }
        center.answered += 1
        draw = center.random.random()
        if draw < habits.garbage:
            self._write(center.random.choice(GARBAGE))
            self._close_soon()
        elif draw < habits.garbage + habits.stops_in_the_middle:
            whole = self._whole(200, told, close=False)
            self._write(whole[: center.random.randrange(1, len(whole))])
            self._close()
        elif draw < habits.garbage + habits.stops_in_the_middle + habits.streams:
            self._stream(json.dumps(told).encode())
        else:
            self._send(200, told)

    def _stream(self, payload: bytes) -> None:
        """In chunks, some time apart; now and then it breaks off."""
        random = self._center.random
        third = 1 + len(payload) // 3
        parts = [payload[at : at + third] for at in range(0, len(payload), third)]
        self._write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        at_s = self._center.loop.time()
        breaks = random.random() < 4.0 * self._center.habits.stops_in_the_middle
        for part in parts[: random.randrange(3) if breaks else 3]:
            at_s += random.choice((1e-6, 0.0005, 0.004, 0.02))  # equal instants have no order
            chunk = b"%x\r\n%b\r\n" % (len(part), part)
            self._later(at_s, lambda chunk=chunk: self._write(chunk))  # type: ignore[misc]  # bound
        self._later(at_s + 1e-4, self._close if breaks else self._end_stream)

    def _end_stream(self) -> None:
        self._write(b"0\r\n\r\n")
        self._over()

    def _send(self, status: int, told: Any, padding: int = 0) -> None:
        random, habits = self._center.random, self._center.habits
        closes = random.random() < habits.closes
        whole = self._whole(status, told, close=closes and random.random() < 0.5, padding=padding)
        if status == 200 and random.random() < habits.twice and isinstance(self._transport, End):
            # In one read, or nobody could tell it from the answer to the next request.
            self._transport.write_uncut(whole + whole)
        else:
            self._write_flushed(whole)
        if closes:
            self._close()
        else:
            self._over()

    def _whole(self, status: int, told: Any, *, close: bool, padding: int = 0) -> bytes:
        payload = json.dumps(told).encode() + b" " * padding
        fields = [f"HTTP/1.1 {status} Told", "content-type: application/json"]
        fields.append(f"content-length: {len(payload)}")
        if self._center.random.random() < 0.5:
            fields.append("server-timing: queue;dur=0.1, service;dur=0.9")
        if close:
            fields.append("connection: close")
        return "\r\n".join([*fields, "", ""]).encode() + payload

    def _write_flushed(self, whole: bytes) -> None:
        """Now and then the first few bytes leave by themselves."""
        random, transport = self._center.random, self._transport
        if random.random() < FLUSHES and isinstance(transport, End):
            at = random.randrange(*FLUSHED_BYTES)
            transport.write_uncut(whole[:at])
            whole = whole[at:]
        self._write(whole)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _close_soon(self) -> None:
        self._later(self._center.loop.time() + 0.002, self._close)

    def _over(self) -> None:
        if self._busy:
            self._busy = False
            self._center.serving -= 1
        self._next()
