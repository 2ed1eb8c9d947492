"""Clients: each asks some requests over one connection, with manners of its own.

What the gateway writes to a client is read where it leaves the gateway (``End.tap``), so the
time of an answer is known to the turn; what of it arrives is the network's. A client knows what
each answer must hold.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.engine import COLUMNS, MODEL, SMALLER, tripled
from gateway.testing.adversary.ledger import Told
from gateway.testing.adversary.network import HTTP_DOOR, Connected, Network
from gateway.testing.adversary.reader import Answer, AnswerReader, Misread
from gateway.testing.adversary.sockets import End
from gateway.testing.adversary.trace import Trace

TICK_S = 0.004
"""A deadline's timer may come a millisecond late and be followed by a turn or two."""
HONEST = frozenset({408, 429, 500, 503, 504})
MANNERS = (
    "steady",
    "pipelines",
    "leaves",
    "aborts",
    "reads slowly",
    "half-closes",
    "writes slowly",
)
MANNER_WEIGHTS = (10, 3, 2, 2, 2, 2, 2)
GARBAGE = (b"GET\r\n\r\n", b"\x16\x03\x01 hello\r\n\r\n", b"POST /v2 HTTP/9.9\r\n\r\n", b"\r\r\n\n")


@dataclass(slots=True)
class Asked:
    """A request as it is sent; ``numbers`` are nobody else's."""

    told: Told
    text: bytes
    numbers: list[int]


def make_request(number: int, random: Random, default_s: float, *, hurry: float = 1.0) -> Asked:
    """One whose answer cannot be taken for another's; ``hurry`` 0: with all the time there is."""
    numbers = [number * 1000 + place for place in range(COLUMNS * random.choice((1, 1, 1, 2, 3)))]
    rows = len(numbers) // COLUMNS
    body: dict[str, object] = {
        "inputs": [{"name": "x", "datatype": "INT64", "shape": [rows, COLUMNS], "data": numbers}]
    }
    request_id = f"request-{number}" if random.random() < 0.5 else ""
    budget_s, lines = default_s, []
    draw = 1.0 - hurry * random.random()
    if draw < 0.35:
        budget_ms = random.choice((3, 8, 25, 60, 120, 400))
        lines.append(f"x-request-timeout-ms: {budget_ms}")
        budget_s = min(default_s, budget_ms / 1e3)
    elif draw < 0.5:
        budget_us = random.choice((5_000, 40_000, 200_000))
        body["parameters"] = {"timeout": budget_us}
        budget_s = min(default_s, budget_us / 1e6)
    if random.random() < 0.2:
        lines.append(f"x-nearway-origin: {random.choice(('Shanghai', 'Beijing'))}")
    if random.random() < 0.3:
        lines.append(f"x-nearway-priority: {random.choice((1, 2, 3))}")
    if request_id:
        lines.append(f"x-request-id: {request_id}")
    payload = json.dumps(body).encode()
    head = [
        f"POST /v2/models/{MODEL}/infer HTTP/1.1",
        "host: gateway",
        "content-type: application/json",
        f"content-length: {len(payload)}",
        *lines,
        "",
        "",
    ]
    told = Told(number, MODEL, payload, budget_s, request_id)
    return Asked(told, "\r\n".join(head).encode() + payload, numbers)


