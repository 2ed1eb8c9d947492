"""What those who watch the dashboard cost the gateway.

    python -m bench.dashboard.run [--centers 1000] [--watchers 10] [--rate 50] [--seconds 5]

One gateway with a fleet of so many emulated centers answers requests from all over the world, a few
seconds while nobody watches and a few while ``--watchers`` read the frames, ``--rounds`` times. The
difference of its CPU time is what watching costs. See README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from gateway_models import repository

from gateway.measure.intervals import binomial_ranks
from gateway.wan.places import load_cities

MODEL = "blast-furnace"
BODY = (repository() / MODEL / "example.json").read_bytes()
START_WITHIN_S = 120.0
WANTED_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Result:
    """Shares of one core: medians of the rounds. ``cost`` is the median of their differences;
    ``cost_lowest`` and ``cost_highest`` hold it in 95 % of such runs.
    """

    centers: int
    watchers: int
    rate: float
    unwatched: float
    watched: float
    cost: float
    cost_lowest: float
    cost_highest: float
    frames_per_s: float
    frame_kb: float


def fleet_text(centers: int) -> str:
    """A fleet of so many centers, four to a place, at the largest places first."""
    places = sorted(load_cities(), key=lambda place: -place.population)
    lines = []
    for number in range(centers):
        place = places[number // 4 % len(places)]
        told = {
            "id": f"c{number:04d}",
            "city": place.name,
            "country": place.country,
            "lat": place.location.lat,
            "lon": place.location.lon,
            "models": [MODEL],
        }
        lines.append("[[center]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in told.items()]
    return "\n".join(lines) + "\n"


@contextmanager
def serving(centers: int) -> Iterator[tuple[int, str, str]]:
    """(process id, url, admin url) of a gateway with that fleet."""
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as name:
        folder = Path(name)
        fleet, announce = folder / "fleet.toml", folder / "announce.json"
        fleet.write_text(fleet_text(centers), encoding="utf-8")
        ports = ("--port", "0", "--admin-port", "0", "--announce", str(announce))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "gateway.cli.main", "serve", "--fleet", str(fleet), *ports],
                stdout=log,
                stderr=log,
            )
            try:
                until_s = time.monotonic() + START_WITHIN_S
                while not announce.exists():
                    if process.poll() is not None or time.monotonic() > until_s:
                        raise SystemExit((folder / "log").read_text())
                    time.sleep(0.05)
                said = json.loads(announce.read_text())
                yield process.pid, said["url"], said["admin_url"]
            finally:
                process.terminate()
                process.wait(30)


def cpu_s(pid: int) -> float:
    """CPU time of a process and all its threads, by the scheduler's account."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def asking(session: aiohttp.ClientSession, url: str, rate: float) -> None:
    """Requests at a steady rate, from one place after another."""
    names = [place.name for place in load_cities()]
    under_way: set[asyncio.Task[None]] = set()

    async def one(origin: str) -> None:
        headers = {"content-type": "application/json", "x-nearway-origin": origin}
        path = f"{url}/v2/models/{MODEL}/infer"
        with suppress(aiohttp.ClientError):  # what is answered is not the question here
            async with session.post(path, data=BODY, headers=headers) as answer:
                await answer.read()

    begun_s = time.perf_counter()
    number = 0
    while True:
        await asyncio.sleep(max(0.0, begun_s + number / rate - time.perf_counter()))
        task = asyncio.create_task(one(names[number % len(names)]))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        number += 1


async def watching(session: aiohttp.ClientSession, admin_url: str, sizes: list[int]) -> None:
    """Read frames for good; their sizes are noted."""
    async with session.get(f"{admin_url}/dashboard/events", timeout=None) as answer:
        size = 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            if chunk.endswith(b"\n\n"):
                sizes.append(size)
                size = 0


async def measured(pid: int, url: str, admin_url: str, asked: argparse.Namespace) -> Result:
    """All rounds of one gateway."""
    shares: dict[bool, list[float]] = {False: [], True: []}
    sizes: list[int] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        load = asyncio.create_task(asking(session, url, asked.rate))
        await asyncio.sleep(asked.warmup)
        for number in range(asked.rounds):
            for watched in (False, True) if number % 2 else (True, False):
                count = asked.watchers if watched else 0
                watchers = [
                    asyncio.create_task(watching(session, admin_url, sizes)) for _ in range(count)
                ]
                await asyncio.sleep(0.5)
                before_s, begun_s = cpu_s(pid), time.perf_counter()
                await asyncio.sleep(asked.seconds)
                took_s = time.perf_counter() - begun_s
                shares[watched].append((cpu_s(pid) - before_s) / took_s)
                await _end(watchers)
                await asyncio.sleep(0.5)
        if load.done():
            load.result()
        await _end([load])
    costs = [b - a for a, b in zip(shares[False], shares[True], strict=True)]
    lowest, highest = interval_of_median(costs)
    seen_s = asked.rounds * (asked.seconds + 0.5) * max(1, asked.watchers)
    return Result(
        asked.centers,
        asked.watchers,
        asked.rate,
        median(shares[False]),
        median(shares[True]),
        median(costs),
        lowest,
        highest,
        len(sizes) / seen_s,
        median(sizes) / 1e3 if sizes else 0.0,
    )


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """Order statistics that hold the median in 95 % of runs, whatever the distribution; of few
    values the extreme ones.
    """
    low, high = binomial_ranks(len(values), 0.5)
    ordered = sorted(values)
    return ordered[max(low, 0)], ordered[min(high, len(values) - 1)]


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> int:
    """Exit code 0: the whole interval lies below ``WANTED_SHARE`` of a core."""
    parser = argparse.ArgumentParser(prog="nearway bench dashboard")
    parser.add_argument("--centers", type=int, default=1000)
    parser.add_argument("--watchers", type=int, default=10)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured, each time")
    parser.add_argument("--warmup", type=float, default=5.0, help="seconds of requests before")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    asked = parser.parse_args()
    with serving(asked.centers) as (pid, url, admin_url):
        result = asyncio.run(measured(pid, url, admin_url, asked))
    print(
        f"{result.centers} centers, {result.rate:g} requests/s, shares of one core:\n"
        f"  nobody watches    {100 * result.unwatched:6.2f} %\n"
        f"  {result.watchers:3} watch         {100 * result.watched:6.2f} %\n"
        f"  watching costs    {100 * result.cost:6.2f} % "
        f"({100 * result.cost_lowest:.2f} to {100 * result.cost_highest:.2f}); "
        f"wanted: under {100 * WANTED_SHARE:g} %\n"
        f"  each is told {result.frames_per_s:.2f} frames/s of {result.frame_kb:.1f} kB"
    )
    if asked.json:
        asked.json.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    return 0 if result.cost_highest < WANTED_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
