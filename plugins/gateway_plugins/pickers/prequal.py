"""Prequal: probe a few, remember the answers, take the fastest that is not hot.

Wydrowski, Kleinberg, Rumble, Archer, Load is not what you should balance: Introducing Prequal
(NSDI 2024, arXiv 2312.10172), with its constants:

* Each query probes ``r_probe`` different centers; an answer tells requests in flight (RIF)
  and the latency usual at such a RIF. Up to ``pool`` answers are kept, one a center, for
  ``age_s``. Only probes count, not the reports that come with answers.
* Hot is a RIF above the ``q_rif`` quantile of the last ``rifs`` (the paper leaves that number
  open). The cold of least latency is taken; if all are hot, the least RIF; with fewer than
  two usable answers any center at random.
* Being chosen adds 1 to the RIF and takes one of b uses, rounded at random (equation 1):
  b = max(1, (1 + delta) / ((1 - pool / N) r_probe - r_remove)). Where the denominator is not
  positive (N <= 24 with these constants) b is ``reuse_max``; ``reuse`` sets b.
* Each query removes ``r_remove``, in turn the oldest and the worst by the rule above.

Its guard against sinkholes is left out: a center that fails fast looks cold and attracts.
``ring_ms``: None as published; a width probes and picks in the nearest ring, and
adds the modelled round trip to the latency.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from gateway.api import (
    F32N,
    Array,
    Centers,
    Choice,
    Decision,
    Query,
    Report,
    check_ring,
    nearest_ring,
)


@dataclass(slots=True)
class Probe:
    """An answer, and the uses left in it."""

    rif: int
    latency_ms: float
    at: float
    uses: int

    def rank(self, hot_above: int, network_ms: float = 0.0) -> tuple[bool, float]:
        """Smaller is better: the cold by latency, then the hot by RIF."""
        hot = self.rif > hot_above
        return hot, self.rif if hot else self.latency_ms + network_ms


class Pool:
    """Answers by center, the oldest first; the last RIFs by age and by size; whom to probe."""

    def __init__(self, centers: int, random: Random, uses: float) -> None:
        self.answers: dict[int, Probe] = {}
        self.recent: deque[int] = deque()
        self.by_size: list[int] = []
        self.targets: Sequence[int] = range(centers)
        self.removals = 0
        self.uses = uses
        self.random = random

    def rounded(self, rate: float) -> int:
        """Up or down at random, right in the mean."""
        return int(rate + self.random.random())


@dataclass(frozen=True)
class Prequal:
    """Picks by hot-cold lexicographic order among centers that answered a probe."""

    r_probe: float = 3.0
    pool: int = 16
    age_s: float = 1.0
    r_remove: float = 1.0
    q_rif: float = 0.84
    rifs: int = 64
    delta: float = 1.0
    reuse: float | None = None
    reuse_max: float = 16.0
    ring_ms: float | None = None

    sample: ClassVar[int | None] = None
    reads: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not (self.r_probe >= 0.0 <= self.r_remove and self.delta > 0.0 < self.age_s):
            raise ValueError(f"{self}; expected r_probe, r_remove >= 0 and delta, age_s > 0")
        if not (self.pool >= 2 and self.rifs >= 1 and 0.0 <= self.q_rif <= 1.0):
            raise ValueError(f"{self}; expected pool >= 2, rifs >= 1 and q_rif from 0 to 1")
        if not (self.reuse_max >= 1.0 and (self.reuse is None or self.reuse >= 1.0)):
            raise ValueError(f"{self}; expected reuse and reuse_max >= 1")
        check_ring(self.ring_ms)

    def memory(self, centers: int, random: Random) -> Pool:
        """An empty pool."""
        gain = (1.0 - self.pool / centers) * self.r_probe - self.r_remove
        uses = min(self.reuse_max, (1.0 + self.delta) / gain) if gain > 0.0 else self.reuse_max
        return Pool(centers, random, max(1.0, uses) if self.reuse is None else self.reuse)

    def pick(
        self,
        total_ms: F32N,
        candidates: Any,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> Choice:
        """The best of the answers that may be used; the token is whom to probe."""
        near = nearest_ring(total_ms, self.ring_ms)
        rows: list[int] = near.nonzero()[0].tolist()
        usable, oldest = near.tobytes(), now - self.age_s
        way_ms = total_ms.data if self.ring_ms is not None else bytes(len(total_ms))
        hot_above = self._hot_above(memory)
        ranked = [
            (probe.rank(hot_above, way_ms[center]), center)
            for center, probe in memory.answers.items()
            if usable[center] and probe.at >= oldest
        ]
        if len(ranked) < 2:
            return Choice(rows[int(random.random() * len(rows))], token=rows)
        return Choice(min(ranked)[1], token=rows)

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Drop what is too old, count the use, remove the oldest or the worst."""
        answers: dict[int, Probe] = memory.answers
        if decision.token is not None:
            memory.targets = decision.token
        while answers and next(iter(answers.values())).at < decision.now - self.age_s:
            del answers[next(iter(answers))]
        probe = answers.get(decision.center)
        if probe is not None:
            probe.rif, probe.uses = probe.rif + 1, probe.uses - 1
            if probe.uses < 1:
                del answers[decision.center]
        for _ in range(min(memory.rounded(self.r_remove), len(answers))):
            memory.removals += 1
            hot = self._hot_above(memory)
            worst = memory.removals % 2 == 0
            del answers[
                max(answers, key=lambda c: answers[c].rank(hot)) if worst else next(iter(answers))
            ]

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """Keep a probe's answer in place of the center's last, or of the oldest."""
        if report.service_ms or report.queue_ms:
            return  # it came with an answer to a request
        answers, rif = memory.answers, report.in_flight
        answers.pop(center, None)
        if len(answers) >= self.pool:
            del answers[next(iter(answers))]
        answers[center] = Probe(rif, report.latency_ms, now, memory.rounded(memory.uses))
        memory.recent.append(rif)
        insort(memory.by_size, rif)
        if len(memory.recent) > self.rifs:
            memory.by_size.remove(memory.recent.popleft())

    def probes(
        self, now: float, random: Random, mine: MutableMapping[str, Array], memory: Any
    ) -> Sequence[int]:
        """Different ones of those that could have been chosen, at random."""
        targets: Sequence[int] = memory.targets
        count = min(memory.rounded(self.r_probe), len(targets))
        return random.sample(targets, count)

    def _hot_above(self, pool: Pool) -> int:
        sizes = pool.by_size
        return sizes[int(self.q_rif * (len(sizes) - 1))] if sizes else 0
