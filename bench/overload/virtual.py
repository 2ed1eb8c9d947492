"""The same overload in virtual time: the real router, fleet and admission, centers that queue.

Nothing is disturbed by the machine here, so the rules themselves can be judged, and a seed gives
the same figures anywhere. What is not here: sockets, lanes, the cost of an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import msgspec
import numpy as np

from bench.overload.measuring import Episode, Stream
from bench.overload.scene import CENTERS, SERVICE, SLOTS
from gateway.api import Center, Decision, Location, Outcome, Query, Report, Shed, Table
from gateway.config.settings import SHIPPED_POLICIES, Settings
from gateway.config.settings import Admission as Rules
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.measure.samples import Samples
from gateway.routing import Router
from gateway.serving.admission import Admission
from gateway.telemetry import Metrics

MODEL = "m"
WINDOW_S = 0.25


@dataclass(frozen=True, slots=True)
class Site:
    """A center as it is. ``declared``: the slots it says it has, None: the truth."""

    slots: int = 4
    rtt_ms: float = 5.0
    declared: int | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """A Poisson stream of requests. ``rates``: a second, phase by phase."""

    name: str
    rates: tuple[float, ...]
    priority: int = 0
    tenant: str = "anonymous"
    farther_ms: float = 0.0
    """A round trip longer than the sites' own; it is then another origin."""


@dataclass(frozen=True, slots=True)
class Play:
    """A run. ``reports``: centers say how long requests waited and ran, and their load."""

    sites: tuple[Site, ...]
    askers: tuple[Asker, ...]
    phases_s: tuple[float, ...]
    service_ms: float = 40.0
    sigma: float = 0.1
    reports: bool = True
    seed: int = 1
    rules: Rules = field(default_factory=Rules)
    admits: bool = True


@dataclass(slots=True)
class Told:
    """One request: -1 ms while it has no answer; ``word`` is the reason of a refusal."""

    asker: str
    at_s: float
    took_ms: float = -1.0
    word: str = ""
    status: int = 0


@dataclass(slots=True)
class _Site:
    """A center at work: FIFO over its slots."""

    site: Site
    waiting: deque[tuple[float, Any]] = field(default_factory=deque)
    running: int = 0


