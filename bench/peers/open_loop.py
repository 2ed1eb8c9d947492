"""A minute of open loop, in blocks that take turns: who is late at a rate nobody is busy with?

    python -m bench.peers.open_loop PORT REQUEST_FOLDER RATE SECONDS SEED OUT_FILE

The generator is this project's own (``gateway.measure.open_loop``): every request has its
instant beforehand and is counted from it. It runs in a process of its own on the cores of the
upstream, and gives way to it. All peers are at work the whole time; a block of each, then the
next of each, with the same instants for all in a turn.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import uvloop

from bench.peers import cpu
from bench.peers.arms import Arm, Place
from bench.peers.measuring import Layout
from bench.peers.rounds import Say, check
from bench.peers.running import HOST, Running
from bench.peers.workload import Asked
from gateway.measure.arrivals import poisson
from gateway.measure.cores import give_way, on
from gateway.measure.endpoint import Endpoint
from gateway.measure.open_loop import Plan, drive
from gateway.measure.samples import F64

BLOCK_S = 10.0
WARM_UP_S = 1.0
GRACE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


class GeneratorFailed(Exception):
    """The generator ended without a result."""


@dataclass(slots=True)
class Stream:
    """What one arm did, block after block.

    ``latency_ms`` float64[n] a block, infinite where a request failed; ``intended_s`` the same
    shape, seconds since the first block's start; ``late_ms``: how late the generator was.
    """

    latency_ms: list[F64] = field(default_factory=list)
    intended_s: list[F64] = field(default_factory=list)
    late_ms: list[F64] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asking:
    """How fast, how long in all, with which request."""

    rate_per_s: float
    seconds: float
    asked: Asked

    @property
    def blocks(self) -> int:
        """How many turns there are."""
        return max(1, round(self.seconds / BLOCK_S))

    @property
    def block_s(self) -> float:
        """The length of a turn."""
        return self.seconds / self.blocks


def run_minute(
    arms: Sequence[Arm], asking: Asking, place: Place, layout: Layout, say: Say
) -> dict[str, Stream]:
    """Arm -> its stream. Raises NotReady, Failing, GeneratorFailed."""
    streams = {arm.name: Stream() for arm in arms}
    with ExitStack() as stack:
        peers = {}
        for arm in arms:
            own = replace(place, folder=place.folder / f"minute-{arm.name}".replace(" ", "-"))
            peers[arm.name] = stack.enter_context(arm.started(own))
            check(peers[arm.name], asking.asked)
        for block in range(asking.blocks):
            say(f"open loop, turn {block + 1} of {asking.blocks}: {', '.join(peers)}")
            for name, peer in peers.items():
                _one_block(peer, block, asking, place.folder, layout, streams[name])
    return streams


def _one_block(
    peer: Running, block: int, asking: Asking, folder: Path, layout: Layout, stream: Stream
) -> None:
    out = folder / "block.npz"
    request = folder / "minute-request"
    write_plan_request(asking.asked, request)
    command = [
        *(sys.executable, "-m", "bench.peers.open_loop", str(peer.port), str(request.resolve())),
        *(str(asking.rate_per_s), str(asking.block_s), str(block), str(out.resolve())),
    ]
    before = cpu.thread_times(peer.processes())
    with on(layout.others):
        ended = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=asking.block_s + WARM_UP_S + GRACE_S,
            check=False,
        )
    if ended.returncode != 0:
        raise GeneratorFailed(ended.stderr.strip()[-400:])
    spent_s = cpu.spent_s(before, cpu.thread_times(peer.processes()))
    with np.load(out) as saved:
        stream.latency_ms.append(saved["latency_ms"])
        stream.intended_s.append(saved["intended_s"] + block * np.ceil(asking.block_s + WARM_UP_S))
        stream.late_ms.append(saved["late_ms"])
        stream.cpu_us.append(spent_s / int(saved["requests"]) * 1e6)


def write_plan_request(asked: Asked, folder: Path) -> None:
    """The request as files, for the generator's process."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "path").write_text(asked.path)
    (folder / "body").write_bytes(asked.body)
    (folder / "origins").write_text("\n".join(asked.origins))


def generate(port: int, request: Path, rate_per_s: float, seconds: float, seed: int) -> Plan:
    """The plan of one block, its warm-up in front."""
    times_s = poisson(rate_per_s, WARM_UP_S + seconds, seed)
    origins = tuple((request / "origins").read_text().splitlines())
    return Plan(
        endpoint=Endpoint(HOST, port),
        path=(request / "path").read_text(),
        times_s=times_s,
        origin=np.arange(times_s.size, dtype=np.int32) % len(origins),
        origins=origins,
        body=(request / "body").read_bytes(),
        warmup_s=WARM_UP_S,
    )


def _main(port: str, request: str, rate: str, seconds: str, seed: str, out: str) -> None:
    give_way()
    plan = generate(int(port), Path(request), float(rate), float(seconds), int(seed))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        everything = runner.run(drive(plan))
    samples = everything.after(WARM_UP_S)
    np.savez(
        out,
        latency_ms=np.where(samples.answered, samples.client_total_ms, np.inf),
        intended_s=samples.intended_s,
        late_ms=samples.late_send_ms,
        requests=len(everything),
    )


if __name__ == "__main__":
    _main(*sys.argv[1:])
