"""What a request to a center process costs by frames, beside plain HTTP.

    python -m bench.frames.run [--json FILE] [--rounds 5] [--seconds 2]

Two processes on a core each: here the gateway's ports, driven in a closed loop; there a center
process, with the shipped model or with an echo in its place. Arms take turns; an arm's figure
is the median of its rounds, in CPU time of all threads of both processes. See README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import uvloop
from gateway_models import repository

from gateway.centers import Attempt, Failed, Whole
from gateway.centers.framed import FramedCenter, FramedConnection
from gateway.centers.remote import Endpoint, RemoteCenter
from gateway.config.fleet_file import load_fleet
from gateway.config.framed_url import parse_framed
from gateway.config.settings import Remote
from gateway.runtime.center_plan import CenterPlan, chosen

MODEL = "blast-furnace"
BODY = (repository() / MODEL / "example.json").read_bytes()
ARMS = ("frames tcp", "frames unix", "http")
CONCURRENCY = (1, 16, 64)
WARM_UP_S = 0.4
START_WITHIN_S = 60.0
(CENTER,) = chosen(load_fleet(None, "all"), CenterPlan(region="cn-east-4", zone="a", port=0))


@dataclass(frozen=True, slots=True)
class Row:
    """One arm's median; CPU in us a request. ``ratio``: of both sides to those of HTTP."""

    served: str
    under_way: int
    arm: str
    gateway_us: float
    center_us: float
    both_us: float
    ratio: float
    requests_per_s: float


@dataclass(frozen=True, slots=True)
class Round:
    """One arm, once."""

    requests: int
    took_s: float
    gateway_s: float
    center_s: float


class ClosedLoop:
    """Keeps ``under_way`` requests at a port; a failure ends the bench."""

    def __init__(self, port: Any, under_way: int) -> None:
        self._port = port
        self._open = under_way
        self._stopping = False
        self.done = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for _ in range(under_way):
            self._start()

    def stop(self) -> None:
        """Start no more."""
        self._stopping = True

    def _start(self) -> None:
        deadline_s = time.monotonic() + 30.0
        attempt = Attempt("bench-0123456789", 0, MODEL, "", BODY, None, deadline_s)
        self._port.start(attempt, self._hear)

    def _hear(self, event: Any) -> None:
        if isinstance(event, Failed) and not self.ended.done():
            self._stopping = True
            self.ended.set_exception(event.error)
        if not isinstance(event, Whole):
            return
        self.done += 1
        if not self._stopping:
            self._start()
            return
        self._open -= 1
        if not self._open and not self.ended.done():
            self.ended.set_result(None)


async def measure(arm: str, said: dict[str, Any], pid: int, under_way: int, s: float) -> Round:
    """One round of one arm, with connections of its own."""
    port, owner = await reached(arm, said, under_way)
    load = ClosedLoop(port, under_way)
    await asyncio.wait((load.ended,), timeout=WARM_UP_S)
    before = (load.done, time.monotonic(), cpu_s(os.getpid()), cpu_s(pid))
    await asyncio.wait((load.ended,), timeout=s)
    after = (load.done, time.monotonic(), cpu_s(os.getpid()), cpu_s(pid))
    load.stop()
    await asyncio.wait_for(load.ended, 10)
    await owner.close()
    return Round(*(b - a for a, b in zip(before, after, strict=True)))


async def reached(arm: str, said: dict[str, Any], under_way: int) -> tuple[Any, Any]:
    """(port, what is to be closed) of an arm."""
    loop = asyncio.get_running_loop()
    if arm == "http":
        port = RemoteCenter(
            0,
            CENTER,
            Endpoint.from_url(said["http"]),
            loop=loop,
            clock=time.monotonic,
            limits=Remote(connections_min=under_way),
            vantage_names=("Shanghai",),
        )
        await port.open()
        return port, port
    connection = FramedConnection(
        parse_framed(said["urls"][ARMS.index(arm)]),
        loop=loop,
        clock=time.monotonic,
        random=Random(1),
        on_residency=lambda *_: None,
    )
    await connection.open()
    return FramedCenter(0, CENTER, connection, ("Shanghai",)), connection


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def process(served: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(pid, where it listens) of a center process on the first core; this one moves off it."""
    with tempfile.TemporaryDirectory(prefix="nearway-bench-") as folder:
        announce, socket = Path(folder, "said"), str(Path(folder, "s"))
        command = ["-m", "bench.frames.echo", str(announce), socket]
        if served == "model":
            command = ["-m", "gateway.cli.main", "center", "--region", CENTER.region]
            command += ["--zone", CENTER.zone, "--port", "0", "--socket", socket]
            command += ["--announce", str(announce)]
        child = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
        try:
            until_s = time.monotonic() + START_WITHIN_S
            while not announce.exists():
                if child.poll() is not None or time.monotonic() > until_s:
                    sys.exit(f"the center process did not start: {' '.join(command)}")
                time.sleep(0.05)
            apart(child.pid)
            yield child.pid, json.loads(announce.read_text())
        finally:
            child.kill()
            child.wait()


def apart(pid: int) -> None:
    """A core each, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, cores[:1])
    os.sched_setaffinity(0, cores[-1:])


def rows_of(served: str, under_way: int, rounds: dict[str, list[Round]]) -> list[Row]:
    """The medians, beside HTTP's."""
    both = {
        arm: median((r.gateway_s + r.center_s) / r.requests * 1e6 for r in done)
        for arm, done in rounds.items()
    }
    return [
        Row(
            served,
            under_way,
            arm,
            median(r.gateway_s / r.requests * 1e6 for r in done),
            median(r.center_s / r.requests * 1e6 for r in done),
            both[arm],
            both[arm] / both["http"],
            median(r.requests / r.took_s for r in done),
        )
        for arm, done in rounds.items()
    ]


def run(rounds: int, seconds: float) -> list[Row]:
    """All arms of both kinds of center at every concurrency."""
    rows: list[Row] = []
    cores = os.sched_getaffinity(0)
    for served in ("echo", "model"):
        with process(served) as (pid, said):
            for under_way in CONCURRENCY:
                found: dict[str, list[Round]] = {arm: [] for arm in ARMS}
                for _ in range(rounds):
                    for arm in ARMS:
                        found[arm].append(uvloop.run(measure(arm, said, pid, under_way, seconds)))
                rows += rows_of(served, under_way, found)
        os.sched_setaffinity(0, cores)
    return rows


def main() -> None:
    """Measure, print a table, write JSON when asked."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--json", type=Path)
    told = options.parse_args()
    rows = run(told.rounds, told.seconds)
    print("| served | under way | arm | gateway us | center us | both us | of HTTP | requests/s |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.served} | {row.under_way} | {row.arm} | {row.gateway_us:.1f} | "
            f"{row.center_us:.1f} | {row.both_us:.1f} | {row.ratio:.2f} | "
            f"{row.requests_per_s:,.0f} |"
        )
    if told.json is not None:
        told.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
