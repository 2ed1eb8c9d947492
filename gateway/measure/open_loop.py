"""The open loop: every request is sent at its own instant, whatever became of the others.

Theory of operation. All instants are fixed before the run. One callback on the delay line
(exact to about 0.1 ms, where an event loop's own timers round to 1 ms) sends what is due and
asks to be woken for the next. Nothing waits for an answer, so a server that stalls for a
second meets the requests of that second, and each is counted from the instant it was meant
to be sent: no coordinated omission. What a request costs during the run is a few list
writes; headers are kept as bytes and read afterwards. Python's cyclic collector is off
meanwhile, because its pauses would be counted as the server's.

The run ends when every request has ended: answered, failed, or timed out.
"""

from __future__ import annotations

import asyncio
import gc
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from gateway.api import ConfigError
from gateway.measure.http_client import Ended, Endpoint, Limits, Pool
from gateway.measure.samples import F64, I32, PARTS, UNKNOWN_CENTER, WRONG, Samples
from gateway.wan.awake import awake
from gateway.wan.delay_line import DelayLine
from gateway.wire.server_timing import parse_server_timing

LEAD_S = 0.05
"""Between the decision to start and the first instant, so that the first is not late."""
PROGRESS_S = 0.5
JOINED_BYTES_MAX = 8 * 1024 * 1024
"""Up to this many bytes in all, head and body are joined beforehand: one write a request."""

Check = Callable[[int, int, bytes], int]
"""Called with a request's variant, the answer's status and body; returns the status to count."""
Progress = Callable[[int, int, float], None]
"""Called with requests ended, requests planned, seconds since the start."""


class Timer(Protocol):
    """What the loop needs of a delay line."""

    def now(self) -> float:
        """Monotonic seconds."""

    def call_at(self, due_s: float, callback: Callable[[], object], /) -> object:
        """Run ``callback`` at ``due_s``, soon when that is over."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run, decided beforehand. ``times_s`` begins with the warm-up, which
    ``Samples.after(warmup_s)`` drops; ``origin`` indexes ``origins``, whose names go into
    ``origin_header`` (an empty name: no header)."""

    endpoint: Endpoint
    path: str
    times_s: F64
    origin: I32
    origins: tuple[str, ...]
    body: bytes
    warmup_s: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    origin_header: str = "x-nearway-origin"
    limits: Limits = field(default_factory=Limits)
    connections_warm: int = 32
    bodies: tuple[bytes, ...] = ()
    """Several bodies of one length instead of ``body``; ``variant`` indexes them."""
    variant: I32 | None = None
    check: Check | None = None
    polls: bool = True
    """The loop never sleeps: exact, at the price of a core."""


async def drive(
    plan: Plan,
    *,
    progress: Progress | None = None,
    timer: Timer | None = None,
    on_start: Callable[[float], None] | None = None,
) -> Samples:
    """Send the whole plan and return a row for every request, warm-up included.

    ``timer`` (default a ``DelayLine`` of the running loop) decides when. ``on_start`` is told
    the instant, of the timer's clock, that the plan's times count from. Raises ConfigError
    when a name or header can't stand in an HTTP head.
    """
    loop = asyncio.get_running_loop()
    if timer is None:
        line = DelayLine(loop)
        try:
            return await drive(plan, progress=progress, timer=line, on_start=on_start)
        finally:
            line.close()
    run = _Run(plan, timer, loop.create_future())
    pool = Pool(loop, plan.endpoint, run.ended, plan.limits, keep_bodies=plan.check is not None)
    reports = _report(loop, run, progress) if progress else None
    try:
        await pool.warm(plan.connections_warm)
        with _collector_off(), awake(loop) if plan.polls else nullcontext():
            run.start(pool)
            if on_start is not None:
                on_start(run.start_s)
            await run.finished
    finally:
        if reports:
            reports.cancel()
        await pool.close()
    return run.samples()


def request_bytes(plan: Plan) -> tuple[list[bytes], bytes]:
    """A head for each origin, and the body to write after it.

    Where it costs little memory the body is joined to every head, and nothing is left to write.
    """
    sizes = {len(body) for body in plan.bodies} or {len(plan.body)}
    if len(sizes) > 1:
        raise ConfigError(f"the bodies of a run have one length, got {sorted(sizes)} bytes")
    fixed = {
        "Host": plan.endpoint.authority,
        "Content-Type": "application/json",
        **plan.headers,
        "Content-Length": str(sizes.pop()),
    }
    joins = not plan.bodies and len(plan.body) * len(plan.origins) <= JOINED_BYTES_MAX
    joined, after = (plan.body, b"") if joins else (b"", plan.body)
    target = plan.endpoint.prefix + plan.path
    if any(c <= " " or c == "\x7f" for c in target):
        raise ConfigError(f"a request path has no spaces or control characters: {target!r}")
    heads = []
    for name in plan.origins:
        fields = {**fixed, plan.origin_header: name} if name else fixed
        lines = [f"POST {target} HTTP/1.1", *(_header(k, v) for k, v in fields.items())]
        heads.append("\r\n".join([*lines, "", ""]).encode() + joined)
    return heads, after


