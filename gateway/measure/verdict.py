"""The verdict: is the promise kept in the service area, by how sure a figure, and if not, why.

    cannot tell   the machine was too busy in this very run, or the interval is wider than
                  half a point either way, or it holds the objective
    pass          the lower 95 % bound of the share within the target is at least the objective
    fail          the upper bound is below it

The width does not excuse what is plainly late: when even an interval of twice the width would
lie below the objective, the verdict is *fail* however short the run.

The share is of the requests of the service area's cities, each city weighted by its people
and the interval bootstrapped over one-second blocks. Requests of all other cities are sampled
more thinly; for the claim for everybody the two groups are weighted by their people. Whatever
was not answered is late. Everything here is pure: samples in, a verdict out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gateway.measure.blame import PART_NAMES, Blame, Expected, blame, parts_ms
from gateway.measure.city_results import CityResult, NearestSet, city_results, nearest_set
from gateway.measure.intervals import (
    NOTHING,
    Interval,
    quantile_interval,
    seconds_needed,
    share_within,
)
from gateway.measure.noise import Witness
from gateway.measure.samples import F64, Samples
from gateway.measure.service_area import AreaRules, ServiceArea, fibre_radius_km, radius_km
from gateway.wan import Profile

Ruling = Literal["pass", "fail", "cannot tell"]

HALF_WIDTH_MAX = 0.005
QUANTILES = (0.5, 0.9, 0.99, 0.999)
SHORTEST_GAP = 0.0005
"""Nearer to the objective than this no run of a sensible length can tell."""


@dataclass(frozen=True, slots=True)
class ReadingResult:
    """What one reading of the target gives; the area is that reading's own."""

    reading: str
    cities: int
    people_share: float
    share: Interval
    everybody: Interval
    fibre_share: float


@dataclass(frozen=True, slots=True)
class QuantileResult:
    """A quantile of the area's latency, ms."""

    q: float
    ms: Interval


@dataclass(frozen=True, slots=True)
class PartResult:
    """One part of the area's requests: mean, quantiles in ms, share of the mean total."""

    name: str
    mean_ms: float
    p50_ms: float
    p99_ms: float
    share: float


