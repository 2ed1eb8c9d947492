"""One gateway, several open loops at once, and what became of each one's requests.

A *stream* is who asks: a class or a tenant, with its own rate in each phase. All streams of an
episode begin at the same instant; every request is sent at its own, whatever became of others.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.overload.bare import bare_server
from bench.overload.scene import MODEL, ORIGIN, Scene, scene
from gateway.measure.arrivals import arrivals
from gateway.measure.endpoint import Endpoint, Limits
from gateway.measure.gateway_process import GatewayProcess
from gateway.measure.open_loop import Plan, drive
from gateway.measure.samples import F64, Samples
from gateway.wan.delay_line import DelayLine

TIMEOUT_S = 10.0
CONNECTIONS = 256
BARE = "bare"
BARE_PER_S = 100.0


@dataclass(frozen=True, slots=True)
class Stream:
    """Who asks. ``rates``: requests a second, phase by phase."""

    name: str
    rates: tuple[float, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Episode:
    """What was asked and what came back. ``ends_s``: when each phase ends; ``cpu_share``: of one
    core, the gateway's. ``admission``: what its state says of it in the end. ``bare``: what the
    same loops heard of a server that only refuses, at the same time (None in virtual time)."""

    ends_s: tuple[float, ...]
    samples: dict[str, Samples]
    cpu_share: float
    admission: Mapping[str, Any] = field(default_factory=dict)
    bare: Samples | None = None

    def phase(self, name: str, number: int) -> Samples:
        """The requests of a stream that were meant to be sent in a phase."""
        begin_s = self.ends_s[number - 1] if number else 0.0
        return self.between(name, begin_s, self.ends_s[number])

    def between(self, name: str, begin_s: float, end_s: float) -> Samples:
        """The requests of a stream that were meant to be sent within two instants."""
        rows = self.samples[name]
        return rows.where((rows.intended_s >= begin_s) & (rows.intended_s < end_s))

    def answers_per_s(self, name: str, begin_s: float, end_s: float) -> float:
        """Answers that came within two instants."""
        rows = self.samples[name]
        came_s = rows.intended_s + rows.client_total_ms / 1e3
        within = rows.answered & (came_s >= begin_s) & (came_s < end_s)
        return float(within.sum()) / (end_s - begin_s)


def took_ms(rows: Samples) -> F64:
    """From sending to the answer: the generator's own lateness is not the gateway's."""
    return rows.client_total_ms - np.nan_to_num(rows.late_send_ms)


def phased(rates: Sequence[float], phases_s: Sequence[float], seed: int) -> F64:
    """Poisson instants, phase after phase."""
    parts, begin_s = [], 0.0
    for number, (rate, length_s) in enumerate(zip(rates, phases_s, strict=True)):
        if rate > 0.0:
            parts.append(begin_s + arrivals("poisson", rate, length_s, seed * 97 + number))
        begin_s += length_s
    return np.concatenate(parts) if parts else np.zeros(0)


def plans(
    url: str, body: bytes, streams: Sequence[Stream], phases_s: Sequence[float], seed: int
) -> dict[str, Plan]:
    """The open loop of each stream."""
    found = {}
    for number, stream in enumerate(streams):
        times_s = phased(stream.rates, phases_s, seed + number)
        found[stream.name] = Plan(
            endpoint=Endpoint.parse(url),
            path=f"/v2/models/{MODEL}/infer",
            times_s=times_s,
            origin=np.zeros(times_s.size, dtype=np.int32),
            origins=(ORIGIN,),
            body=body,
            headers=stream.headers,
            limits=Limits(connections_max=CONNECTIONS, timeout_s=TIMEOUT_S),
            connections_warm=32,
            polls=False,
        )
    return found


async def play(
    streams: Sequence[Stream], phases_s: Sequence[float], *, seed: int = 1, warm_s: float = 2.0
) -> Episode:
    """Start a gateway, let it learn at the rates of the first phase, and play the phases."""
    with tempfile.TemporaryDirectory(prefix="nearway-overload-") as folder:
        ready = await asyncio.to_thread(scene, Path(folder))
        async with GatewayProcess(ready.options) as gateway:
            await _warm_up(gateway.url, ready, streams, warm_s, seed)
            each = plans(gateway.url, ready.body, streams, phases_s, seed)
            async with bare_server() as bare_url:
                bare = Stream(BARE, (BARE_PER_S,) * len(phases_s))
                each |= plans(bare_url, ready.body, (bare,), phases_s, seed + 500)
                began_s, used_s = time.monotonic(), _cpu_s(gateway.pid)
                samples = await _drive(each)
                cpu_share = (_cpu_s(gateway.pid) - used_s) / (time.monotonic() - began_s)
            gateway.check_alive()
            told = await asyncio.to_thread(_state, gateway.admin_url)
    ends_s = tuple(float(end) for end in np.cumsum(phases_s))
    refused = samples.pop(BARE)
    return Episode(ends_s, samples, cpu_share, told["admission"], refused)


async def _warm_up(
    url: str, ready: Scene, streams: Sequence[Stream], warm_s: float, seed: int
) -> None:
    calm = [replace(stream, rates=stream.rates[:1]) for stream in streams]
    await _drive(plans(url, ready.body, calm, (warm_s,), seed + 1000))


async def _drive(each: dict[str, Plan]) -> dict[str, Samples]:
    line = DelayLine(asyncio.get_running_loop())
    try:
        told = await asyncio.gather(*(drive(plan, timer=line) for plan in each.values()))
    finally:
        line.close()
    return dict(zip(each, told, strict=True))


def _state(admin_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{admin_url}/state") as answer:
        told: dict[str, Any] = json.loads(answer.read())
    return told


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
