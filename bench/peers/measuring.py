"""One cell: an arm under one load for a few seconds, and whether anything else was at work.

The peer runs on one core, the generator and the upstream on the others; in a cell of *one core*
all three share the peer's, so that no wake-up crosses cores and hides what the peer adds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.peers import cpu, wrk
from bench.peers.running import Running
from gateway.measure.cores import Cores, on

STEAL_MAX = 0.02
"""Of the time of the cores in use, taken by the host for somebody else."""
STRANGERS_MAX = 0.05
"""Of the same, used by processes that do not belong to the measurement."""
SPIN_MAX = 1.15
"""A fixed piece of work, against the least it has taken in this run."""
SPIN_STEPS = 400_000
FAILED_MAX = 0.001


class Failing(Exception):
    """A peer that refuses or breaks requests: its figures would be of something else."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cores the peer has, and which the generator and the upstream."""

    peer: Cores
    others: Cores

    @classmethod
    def of_this_machine(cls) -> Layout:
        """The first core for the peer; with a single one everything shares it."""
        cores = sorted(os.sched_getaffinity(0))
        first = frozenset(cores[:1])
        return cls(first, frozenset(cores[1:]) or first)


@dataclass(frozen=True, slots=True)
class Load:
    """How hard a peer is asked: connections in a closed loop, on whose core."""

    connections: int
    one_core: bool = False

    def __str__(self) -> str:
        """For the lines of progress."""
        plural = "s" if self.connections != 1 else ""
        return f"{self.connections} connection{plural}{', one core' if self.one_core else ''}"


@dataclass(frozen=True, slots=True)
class Cell:
    """What was measured. Shares are of one core's time, ``peer_share`` the peer's own.

    ``disturbances``: what else went on, in words; empty when nothing did.
    """

    row: str
    load: Load
    round: int
    cpu_us: float
    requests_per_s: float
    mean_us: float
    p50_us: float
    p99_us: float
    resident_mb: float
    peer_share: float
    generator_share: float
    upstream_share: float
    disturbances: tuple[str, ...] = ()
    tries: int = 1


class Spin:
    """A fixed piece of work as a measure of the core: slower when a neighbour shares its parts."""

    def __init__(self) -> None:
        self._least_s = float("inf")

    def slowness(self, cores: Cores) -> float:
        """The CPU time it takes on ``cores`` now, over the least so far."""
        with on(cores):
            started_s = time.thread_time()
            total = 0
            for step in range(SPIN_STEPS):
                total += step
            took_s = time.thread_time() - started_s
        self._least_s = min(self._least_s, took_s)
        return took_s / self._least_s


@dataclass(slots=True)
class Bench:
    """Where cells are measured: the cores, the upstream, the length of a cell."""

    layout: Layout
    upstream: Running
    seconds: float
    spin: Spin

    def warm_up(self, peer: Running, script: Sequence[str], connections: int) -> None:
        """A second of load that nobody looks at."""
        wrk.drive(peer.port, connections, 1.0, script, self.layout.others)

    def cell(self, row: str, load: Load, number: int, peer: Running, script: Sequence[str]) -> Cell:
        """Measure once. Raises Failing when requests fail, WrkFailed when wrk does."""
        cores = self.layout.peer if load.one_core else self.layout.others
        cpu.move(self.upstream.processes(), cores)
        slowness = self.spin.slowness(self.layout.peer)
        in_use = self.layout.peer | cores
        members, behind = peer.processes(), self.upstream.processes()
        before = cpu.thread_times(members), cpu.thread_times(behind)
        machine, started_s = cpu.core_times(in_use), time.monotonic()
        driven = wrk.drive(peer.port, load.connections, self.seconds, script, cores)
        took_s = time.monotonic() - started_s
        all_did = cpu.core_times(in_use).since(machine)
        peer_s = cpu.spent_s(before[0], cpu.thread_times(peer.processes()))
        upstream_s = cpu.spent_s(before[1], cpu.thread_times(behind))
        if driven.failed_share > FAILED_MAX:
            raise Failing(f"{row}, {load}: {driven.failed_share:.1%} of the requests failed")
        told = driven.told
        return Cell(
            row=row,
            load=load,
            round=number,
            cpu_us=peer_s / max(1, told.requests) * 1e6,
            requests_per_s=told.requests / told.seconds,
            mean_us=told.mean_us,
            p50_us=told.p50_us,
            p99_us=told.p99_us,
            resident_mb=cpu.resident_mb(peer.processes()),
            peer_share=peer_s / took_s,
            generator_share=driven.own_s / took_s,
            upstream_share=upstream_s / took_s,
            disturbances=disturbances(
                all_did, peer_s + upstream_s + driven.own_s, took_s * len(in_use), slowness
            ),
        )


def disturbances(
    all_did: cpu.CoreTimes, known_s: float, available_s: float, slowness: float
) -> tuple[str, ...]:
    """What went on beside the measurement, in words.

    ``all_did``: what the cores in use did in their ``available_s``; ``known_s``: how much of it
    was the measurement; ``slowness``: of the fixed piece of work.
    """
    found = []
    strangers = max(0.0, all_did.busy_s - known_s) / available_s
    steal = all_did.steal_s / available_s
    if strangers > STRANGERS_MAX:
        found.append(f"strangers {strangers:.0%}")
    if steal > STEAL_MAX:
        found.append(f"steal {steal:.0%}")
    if slowness > SPIN_MAX:
        found.append(f"core {slowness:.2f} x slower")
    return tuple(found)
