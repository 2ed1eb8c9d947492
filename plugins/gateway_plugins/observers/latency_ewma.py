"""How long attempts take, by center, fading with time. An example of an observer.

An observer declares *columns*: one value a center, in the table as ``latency_ewma.latency_ms``
and ``latency_ewma.heard_at_s``, where any scorer may read them by naming them in ``reads``.
Inside the methods they are ``mine["latency_ms"]`` and ``mine["heard_at_s"]``. What is not a
value a center goes into the *memory*, which routing makes once and hands back at each call.
The observer itself is frozen: its fields are the parameters of the policy file.

The average is exponential in time, not in requests, so a busy and an idle center forget at
the same rate: after ``tau_s`` seconds an old value weighs 1/e.

An error must never make a center look fast, or a center that fails quickly attracts all
traffic. So an error counts as the largest of what it took, what the center usually takes and
what the fleet usually takes. A cancelled attempt only tells that it took *at least* so long.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from math import exp, inf
from random import Random
from typing import Any, ClassVar

from gateway.api import Array, Column, Decision, Outcome, Report


@dataclass
class Level:
    """What the whole fleet takes, and when it was last heard of."""

    latency_ms: float = 0.0
    heard_at_s: float = -inf


@dataclass(frozen=True)
class LatencyEwma:
    """Learns the time an attempt takes at each center, errors never rewarded."""

    tau_s: float = 10.0

    columns: ClassVar[Mapping[str, Column]] = {
        "latency_ms": Column("f4", initial=0.0),
        "heard_at_s": Column("f8", initial=-inf),  # an instant needs float64
    }

    def __post_init__(self) -> None:
        if not 0.0 < self.tau_s < inf:
            raise ValueError(f"tau_s = {self.tau_s}; expected seconds > 0")

    def memory(self, centers: int, random: Random) -> Level:
        """One level for the fleet; nothing is drawn at random."""
        return Level()

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Nothing is learned from a choice alone."""

    def ended(self, outcome: Outcome, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Move the center's average, and the fleet's, toward the sample."""
        level: Level = memory
        latency_ms, heard_at_s = mine["latency_ms"], mine["heard_at_s"]
        center, now = outcome.center, outcome.now
        usual_ms = float(latency_ms[center])
        sample_ms = outcome.attempt_ms
        if outcome.ending == "error":
            sample_ms = max(sample_ms, usual_ms, level.latency_ms)
        elif outcome.ending == "cancelled":
            if sample_ms <= usual_ms:
                return  # it might have answered as fast as ever
        else:
            keep = self._kept(now - level.heard_at_s)
            level.latency_ms = keep * level.latency_ms + (1.0 - keep) * sample_ms
            level.heard_at_s = now
        keep = self._kept(now - float(heard_at_s[center]))
        latency_ms[center] = keep * usual_ms + (1.0 - keep) * sample_ms
        heard_at_s[center] = now

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """What a center says of itself is not needed here."""

    def _kept(self, since_s: float) -> float:
        """The old value's weight; 0 at the first sample, when nothing was ever heard."""
        return exp(-max(0.0, since_s) / self.tau_s)