class Virtual:
    """Plays one run; ``told`` is every request in the order they came."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.told: list[Told] = []
        here = Location(31.3, 120.6)
        centers = [
            Center(f"c{n}", "r", f"z{n}", "x", "CN", here, models=(MODEL,),
                   slots=site.declared or site.slots)
            for n, site in enumerate(play.sites)
        ]  # fmt: skip
        self.table = Table(centers)
        rtt = np.array([site.rtt_ms for site in play.sites], dtype=np.float32)
        farther_ms = sorted({asker.farther_ms for asker in play.askers})
        self._vantage = {each: number for number, each in enumerate(farther_ms)}
        self.fleet = Fleet(
            self.table,
            rtt_prior=lambda v: rtt + np.float32(farther_ms[v]),
            random=Random(play.seed),
        )
        self.fleet.add_model(MODEL, play.service_ms, np.ones(len(centers), dtype=bool))
        for row in range(len(centers)):
            self.fleet.set_resident(MODEL, row, resident=True)
        name = "predicted_completion"
        known = {*self.table.columns, *self.table.row_tables}
        policy = build_policy(name, SHIPPED_POLICIES[name], Registry.discover(), known)
        self.router = Router(
            self.table,
            policy,
            self.fleet,
            seed=play.seed,
            budget_clock=lambda: 0.0,
            plugin_budget_ms=1.0,
            plugin_limit_ms=5.0,
        )
        settings = msgspec.structs.replace(Settings(), admission=play.rules)
        self.metrics = Metrics([center.id for center in centers])
        self.admission = Admission(settings, self.metrics, self.router, len(centers), self.table)
        self._sites = [_Site(site) for site in play.sites]
        self._random = Random(f"{play.seed}:service")
        self._heap: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._number = count()

    def run(self) -> list[Told]:
        """Until every request has ended."""
        for asker in self.play.askers:
            self._plan_arrivals(asker)
        self._at(WINDOW_S, self._look)
        while self._heap:
            now, _, what, given = heappop(self._heap)
            what(now, *given)
        return self.told

    def _at(self, at_s: float, what: Any, *given: Any) -> None:
        heappush(self._heap, (at_s, next(self._number), what, given))

    def _plan_arrivals(self, asker: Asker) -> None:
        random, begin_s = Random(f"{self.play.seed}:{asker.name}"), 0.0
        for rate, length_s in zip(asker.rates, self.play.phases_s, strict=True):
            at_s = begin_s
            while rate > 0.0:
                at_s += random.expovariate(rate)
                if at_s >= begin_s + length_s:
                    break
                self._at(at_s, self._arrive, asker)
            begin_s += length_s

    def _look(self, now: float) -> None:
        self.fleet.tick(now)
        self.admission.learn(*self.fleet.residuals.attempts(), now)
        if now < sum(self.play.phases_s):
            self._at(now + WINDOW_S, self._look)

    def _arrive(self, now: float, asker: Asker) -> None:
        told = Told(asker.name, now)
        self.told.append(told)
        try:
            self.admission.enter(0)
        except Shed as error:
            told.word, told.status = error.reason, error.http_status
            return
        vantage = self._vantage[asker.farther_ms]
        query = Query(vantage, MODEL, asker.tenant, 30_000.0, 0, "", asker.priority)
        decision = self.router.decide(query, now)
        if self.play.admits:
            try:
                decision = self.admission.admit(decision, now)
            except Shed as error:
                told.word, told.status = error.reason, error.http_status
                self.admission.leave(0)
                return
        self.router.commit(decision, now)
        half_s = (self.play.sites[decision.center].rtt_ms + asker.farther_ms) / 2e3
        self._at(now + half_s, self._reach, decision, told, half_s)

    def _reach(self, now: float, decision: Decision, told: Told, half_s: float) -> None:
        center = self._sites[decision.center]
        center.waiting.append((now, (decision, told, half_s)))
        self._begin(now, decision.center)

    def _begin(self, now: float, row: int) -> None:
        center = self._sites[row]
        while center.waiting and center.running < center.site.slots:
            came_s, (decision, told, half_s) = center.waiting.popleft()
            center.running += 1
            service_s = self.play.service_ms / 1e3 * self._random.lognormvariate(0, self.play.sigma)
            waited_ms = (now - came_s) * 1e3
            self._at(now + service_s, self._done, decision, told, half_s, waited_ms, service_s)

    def _done(
        self,
        now: float,
        decision: Decision,
        told: Told,
        half_s: float,
        queue_ms: float,
        service_s: float,
    ) -> None:
        row = decision.center
        center = self._sites[row]
        center.running -= 1
        self._begin(now, row)
        there = center.running + len(center.waiting)
        report = None
        if self.play.reports:
            slots = center.site.declared or center.site.slots
            work_ms = there * self.play.service_ms
            report = Report(queue_ms, service_s * 1e3, work_ms, there, slots)
        self._at(now + half_s, self._back, decision, told, report)

    def _back(self, now: float, decision: Decision, told: Told, report: Report | None) -> None:
        attempt_ms = (now - decision.now) * 1e3
        self.router.ended(
            Outcome(decision.center, decision.query.vantage, MODEL, "answer", attempt_ms, report,
                    decision.predicted_ms, decision.charged_ms, now, "", decision.token)
        )  # fmt: skip
        self.admission.leave(0)
        told.took_ms, told.status = (now - told.at_s) * 1e3, 200


def play_virtually(
    streams: Sequence[Stream], phases_s: Sequence[float], *, seed: int = 1, **more: Any
) -> Episode:
    """The scene's fleet under these streams; ``more``: other fields of ``Play``."""
    askers = tuple(
        Asker(
            stream.name,
            stream.rates,
            int(stream.headers.get("x-nearway-priority", "0")),
            stream.headers.get("x-nearway-tenant", "anonymous"),
        )
        for stream in streams
    )
    sites = (Site(SLOTS),) * CENTERS
    play = Play(sites, askers, tuple(phases_s), SERVICE.median_ms, SERVICE.sigma, seed=seed, **more)
    told = Virtual(play).run()
    ends_s = tuple(float(end) for end in np.cumsum(phases_s))
    samples = {a.name: samples_of([one for one in told if one.asker == a.name]) for a in askers}
    return Episode(ends_s, samples, 0.0)


def samples_of(told: Sequence[Told]) -> Samples:
    """As a load generator would have them; the refused took no time."""
    nothing = np.zeros(len(told))
    unknown = np.full(len(told), np.nan)
    return Samples(
        intended_s=np.array([one.at_s for one in told]),
        origin=np.zeros(len(told), dtype=np.int32),
        status=np.array([one.status for one in told], dtype=np.int32),
        client_total_ms=np.array([max(0.0, one.took_ms) for one in told]),
        client_ms=unknown,
        gateway_ms=unknown,
        network_ms=unknown,
        queue_ms=unknown,
        service_ms=unknown,
        late_send_ms=nothing,
        center=np.full(len(told), -1, dtype=np.int32),
    )
