"""The gRPC door beside a plain ``grpc.aio`` server with the same model in it.

    python -m bench.grpc.run [--json FILE] [--rounds 7] [--seconds 2] [--connections 16] [--spread]

Each server is a process of its own, all on one core, the load on another; or, with ``--spread``,
all of them wherever the kernel puts them. Arms take turns; a
figure is the median of its rounds, CPU time from all threads of the server. See README.md.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from bench.grpc.load import Caller, connect
from bench.peers.arms.ours import NEARWAY, fleet_toml, the_center, write_config
from bench.peers.model import write_model
from bench.peers.workload import INPUTS, MODEL
from gateway.serving.grpc_door.messages import SERVICE, ModelInferRequest

OURS, BASE = "nearway", "plain grpc.aio"
PATH = f"/{SERVICE}/ModelInfer"
WARM_UP_S = 0.5
START_WITHIN_S = 60.0
END_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Round:
    """One arm, once."""

    requests: int
    took_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Row:
    """An arm's medians. ``cpu_us``: a request; ratios are to the plain ``grpc.aio`` server."""

    arm: str
    cpu_us: float
    of_base_cpu: float
    requests_per_s: float
    of_base_rate: float


@dataclass(frozen=True, slots=True)
class Server:
    """Where one listens, and whose CPU time counts."""

    address: str
    pid: int


def request() -> bytes:
    """One row of numbers, raw."""
    told = ModelInferRequest(model_name=MODEL, id="bench")
    told.inputs.add(name="x", datatype="FP32", shape=[1, INPUTS])
    told.raw_input_contents.append(np.linspace(0, 1, INPUTS, dtype=np.float32).tobytes())
    return bytes(told.SerializeToString())


@contextmanager
def started(
    command: list[str], announce: Path, read: Callable[[str], str], cores: list[int]
) -> Iterator[Server]:
    """A server on ``cores``; ``read`` finds its address in what it announced."""
    child = subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    try:
        until_s = time.monotonic() + START_WITHIN_S
        while not (announce.exists() and announce.read_text()):
            if child.poll() is not None or time.monotonic() > until_s:
                sys.exit(f"it did not start: {' '.join(command)}")
            time.sleep(0.05)
        yield Server(read(announce.read_text()), child.pid)
    finally:
        child.kill()
        child.wait()


def commands(folder: Path) -> dict[str, tuple[list[str], Path, Callable[[str], str]]]:
    """By arm, what ``started`` takes."""
    models = folder / "models"
    model = write_model(models)
    config = write_config(folder / "nearway", fleet_toml([the_center()], [None]), models)
    said = folder / "nearway.json"
    ours = [*NEARWAY, "serve", "--config", str(config), "--grpc-port", "0", "--announce", str(said)]
    made: dict[str, tuple[list[str], Path, Callable[[str], str]]] = {
        OURS: (ours, said, lambda text: str(json.loads(text)["grpc"]))
    }
    for name, kind in ((BASE, "aio"), ("plain grpc, 16 threads", "threads")):
        announce = folder / kind
        command = [sys.executable, "-m", "bench.grpc.plain", kind, str(model), str(announce)]
        made[name] = (command, announce, str.strip)
    return made


def cpu_s(pid: int) -> float:
    """CPU time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def measured(server: Server, connections: int, seconds: float) -> Round:
    """One round of one arm, on connections of its own."""
    host, _, port = server.address.rpartition(":")
    callers = await connect(host, int(port), connections, request(), PATH)
    await _while_well(callers, WARM_UP_S)
    before = _done(callers), time.monotonic(), cpu_s(server.pid)
    await _while_well(callers, seconds)
    after = _done(callers), time.monotonic(), cpu_s(server.pid)
    for caller in callers:
        caller.stop()
    await asyncio.wait_for(asyncio.gather(*(caller.ended for caller in callers)), END_WITHIN_S)
    for caller in callers:
        caller.close()
    return Round(after[0] - before[0], after[1] - before[1], after[2] - before[2])


async def _while_well(callers: list[Caller], seconds: float) -> None:
    """Raises what a caller failed with."""
    ended, _ = await asyncio.wait(
        [caller.ended for caller in callers], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
    )
    for one in ended:
        one.result()


def _done(callers: list[Caller]) -> int:
    return sum(caller.done for caller in callers)


def rows_of(rounds: dict[str, list[Round]]) -> list[Row]:
    """The medians, beside the plain server's."""
    cpu = {arm: median(r.cpu_s / r.requests * 1e6 for r in done) for arm, done in rounds.items()}
    rate = {arm: median(r.requests / r.took_s for r in done) for arm, done in rounds.items()}
    return [
        Row(arm, cpu[arm], cpu[arm] / cpu[BASE], rate[arm], rate[arm] / rate[BASE])
        for arm in rounds
    ]


def run(rounds: int, seconds: float, connections: int, *, spread: bool) -> list[Row]:
    """All arms in turn, so often."""
    cores = sorted(os.sched_getaffinity(0))
    theirs, own = (cores, cores) if spread else (cores[:1], cores[-1:])
    with tempfile.TemporaryDirectory(prefix="nearway-bench-") as folder, ExitStack() as stack:
        arms = commands(Path(folder))
        servers = {arm: stack.enter_context(started(*told, theirs)) for arm, told in arms.items()}
        os.sched_setaffinity(0, own)
        found: dict[str, list[Round]] = {arm: [] for arm in servers}
        try:
            for _ in range(rounds):
                for arm, server in servers.items():
                    found[arm].append(uvloop.run(measured(server, connections, seconds)))
        finally:
            os.sched_setaffinity(0, cores)
    return rows_of(found)


def main() -> int:
    """Measure, print a table, write JSON when asked; 1 when ours is slower than the plain one."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--spread", action="store_true")
    options.add_argument("--json", type=Path)
    told = options.parse_args()
    rows = run(told.rounds, told.seconds, told.connections, spread=told.spread)
    print(f"| {told.connections} connections | CPU us a request | of {BASE} | requests/s | of it |")
    print("|---|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.arm} | {row.cpu_us:.1f} | {row.of_base_cpu:.2f} | "
            f"{row.requests_per_s:,.0f} | {row.of_base_rate:.2f} |"
        )
    if told.json is not None:
        told.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    ours = next(row for row in rows if row.arm == OURS)
    return 0 if ours.of_base_rate >= 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
