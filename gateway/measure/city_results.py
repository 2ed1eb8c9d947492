"""City by city: who was served in time, who was not, and why.

``in``      in the service area, and its requests did not show it to be late
``late``    in the service area, but shown to be below the objective (Wilson's upper bound)
``beyond``  outside the area, yet its own share reaches the objective
``out``     outside

The cause of ``out`` is the model's: *physics* when even straight fibre is too long, else
*path*. The cause of ``late`` is measured: the part furthest beyond its expectation in the
city's own late requests (*path* stands for the network there).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

import numpy as np

from gateway.measure.blame import PART_NAMES, Expected, blame, parts_ms
from gateway.measure.intervals import NOTHING, Interval, wilson
from gateway.measure.samples import F64, Mask, Samples
from gateway.measure.service_area import City, ServiceArea

Status = Literal["in", "late", "beyond", "out"]

BEYOND_REQUESTS_MIN = 20
"""A city outside is called ``beyond`` from so many requests on."""
OWN_P99_REQUESTS_MIN = 100
"""A city with fewer requests has no p99 of its own."""


@dataclass(frozen=True, slots=True)
class CityResult:
    """One city: the model's word and the measured one. Times in ms; NaN without requests."""

    city: City
    status: Status
    cause: str
    requests: int
    within: Interval
    """Share of its requests within the target, Wilson's interval."""
    p50_ms: float
    p99_ms: float
    """Infinite when more than one in a hundred was not answered."""
    parts_ms: tuple[float, ...]
    """Medians of network, queue, service, gateway, client; the network counted as read."""


@dataclass(frozen=True, slots=True)
class NearestSet:
    """The largest set of cities, nearest first, each with its own p99 within the target.

    Told twice, because a p99 of a hundred requests is a coin's toss: by the measured value,
    and up to the first city that is *shown* to be beyond. ``unjudged`` cities in between had
    too few requests for a p99 of their own; they neither count nor end the set.
    """

    cities: int
    people: int
    unjudged: int
    ended_by: str
    """The city whose value ended the set, empty when none did."""
    ended_by_p99_ms: float
    ended_by_requests: int
    unrefuted_cities: int
    unrefuted_people: int


def city_results(
    samples: Samples,
    total_ms: F64,
    area: ServiceArea,
    expected: Expected,
    *,
    objective: float,
) -> tuple[CityResult, ...]:
    """A result for every mainland city, nearest first. ``total_ms`` (float64[n]): what is held
    against the target; the unanswered are late whatever it says."""
    index = {name: i for i, name in enumerate(samples.origins)}
    late = ~(samples.answered & (total_ms <= area.rules.target_ms))
    latency_ms = np.where(samples.answered, total_ms, np.inf)
    results = []
    for city, inside in zip(area.cities, area.inside, strict=True):
        rows = samples.origin == index.get(city.name, -1)
        one = _One(city, inside, rows, samples, late, latency_ms)
        results.append(_result(one, area, expected, objective))
    return tuple(results)


def nearest_set(results: Sequence[CityResult], target_ms: float, *, objective: float) -> NearestSet:
    """The prefix of ``results`` (nearest first) whose own p99 is within ``target_ms``; a city
    is shown to be beyond when the upper bound of its share is below ``objective``."""
    judged = [r for r in results if r.requests >= OWN_P99_REQUESTS_MIN]
    good = list(takewhile(lambda r: r.p99_ms <= target_ms, judged))
    unrefuted = list(takewhile(lambda r: not r.within.high < objective, judged))
    ended = judged[len(good)] if len(good) < len(judged) else None
    reached = results.index(good[-1]) + 1 if good else 0
    return NearestSet(
        len(good),
        _people(good),
        reached - len(good),
        ended.city.name if ended else "",
        ended.p99_ms if ended else math.nan,
        ended.requests if ended else 0,
        len(unrefuted),
        _people(unrefuted),
    )


def _people(results: Sequence[CityResult]) -> int:
    return sum(result.city.population for result in results)


@dataclass(frozen=True, slots=True)
class _One:
    """A city with its rows among all samples."""

    city: City
    inside: bool
    rows: Mask
    samples: Samples
    late: Mask
    latency_ms: F64


def _result(one: _One, area: ServiceArea, expected: Expected, objective: float) -> CityResult:
    count = int(one.rows.sum())
    missed = int((one.rows & one.late).sum())
    within = wilson(1.0 - missed / count, count) if count else NOTHING
    status = _status(within, count, objective, inside=one.inside)
    own_ms = np.sort(one.latency_ms[one.rows])
    return CityResult(
        one.city,
        status,
        _cause(one, status, area, expected),
        count,
        within,
        _quantile(own_ms, 0.5),
        _quantile(own_ms, 0.99),
        _medians(one.samples.where(one.rows & one.samples.answered), area),
    )


def _status(within: Interval, count: int, objective: float, *, inside: bool) -> Status:
    if inside:
        return "late" if within.high < objective else "in"
    if count >= BEYOND_REQUESTS_MIN and within.value >= objective:
        return "beyond"
    return "out"


def _cause(one: _One, status: Status, area: ServiceArea, expected: Expected) -> str:
    if status in ("in", "beyond"):
        return ""
    if status == "out":
        return "physics" if one.city.fibre_ms > area.rules.network_ms_max else "path"
    part = blame(one.samples.where(one.rows & one.late), expected, area.rules).part
    return "path" if part in ("network", "") else part


def _medians(samples: Samples, area: ServiceArea) -> tuple[float, ...]:
    parts = parts_ms(samples, area.rules)
    return tuple(_quantile(np.sort(parts[name]), 0.5) for name in PART_NAMES)


def _quantile(ordered: F64, q: float) -> float:
    """The smallest value with at least ``q`` of all at or below it; NaN of nothing."""
    if not ordered.size:
        return math.nan
    return float(ordered[max(0, math.ceil(q * ordered.size - 1e-9) - 1)])