@dataclass(frozen=True, slots=True)
class Radius:
    """What the time that is not network buys: the rest of the target, as a distance."""

    q: float
    own_ms: float
    """This quantile of gateway + queue + service + client."""
    path_km: float
    fibre_km: float
    people_share: float
    """Of the mainland's city people, by the modelled network of the seed in force."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that was found; times in ms, shares 0 to 1."""

    ruling: Ruling
    sentence: str
    reason: str
    objective: float
    share: Interval
    everybody: Interval
    requests: int
    area_requests: int
    area_unanswered: int
    seconds_needed: float
    """How long a run should be to tell; 0 when this one was long enough."""
    readings: tuple[ReadingResult, ...]
    quantiles: tuple[QuantileResult, ...]
    parts: tuple[PartResult, ...]
    blame: Blame
    radii: tuple[Radius, ...]
    nearest: NearestSet
    cities: tuple[CityResult, ...]
    noise: tuple[Witness, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: the measured part of a run, the areas of both readings (the one in
    force first), what each part should take, and how noisy the machine was."""

    samples: Samples
    ran_s: float
    areas: tuple[ServiceArea, ...]
    profile: Profile
    expected: Expected
    noise: tuple[Witness, ...]
    objective: float = 0.99


def judge(case: Case) -> Verdict:
    """The verdict of a run. An empty run is *cannot tell*."""
    area = case.areas[0]
    readings = tuple(_reading(case, one) for one in case.areas)
    total_ms = total_of(case.samples, area.rules)
    inside = area.inside_of(case.samples.origins)[case.samples.origin]
    mine, mine_ms = case.samples.where(inside), total_ms[inside]
    late = ~(mine.answered & (mine_ms <= area.rules.target_ms))
    results = city_results(case.samples, total_ms, area, case.expected, objective=case.objective)
    culprit = blame(mine.where(late), case.expected, area.rules)
    ruling, reason, needed_s = rule(
        readings[0].share, case.objective, ran_s=case.ran_s, noise=case.noise
    )
    verdict = Verdict(
        ruling,
        "",
        reason,
        case.objective,
        readings[0].share,
        readings[0].everybody,
        len(case.samples),
        len(mine),
        int((~mine.answered).sum()),
        needed_s,
        readings,
        tuple(QuantileResult(q, quantile_interval(mine, q, total_ms=mine_ms)) for q in QUANTILES),
        part_results(mine, area.rules),
        culprit,
        _radii(mine, area, case.profile),
        nearest_set(results, area.rules.target_ms, objective=case.objective),
        results,
        case.noise,
    )
    return replace(verdict, sentence=sentence(verdict, area))


def rule(
    share: Interval, objective: float, *, ran_s: float, noise: Sequence[Witness]
) -> tuple[Ruling, str, float]:
    """The ruling, its reason, and how many seconds of run it would take to tell (0: enough)."""
    busy = [witness for witness in noise if witness.busy]
    if busy:
        reason = "; ".join(witness.sentence for witness in busy)
        return "cannot tell", f"the machine was too busy: {reason}", 0.0
    if math.isnan(share.value):
        return "cannot tell", "no request came from the service area", 0.0
    if share.high + share.half_width < objective:
        return "fail", "", 0.0
    if share.half_width > HALF_WIDTH_MAX:
        needed_s = seconds_needed(share, ran_s, HALF_WIDTH_MAX)
        wide = f"the interval is ± {100 * share.half_width:.2f} points wide"
        return "cannot tell", f"{wide}, more than {100 * HALF_WIDTH_MAX:g}", needed_s
    if share.low >= objective:
        return "pass", "", 0.0
    if share.high < objective:
        return "fail", "", 0.0
    gap = abs(share.value - objective)
    needed_s = seconds_needed(share, ran_s, gap) if gap >= SHORTEST_GAP else math.inf
    return "cannot tell", f"the objective of {100 * objective:g} % lies in the interval", needed_s


def sentence(verdict: Verdict, area: ServiceArea) -> str:
    """The verdict in one sentence: the area, its people, the interval, everybody, physics."""
    rules, coverage = area.rules, area.coverage
    found = (
        f"{percent_interval(verdict.share)} of the requests from {_area_words(area)} were "
        f"answered within {rules.target_ms:g} ms {_reading_words(rules)}"
        if verdict.area_requests
        else f"nothing was measured in {_area_words(area)}"
    )
    everybody = (
        f"of everybody in the mainland's {len(area.cities)} cities "
        f"({millions(coverage.people)} people) {percent_interval(verdict.everybody)} were, "
        f"where straight fibre would allow {percent(coverage.fibre)}"
    )
    why = verdict.reason
    if verdict.ruling == "fail":
        why = verdict.blame.sentence
    elif verdict.seconds_needed > 0.0:
        why = f"{why}, {_duration_words(verdict.seconds_needed)}"
    return "; ".join(part for part in (f"{_heading(verdict)}: {found}", why, everybody) if part)


def total_of(samples: Samples, rules: AreaRules) -> F64:
    """What is held against the target, float64[n]: the client's total, the network counted as
    the reading counts it. Where the parts are not told the whole total counts."""
    network_ms = np.nan_to_num(samples.network_ms, nan=0.0)
    total_ms: F64 = samples.client_total_ms - network_ms + rules.network_part(network_ms)
    return total_ms


def part_results(samples: Samples, rules: AreaRules) -> tuple[PartResult, ...]:
    """The five parts of the answered requests in ``samples``."""
    known = samples.where(samples.answered & ~np.isnan(samples.network_ms))
    parts = parts_ms(known, rules)
    if not len(known):
        return tuple(PartResult(n, math.nan, math.nan, math.nan, math.nan) for n in PART_NAMES)
    whole_ms = sum(float(part.mean()) for part in parts.values())
    return tuple(
        PartResult(
            name,
            float(part.mean()),
            float(np.quantile(part, 0.5)),
            float(np.quantile(part, 0.99)),
            float(part.mean()) / whole_ms,
        )
        for name, part in parts.items()
    )


def percent(share: float) -> str:
    """Digits where they matter: 99.62 %, 27.8 %, 0.08 %."""
    if math.isnan(share):
        return "– %"
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{100 * share:.{2 if share >= 0.95 or share < 0.01 else 1}f} %"


def percent_interval(share: Interval) -> str:
    """``99.62 % (99.41 to 99.80)``."""
    if math.isnan(share.value):
        return "– %"
    return f"{percent(share.value)} ({100 * share.low:.2f} to {100 * share.high:.2f})"


def millions(people: int) -> str:
    """``122.0 million``."""
    return f"{people / 1e6:.1f} million"


def _reading(case: Case, area: ServiceArea) -> ReadingResult:
    samples, rules = case.samples, area.rules
    total_ms = total_of(samples, rules)
    inside = area.inside_of(samples.origins)
    rows = inside[samples.origin]
    people = {city.name: float(city.population) for city in area.cities}
    weights = np.array([people.get(name, 0.0) for name in samples.origins])
    share = NOTHING
    if rows.any():
        share = share_within(
            samples.where(rows),
            rules.target_ms,
            total_ms=total_ms[rows],
            weights=np.where(inside, weights, 0.0),
        )
    everybody = _everybody(case, total_ms, weights, rules.target_ms)
    coverage = area.coverage
    return ReadingResult(
        rules.reading, len(area.members), coverage.inside, share, everybody, coverage.fibre
    )


def _everybody(case: Case, total_ms: F64, weights: F64, target_ms: float) -> Interval:
    """The share of everybody's requests: the two groups that were drawn, by their people.

    Within each group cities were drawn by population, so a group's own share is unbiased
    even where a small city happens to have no request. NaN when a group was not sampled.
    """
    samples, dense = case.samples, case.areas[0].inside_of(case.samples.origins)
    groups = np.array([float(weights[~dense].sum()), float(weights[dense].sum())])
    group = dense[samples.origin].astype(np.int32)
    if any(groups[i] > 0 and not (group == i).any() for i in (0, 1)):
        return NOTHING
    grouped = replace(samples, origin=group, origins=("others", "service area"))
    return share_within(grouped, target_ms, total_ms=total_ms, weights=groups)


def _radii(samples: Samples, area: ServiceArea, profile: Profile) -> tuple[Radius, ...]:
    """At the median and the 99th percentile of the area's own time."""
    rules = area.rules
    own_ms = samples.gateway_ms + samples.queue_ms + samples.service_ms + samples.client_ms
    own_ms = own_ms[~np.isnan(own_ms)]
    jitter_ms = profile.jitter_median_ms if rules.jitter else 0.0
    network_ms = np.array([city.network_ms for city in area.cities])
    people = np.array([float(city.population) for city in area.cities])
    radii = []
    for q in (0.5, 0.99):
        taken_ms = float(np.quantile(own_ms, q)) if own_ms.size else math.nan
        left_ms = rules.round_trip_ms(rules.target_ms - taken_ms)
        reached = people[network_ms <= left_ms].sum() / people.sum()
        radii.append(
            Radius(
                q,
                taken_ms,
                radius_km(profile, left_ms - jitter_ms),
                fibre_radius_km(left_ms),
                float(reached),
            )
        )
    return tuple(radii)


def _heading(verdict: Verdict) -> str:
    return {"pass": "Pass", "fail": "Fail", "cannot tell": "Cannot tell"}[verdict.ruling]


def _area_words(area: ServiceArea) -> str:
    rules = area.rules
    name = (
        f"a custom area (service budget {rules.service_budget_ms:g} ms)"
        if rules.custom
        else "the service area"
    )
    return (
        f"the {len(area.members)} cities of {name} with {millions(area.people_inside)} people "
        f"({percent(area.coverage.inside)} of the mainland's city people)"
    )


def _reading_words(rules: AreaRules) -> str:
    return "round trip" if rules.reading == "round-trip" else "with the network counted one way"


def _duration_words(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "and no run of a sensible length would tell"
    return f"a run of about {math.ceil(seconds / 10) * 10:g} s would do"