def parts_ms(timing: Sequence[bytes]) -> F64:
    """float64[n, 4]: gateway, network, queue and service, ms, of n ``Server-Timing`` values;
    NaN where a value doesn't tell."""
    rows = np.full((len(timing), len(PARTS)), math.nan)
    names = [part.removesuffix("_ms") for part in PARTS]
    for i, header in enumerate(timing):
        if header:
            told = parse_server_timing(header.decode("latin-1"))
            rows[i] = [told.get(name, math.nan) for name in names]
    return rows


class _Run:
    """What happens during one run: sends what is due, notes how each request ended."""

    def __init__(self, plan: Plan, timer: Timer, finished: asyncio.Future[None]) -> None:
        count = int(plan.times_s.size)
        self.finished = finished
        self.count = count
        self.done = 0
        self.start_s = math.nan
        self._plan = plan
        self._timer = timer
        self._heads, self._body = request_bytes(plan)
        self._bodies = plan.bodies
        self._check = plan.check
        self._variant: list[int] = [] if plan.variant is None else plan.variant.tolist()
        self._next = 0
        self._due_s: list[float] = []
        self._origin: list[int] = plan.origin.tolist()
        self._sent_s = [math.nan] * count
        self._ended_s = [math.nan] * count
        self._status = [0] * count
        self._center = [UNKNOWN_CENTER] * count
        self._timing: list[bytes] = [b""] * count
        self._centers: dict[bytes, int] = {}
        self._kinds: Counter[str] = Counter()

    def start(self, pool: Pool) -> None:
        """Fix the first instant and ask to be woken for it."""
        self._pool = pool
        self.start_s = self._timer.now() + LEAD_S
        self._due_s = (self._plan.times_s + self.start_s).tolist()
        if self.count:
            self._timer.call_at(self._due_s[0], self._send)
        else:
            self.finished.set_result(None)

    def _send(self) -> None:
        """Send the request that is due and ask for the next; the line runs both if it must."""
        at = self._next
        self._next = at + 1
        self._sent_s[at] = self._timer.now()
        body = self._bodies[self._variant[at]] if self._bodies else self._body
        self._pool.send(at, self._heads[self._origin[at]], body)
        if at + 1 < self.count:
            self._timer.call_at(self._due_s[at + 1], self._send)

    def ended(self, ended: Ended) -> None:
        """The pool's listener."""
        at, status = ended.token, ended.status
        if self._check is not None:
            status = self._check(self._variant[at], status, ended.body)
        self._ended_s[at] = ended.at_s
        self._status[at] = status
        self._timing[at] = ended.timing
        if ended.center:
            self._center[at] = self._centers.setdefault(ended.center, len(self._centers))
        if not 200 <= status < 300:
            kind = "wrong" if status == WRONG else ended.kind or f"http_{status}"
            self._kinds[kind] += 1
        self.done += 1
        if self.done == self.count and not self.finished.done():
            self.finished.set_result(None)

    def samples(self) -> Samples:
        """The rows; Server-Timing is read here, after the run."""
        due, times = np.asarray(self._due_s), np.asarray(self._plan.times_s, dtype=np.float64)
        parts = parts_ms(self._timing)
        total = (np.asarray(self._ended_s) - due) * 1e3
        return Samples(
            intended_s=times,
            origin=np.asarray(self._plan.origin, dtype=np.int32),
            status=np.asarray(self._status, dtype=np.int32),
            client_total_ms=total,
            client_ms=total - parts.sum(axis=1),
            gateway_ms=parts[:, 0].copy(),
            network_ms=parts[:, 1].copy(),
            queue_ms=parts[:, 2].copy(),
            service_ms=parts[:, 3].copy(),
            late_send_ms=(np.asarray(self._sent_s) - due) * 1e3,
            center=np.asarray(self._center, dtype=np.int32),
            origins=self._plan.origins,
            centers=tuple(c.decode("utf-8", "replace") for c in self._centers),
            errors=dict(self._kinds),
        )


def _report(loop: asyncio.AbstractEventLoop, run: _Run, progress: Progress) -> asyncio.Task[None]:
    async def tell() -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            if not math.isnan(run.start_s):
                progress(run.done, run.count, max(0.0, DelayLine.now() - run.start_s))

    return loop.create_task(tell(), name="load generator: progress")


@contextmanager
def _collector_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _header(name: str, value: str) -> str:
    if any(c in "\r\n\0" for c in name + value) or not name or " " in name:
        raise ConfigError(f"not a header that HTTP can carry: {name!r}: {value!r}")
    return f"{name}: {value}"
