"""Noise: was the machine, in this very run, quiet enough to judge by?

One criterion with three witnesses, each a 99th percentile against a limit:

    timer      0.5 ms  a bare timer in a process of its own, woken every few ms
    generator  0.5 ms  how late the load generator was in sending, its own doing alone
    loop       2 ms    the heartbeat of the gateway's event loop

A twentieth of the target is what may be lost to the machine before a latency near the target
says more about the machine than about the gateway. What was not measured can't speak. The
rest of the client's part (the way to the gateway's socket and back) is no witness, because a
gateway that is slow to read would excuse itself with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gateway.measure.samples import Samples

LIMIT_MS = 0.5
LOOP_LIMIT_MS = 2.0
"""A request's own work, up to a millisecond where caches are cold, makes the heartbeat late too;
that is the gateway's to answer for and counts against it. Only what is longer is the machine."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One figure of the noise criterion; ``p99_ms`` NaN: not measured."""

    name: str
    p99_ms: float
    limit_ms: float
    meaning: str

    @property
    def busy(self) -> bool:
        """True when the machine was too busy by this figure."""
        return self.p99_ms > self.limit_ms

    @property
    def sentence(self) -> str:
        """The figure and by how much it is over."""
        return (
            f"{self.meaning} was {self.p99_ms:.2f} ms, {self.p99_ms - self.limit_ms:.2f} ms "
            f"over the limit of {self.limit_ms:g} ms"
        )


@dataclass(frozen=True, slots=True)
class LoopState:
    """What the gateway says of its own loop and delay line; NaN where it says nothing."""

    late_p50_ms: float = math.nan
    late_p99_ms: float = math.nan
    blocked_count: int = 0
    blocked_ms_max: float = math.nan
    over_p50_ms: float = math.nan
    over_p99_ms: float = math.nan
    """Time really spent in the delay line minus the time drawn."""


def witnesses(samples: Samples, *, timer_p99_ms: float, loop: LoopState) -> tuple[Witness, ...]:
    """The three figures, for the measured part of a run."""
    return (
        Witness("timer", timer_p99_ms, LIMIT_MS, "a bare timer's p99 lateness"),
        Witness("generator", _p99(samples), LIMIT_MS, "the generator's p99 lateness in sending"),
        Witness("loop", loop.late_p99_ms, LOOP_LIMIT_MS, "the gateway loop's p99 lateness"),
    )


def _p99(samples: Samples) -> float:
    late_ms = samples.late_send_ms[~np.isnan(samples.late_send_ms)]
    return float(np.quantile(late_ms, 0.99)) if late_ms.size else math.nan
