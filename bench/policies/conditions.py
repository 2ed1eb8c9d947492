"""Conditions: which scenario at which load is asked, and in which order the budget is spent.

The order is that of importance: the calibration fleet that the gates are about, failures and
stale reports, the time lines, then the large maps. What the time does not reach is cut from
the end, whole groups of seeds at a time, and listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.policies.cells import Condition

AT = "at "
REQUESTS = 100_000
REQUESTS_QUICK = 8_000
GRAY_QUICK = 40_000
GRAY_TUNING = 80_000
TUNING_REQUESTS = 30_000
SEEDS = 10
SEEDS_QUICK = 3
FIRST_TUNING_SEED = 1001
TUNING_SEEDS = 3

CALIBRATION = ("S0", "S1", "S2")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in a scenario, seconds of its time."""

    from_s: float
    until_s: float
    words: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A condition and who is asked: ``all`` policies, the ``rivals``, these and the
    ``near``est, or a ``few`` (see ``choosing``)."""

    condition: Condition
    who: str


def full(requests: int = REQUESTS) -> list[Asked]:
    """Everything, most important first."""
    maps = [(load, n) for load in (0.8, 0.6) for n in (0, 1, 2)]
    return [
        *(_at(name, 0.8, requests, "all") for name in CALIBRATION),
        *(_at(name, 0.6, requests, "rivals") for name in CALIBRATION),
        *_gray(requests, "rivals"),
        _stale("s7", "S7", 16, 100, requests, "rivals"),
        _stale("s7", "S7", 1, 0, requests, "rivals"),
        _stale("s1", "S7 mixed speeds", 16, 100, requests, "rivals"),
        _line("S3 refuse", "s3", "rivals"),
        _line("S3 blackhole", "s3-blackhole", "rivals"),
        _line("S4", "s4", "rivals"),
        _line("S5", "s5", "rivals"),
        _map("map", 0, 0.3, requests, "near"),
        *(_map("map", n, load, requests, "rivals") for load, n in maps),
        *(_at("S0", load, requests, "rivals") for load in (0.3, 0.9, 0.95)),
        *(_map("west", n, load, requests, "rivals") for load, n in maps),
        _line("S3 fast 503", "s3-503", "rivals"),
        _line("S11", "s11", "rivals"),
        _line("S6", "s6", "rivals"),
        _at("S1b", 0.8, requests, "rivals"),
        _at("S2b", 0.6, requests, "rivals"),
        *_stale_grid(requests),
    ]


def _stale_grid(requests: int) -> Iterator[Asked]:
    """Report periods by gateways, beyond the two that gates ask for."""
    for gateways in (16, 1, 4):
        for period in (0, 5, 20, 100, 500):
            if (gateways, period) not in ((16, 100), (1, 0)):
                yield _stale("s7", "S7", gateways, period, requests, "few")
    for gateways in (16, 1):
        yield _stale("s7", "S7", gateways, 100, requests, "few", piggyback=False)


def quick(requests: int = REQUESTS_QUICK) -> list[Asked]:
    """What fits into two minutes; half of the warm-up is left out."""
    asked = [
        *(_at(name, load, requests, "rivals") for load in (0.8, 0.6) for name in CALIBRATION),
        *_gray(GRAY_QUICK, "few"),
        _stale("s7", "S7", 16, 100, requests, "few"),
        _stale("s7", "S7", 1, 0, requests, "few"),
    ]
    return [
        Asked(msgspec.structs.replace(c, changes=(*c.changes, ("warm_up_s", 1.0))), who)
        for c, who in ((one.condition, one.who) for one in asked)
    ]


def _at(name: str, load: float, requests: int, who: str) -> Asked:
    return _one(f"{name} {AT}{_short(load)}", name.lower(), load, requests, who)


def _map(map_: str, number: int, load: float, requests: int, who: str) -> Asked:
    name = f"S{number} {map_} {AT}{_short(load)}"
    return _one(name, f"s{number}-{map_}", load, requests, who)


def _one(name: str, scenario: str, load: float, requests: int, who: str) -> Asked:
    condition = Condition(
        name=name, scenario=scenario, load=load, requests=requests, family=scenario
    )
    return Asked(condition, who)


def _gray(requests: int, who: str) -> Iterator[Asked]:
    """One center turns bad after a while, so tuning needs the whole run too."""
    for name, scenario in (("S8", "s8"), ("S8 sinkhole", "s8b")):
        condition = Condition(
            name=name,
            scenario=scenario,
            load=0.7,
            requests=requests,
            family=scenario,
            tuning_requests=GRAY_TUNING,
        )
        yield Asked(condition, who)


def _line(name: str, scenario: str, who: str) -> Asked:
    """A time line; all of them run on one fleet and are tuned on it together."""
    condition = Condition(
        name=name, scenario=scenario, load=0.0, requests=0, family="time lines", series=True
    )
    return Asked(condition, who)


def _stale(
    scenario: str,
    name: str,
    gateways: int,
    period_ms: float,
    requests: int,
    who: str,
    *,
    piggyback: bool = True,
) -> Asked:
    changes: dict[str, Any] = {
        "gateways.count": gateways,
        "reports.period_ms": float(period_ms),
        "reports.loss": 0.2,
        "reports.piggyback": piggyback,
    }
    plural = "gateway" if gateways == 1 else "gateways"
    alone = "" if piggyback else ", reports alone"
    condition = Condition(
        name=f"{name} {gateways} {plural}, {period_ms:g} ms{alone}",
        scenario=scenario,
        load=0.7,
        requests=requests,
        family=name,
        changes=tuple(sorted(changes.items())),
    )
    return Asked(condition, who)


def _short(load: float) -> str:
    return f"{load:g}".removeprefix("0")