class Client(asyncio.Protocol):
    """One connection's worth of requests. ``answers``: the whole ones, in order."""

    def __init__(
        self,
        name: str,
        manner: str,
        requests: list[Asked],
        random: Random,
        trace: Trace,
        after_stops: Callable[[float], float],
    ) -> None:
        self.name = name
        self.manner = manner
        self.requests = requests
        self.reader = AnswerReader()
        self.received = 0
        self.left = False
        self.settled = False
        self.was_excused = False
        self.sent = 0
        self.judged = 0
        self.connected: Connected | None = None
        self.was_reset = False
        self.refused: str = ""
        self._delivered = 0
        self._heard = 0
        self._random = random
        self._trace = trace
        self._after_stops = after_stops
        self._ends: list[int] = []
        self._head_ends: list[int] = []
        self._near: End | None = None
        self._free_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()
        self._unwritten = False

    # ---- its life ---------------------------------------------------------------------------

    async def run(self, network: Network) -> None:
        """Connect, and ask; the rest is callbacks."""
        try:
            near, _ = await network.connect(lambda: self, HTTP_DOOR, source=f"client-{self.name}")
        except OSError as error:
            self.refused = str(error)
            return
        self._near = near
        self.connected = network.connected[-1]
        far = near.peer
        assert far is not None
        far.tap = self._tapped
        far.on_heard = self._on_heard
        far.on_lost = self._on_far_lost
        if self.manner == "reads slowly":
            far.window_bytes = 256
            far.set_write_buffer_limits(high=128)
        self._begin()

    def _begin(self) -> None:
        random = self._random
        if self.manner == "pipelines":
            while self.sent < len(self.requests):
                self._ask()
        else:
            self._ask()
        if self.manner in ("leaves", "aborts"):
            self._later(random.choice((0.0, 0.001, 0.004, 0.02, 0.1)), self._leave)

    def _later(self, after_s: float, callback: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            callback()

        timer = self._loop.call_later(after_s, run)
        self._timers.add(timer)

    def stop(self) -> None:
        """It is over: nothing more is asked or read."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.left = True
        if self._near is not None:
            self._near.close()

    def _leave(self) -> None:
        if self._near is None or self._near.closed:
            return
        self._trace.note("client leaves", self.name)
        self.left = True
        if self.manner == "leaves":
            self._near.close()
        else:
            self._near.abort()

    # ---- asking -----------------------------------------------------------------------------

    def _ask(self) -> None:
        near = self._near
        if near is None or near.is_closing() or self.left or self.sent >= len(self.requests):
            return
        asked = self.requests[self.sent]
        self.sent += 1
        begins = self._ends[-1] if self._ends else 0
        self._ends.append(begins + len(asked.text))
        self._head_ends.append(begins + len(asked.text) - len(asked.told.body))
        if self.manner == "writes slowly" and self._random.random() < 0.5:
            self._write_slowly(asked.text)
        else:
            near.write(asked.text)
        last = self.sent == len(self.requests)
        if self.manner == "half-closes" and last:
            self._trace.note("half-closes", self.name)
            near.write_eof()
        if self.manner == "reads slowly" and self._random.random() < 0.5:
            near.pause_reading()
            self._later(self._random.choice((0.01, 0.1, 0.3)), near.resume_reading)

    def _write_slowly(self, text: bytes) -> None:
        assert self._near is not None
        at = self._random.randrange(1, len(text))
        self._near.write(text[:at])
        self._unwritten = True

        def rest() -> None:
            self._unwritten = False
            if self._near is not None and not self._near.is_closing():
                self._near.write(text[at:])
            self._ask_when_answered()  # who is refused at the head has heard so already

        self._later(self._random.choice((0.001, 0.01, 0.05)), rest)

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        """``run`` goes on."""

    def data_received(self, data: bytes) -> None:
        """What of an answer has arrived; when it is whole, the next request may follow."""
        self.received += len(data)
        self._ask_when_answered()

    def _ask_when_answered(self) -> None:
        if self.manner == "pipelines" or self.left or self._unwritten:
            return
        read_all = self.reader.clean and self.received == self.reader.bytes
        if read_all and len(self.reader.answers) == self.sent < len(self.requests):
            self._later(self._random.choice((0.0, 0.002, 0.02, 0.1)), self._ask)

    def eof_received(self) -> bool:
        """The gateway says no more."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self._trace.note("client lost", self.name, type(error).__name__)

    # ---- what the gateway hears and says ----------------------------------------------------

    def _on_heard(self, size: int) -> None:
        self._heard += size
        now = self._loop.time()
        while self._delivered < len(self._ends) and self._ends[self._delivered] <= self._heard:
            self.requests[self._delivered].told.delivered_s = now
            self._delivered += 1

    def _on_far_lost(self) -> None:
        """Nobody at the gateway's end works for this client any more."""
        for asked in self.requests:
            asked.told.gone = True

    def _tapped(self, data: bytes) -> None:
        now = self._loop.time()
        try:
            self.reader.feed(data, now)
        except Misread as error:
            raise InvariantBroken("one answer", f"client {self.name}: {error}") from None
        while self.judged < len(self.reader.answers):
            self._check_asked()
            self._judge(self.requests[self.judged], self.reader.answers[self.judged], now)
            self.judged += 1
        if self.reader.current is not None:
            self._check_asked()
            self.requests[self.judged].told.answer_began = True

    def _check_asked(self) -> None:
        """A request may be refused when its head is there; not sooner."""
        if self.judged >= self.sent or self._heard < self._head_ends[self.judged]:
            raise InvariantBroken(
                "one answer", f"client {self.name}: an answer that nobody asked for"
            )

    def _judge(self, asked: Asked, answer: Answer, now: float) -> None:
        told = asked.told
        told.answered = told.answer_began = True
        self._trace.note("answer", told.number, answer.status)
        far = None if self.connected is None else self.connected.far
        room_s = 0.0 if far is None else far.had_room_s
        allowed_s = max(told.delivered_s, self._free_s, room_s) + told.budget_s + TICK_S
        self._free_s = now
        if now > self._after_stops(allowed_s):
            late_ms = (now - allowed_s) * 1e3
            raise InvariantBroken(
                "deadline", f"request {told.number}: answered {late_ms:.3f} ms after its time"
            )
        given = answer.fields.get("x-request-id", "")
        if not given or (told.request_id and given != told.request_id):
            raise InvariantBroken("cross-talk", f"request {told.number} is told id {given!r}")
        if answer.status == 200:
            self._check_content(asked, answer)
        elif answer.status not in HONEST:
            raise InvariantBroken(
                "honest", f"request {told.number}: {answer.status} {bytes(answer.body)!r}"
            )
        elif b"internal error" in answer.body or b'"error"' not in answer.body:
            raise InvariantBroken("honest", f"request {told.number}: {bytes(answer.body)!r}")

    def _check_content(self, asked: Asked, answer: Answer) -> None:
        try:
            told = json.loads(answer.body)
            data, model = told["outputs"][0]["data"], told["model_name"]
        except (ValueError, KeyError, IndexError, TypeError):
            data, model = None, ""
        if data != tripled(asked.numbers) or model not in (MODEL, SMALLER):
            raise InvariantBroken(
                "cross-talk",
                f"request {asked.told.number} is answered {bytes(answer.body)[:120]!r}",
            )

    # ---- at the end -------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing more is asked; what is unanswered now stays so, excused or not."""
        if not self.settled:
            self.settled = True
            self.was_excused = self.excused
            self.stop()

    @property
    def unanswered(self) -> list[Told]:
        """What was delivered and not answered in full."""
        return [asked.told for asked in self.requests[self.judged : self._delivered]]

    @property
    def broken_off(self) -> bool:
        """An answer began and did not end, as a stream may."""
        return self.reader.current is not None

    @property
    def excused(self) -> bool:
        """What was not answered is not the gateway's fault."""
        said_close = bool(self.reader.answers) and self.reader.answers[-1].closes
        streamed = self.reader.current is not None and self.reader.current.chunked
        far_gone = self.connected is not None and self.connected.far.closed
        return self.left or self.was_reset or said_close or (streamed and far_gone)


class Vandal(asyncio.Protocol):
    """Sends what is no request. It must hear one 400 and the end."""

    def __init__(self, trace: Trace) -> None:
        self.reader = AnswerReader()
        self._trace = trace
        self._loop = asyncio.get_running_loop()
        self._near: asyncio.Transport | None = None

    async def run(self, network: Network, random: Random) -> None:
        """Connect and send it."""
        try:
            near, _ = await network.connect(lambda: self, HTTP_DOOR, source="vandal")
        except OSError:
            return
        far = near.peer
        assert far is not None
        far.tap = self._tapped
        self._near = near
        near.write(random.choice(GARBAGE))

    def _tapped(self, data: bytes) -> None:
        try:
            self.reader.feed(data, self._loop.time())
        except Misread as error:
            raise InvariantBroken("one answer", f"to garbage: {error}") from None
        if [answer.status for answer in self.reader.answers] not in ([], [400]):
            raise InvariantBroken("honest", "garbage is answered with something other than 400")

    def stop(self) -> None:
        """It goes."""
        if self._near is not None:
            self._near.close()
