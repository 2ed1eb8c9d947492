"""What a decision costs: decide, charge and refund, beside a plain loop and bare numpy.

    python bench/router/run.py [--json FILE] [--sizes 88,1000,10000,100000]

All three are timed in the same process, taking turns, on the same arrays:

* *nearway*: ``Router.decide`` + ``commit`` + ``ended`` under the default policy, the making
  of the ``Outcome`` included, with some requests in flight;
* *python loop*: one ``for`` over the centers, the eligible one of the smallest sum;
* *bare*: ``np.add``, ``np.add``, ``argmin``, into a given array: what the arithmetic costs.

Origins are drawn by population over 207 cities, three models, on a virtual clock at a stated
rate, so that the cache sees the misses it would see live; a second row asks from one origin
for one model. See README.md for what is not measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import fmean, median
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from light_ledger import SLOTS, LightLedger, add_standard_columns

from gateway.api import F32N, Center, Decision, Location, Outcome, Query, Report, Table
from gateway.config.settings import SHIPPED_POLICIES
from gateway.loading import Registry, build_policy
from gateway.routing import Ledger, Router
from gateway.wan import load_cities

POLICY = "predicted_completion"
SERVICE_MS = {"blast-furnace": 0.3, "rail-inspection": 2.0, "grid-load": 0.2}
SEED = 1
RATE_PER_S = 7_500.0
IN_FLIGHT = 32
BLOCK = 200
QUERIES = 20_000
LEARNING_BLOCKS = 150


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result; times in µs a decision. ``ratio_to_bare`` of the medians."""

    centers: int
    classes: str
    ledger: str
    nearway_us: float
    nearway_mean_us: float
    bare_us: float
    python_loop_us: float
    ratio_to_bare: float
    cache_hit_rate: float


def main() -> None:
    """Measure every size and print a table."""
    arguments = _arguments()
    rows = []
    print(_heading())
    for centers in arguments.sizes:
        for classes in ("207 cities x 3 models", "one class"):
            for ledger in arguments.ledgers:
                row = measure(centers, classes, ledger, arguments.seconds)
                rows.append(row)
                print(_line(row), flush=True)
    learning_us = {centers: estimator_us(centers) for centers in arguments.sizes}
    for centers, (charge_us, ended_us) in learning_us.items():
        print(
            f"the fleet's estimators at {centers} centers: {charge_us:.2f} µs a charge, "
            f"{ended_us:.2f} µs an outcome (refund, network, service, work, residual)"
        )
    if arguments.json:
        document = {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "processor": platform.machine(),
            "rate_per_s": RATE_PER_S,
            "in_flight": IN_FLIGHT,
            "rows": [asdict(row) for row in rows],
            "estimators_us": {
                str(centers): {"charge": charge_us, "outcome": ended_us}
                for centers, (charge_us, ended_us) in learning_us.items()
            },
        }
        Path(arguments.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What a routing decision costs.")
    parser.add_argument("--json", metavar="FILE", help="write the figures here too")
    parser.add_argument(
        "--sizes",
        type=lambda text: [int(size) for size in text.split(",")],
        default=[88, 1_000, 10_000, 100_000],
        help="numbers of centers (default: 88,1000,10000,100000)",
    )
    parser.add_argument(
        "--ledgers",
        type=lambda text: text.split(","),
        default=["light", "fleet"],
        help="who keeps the books: light (a charge and a refund), fleet (all estimators)",
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="time a row (default: 1.5)")
    return parser.parse_args()


def measure(centers: int, classes: str, ledger_name: str, seconds: float) -> Row:
    """One row: blocks of the three ways, in turns, until ``seconds`` are over."""
    random = Random(SEED)
    rtt_ms = _round_trips(centers)
    router, table, _ = _router(centers, ledger_name, rtt_ms)
    nearway = _Nearway(router, _queries(classes, random))
    ways = {"nearway": nearway.block, "bare": _bare(table), "loop": _plain_loop(table)}
    blocks = {"nearway": BLOCK, "bare": BLOCK, "loop": max(1, 20_000 // centers)}
    for name, way in ways.items():
        way(blocks[name])
    nearway.block(QUERIES // 10)
    taken_us: dict[str, list[float]] = {name: [] for name in ways}
    before = router.cache_state(), router.decisions
    end_s = perf_counter() + seconds
    gc.collect()
    gc.disable()
    while perf_counter() < end_s:
        for name, way in ways.items():
            started_s = perf_counter()
            way(blocks[name])
            taken_us[name].append((perf_counter() - started_s) * 1e6 / blocks[name])
    gc.enable()
    middle = {name: median(values) for name, values in taken_us.items()}
    lookups = (router.decisions - before[1]) * len(before[0]["components"])
    return Row(
        centers,
        classes,
        ledger_name,
        round(middle["nearway"], 3),
        round(fmean(taken_us["nearway"]), 3),
        round(middle["bare"], 3),
        round(middle["loop"], 3),
        round(middle["nearway"] / middle["bare"], 2),
        round(1.0 - (router.cache_state()["rebuilds"] - before[0]["rebuilds"]) / lookups, 4),
    )


def estimator_us(centers: int) -> tuple[float, float]:
    """Median µs of the fleet's ``charge`` and ``ended``, with a report, in blocks of 200."""
    random = Random(SEED)
    router, _, fleet = _router(centers, "fleet", _round_trips(centers))
    queries = list(islice(cycle(_queries("207 cities x 3 models", random)), BLOCK))
    taken_us: tuple[list[float], list[float]] = ([], [])
    now = 0.0
    for _ in range(LEARNING_BLOCKS):
        decisions = [router.decide(query, now) for query in queries]
        started_s = perf_counter()
        for decision in decisions:
            fleet.charge(decision, now)
        taken_us[0].append((perf_counter() - started_s) * 1e6 / BLOCK)
        now += BLOCK / RATE_PER_S
        outcomes = [_answer(decision, random, now) for decision in decisions]
        started_s = perf_counter()
        for outcome in outcomes:
            fleet.ended(outcome)
        taken_us[1].append((perf_counter() - started_s) * 1e6 / BLOCK)
    return median(taken_us[0]), median(taken_us[1])


def _answer(decision: Decision, random: Random, now: float) -> Outcome:
    service_ms = SERVICE_MS[decision.query.model] * random.lognormvariate(0.0, 0.2)
    network_ms = decision.parts_ms[0] + random.expovariate(5.0)
    report = Report(0.0, service_ms, 0.0, 0, SLOTS)
    return Outcome(
        decision.center,
        decision.query.vantage,
        decision.query.model,
        "answer",
        network_ms + service_ms,
        report,
        decision.predicted_ms,
        decision.charged_ms,
        now,
    )


class _Nearway:
    """Asks the router on a virtual clock, with ``IN_FLIGHT`` requests on their way."""

    def __init__(self, router: Router, queries: list[Query]) -> None:
        self._router = router
        self._queries = cycle(queries)
        self._now = 0.0
        self._flying: deque[Any] = deque()

    def block(self, count: int) -> None:
        """``count`` decisions, each with a charge and the ending of an earlier one."""
        router, flying, queries = self._router, self._flying, self._queries
        decide, commit, ended = router.decide, router.commit, router.ended
        now, step_s = self._now, 1.0 / RATE_PER_S
        for query in islice(queries, count):
            now += step_s
            decision = decide(query, now)
            commit(decision, now)
            flying.append(decision)
            if len(flying) > IN_FLIGHT:
                old = flying.popleft()
                asked = old.query
                ended(
                    Outcome(
                        old.center,
                        asked.vantage,
                        asked.model,
                        "answer",
                        old.predicted_ms,
                        None,
                        old.predicted_ms,
                        old.charged_ms,
                        now,
                    )
                )
        self._now = now


def _bare(table: Table) -> Callable[[int], None]:
    rtt_ms, service_ms = table.row_tables["rtt_ms"].row(0), _service_row(table)
    queue_ms = table.columns["queue_ms"]
    total_ms = np.empty_like(queue_ms)

    def block(count: int) -> None:
        for _ in range(count):
            np.add(rtt_ms, queue_ms, out=total_ms)
            np.add(total_ms, service_ms, out=total_ms)
            total_ms.argmin()

    return block


def _plain_loop(table: Table) -> Callable[[int], None]:
    """Lists of floats, as a router without numpy would keep them."""
    rtt_ms = table.row_tables["rtt_ms"].row(0).tolist()
    service_ms, queue_ms = _service_row(table).tolist(), table.columns["queue_ms"].tolist()
    healthy = table.columns["healthy"].tolist()
    resident = table.row_tables["resident"].row(_model(table)).tolist()

    def block(count: int) -> None:
        for _ in range(count):
            best_ms, best = float("inf"), -1
            for center in range(len(healthy)):
                if healthy[center] and resident[center]:
                    total_ms = rtt_ms[center] + queue_ms[center] + service_ms[center]
                    if total_ms < best_ms:
                        best_ms, best = total_ms, center
            if best < 0:
                raise AssertionError("the loop found nobody")

    return block


def _model(_table: Table) -> str:
    return next(iter(SERVICE_MS))


def _service_row(table: Table) -> F32N:
    return table.row_tables["service_ms"].row(_model(table))


def _queries(classes: str, random: Random) -> list[Query]:
    models = list(SERVICE_MS)
    if classes == "one class":
        return [Query(0, models[0])] * QUERIES
    weights = [city.population for city in load_cities()]
    origins = random.choices(range(len(weights)), weights, k=QUERIES)
    return [Query(origin, random.choice(models)) for origin in origins]


def _round_trips(centers: int) -> F32N:
    """float32[cities, N]: 1.5 ms and 1.5 ms each 100 km, on a sphere of random centers."""
    random = np.random.default_rng(SEED)
    cities = load_cities()
    there = np.stack([random.uniform(20, 45, centers), random.uniform(85, 125, centers)], 1)
    here = np.array([(city.location.lat, city.location.lon) for city in cities])
    east_km = (here[:, None, 1] - there[None, :, 1]) * 93.0
    north_km = (here[:, None, 0] - there[None, :, 0]) * 111.0
    rtt_ms: F32N = (1.5 + 0.015 * np.hypot(east_km, north_km)).astype(np.float32)
    return rtt_ms


def _router(centers: int, ledger_name: str, rtt_ms: F32N) -> tuple[Router, Table, Ledger]:
    here = Location(0.0, 0.0)
    table = Table(
        [Center(f"c{row}", f"r{row // 3}", "a", "x", "CN", here) for row in range(centers)]
    )
    ledger = _light(table, rtt_ms) if ledger_name == "light" else _fleet(table, rtt_ms)
    policy = build_policy(
        POLICY,
        SHIPPED_POLICIES[POLICY],
        Registry.discover(),
        [*table.columns, *table.row_tables],
    )
    router = Router(
        table,
        policy,
        ledger,
        seed=SEED,
        budget_clock=thread_time,
        plugin_budget_ms=0.05,
        plugin_limit_ms=5.0,
    )
    return router, table, ledger


def _light(table: Table, rtt_ms: F32N) -> Ledger:
    add_standard_columns(table, rtt_ms, SERVICE_MS)
    return LightLedger(table, SERVICE_MS)


def _fleet(table: Table, rtt_ms: F32N) -> Ledger:
    from gateway.fleet import Fleet

    fleet = Fleet(table, rtt_prior=lambda vantage: rtt_ms[vantage], random=Random(SEED))
    everywhere = np.ones(len(table), dtype=np.bool_)
    for model, run_ms in SERVICE_MS.items():
        fleet.add_model(model, run_ms, everywhere)
        for center in range(len(table)):
            fleet.set_resident(model, center, resident=True)
    return fleet


def _heading() -> str:
    return (
        f"µs a decision with charge and refund; {RATE_PER_S:.0f} decisions/s of virtual time\n"
        f"{'centers':>8}  {'classes':<22}{'ledger':<7}{'nearway':>9}{'(mean)':>9}"
        f"{'bare':>9}{'ratio':>7}{'python loop':>13}{'cache hits':>12}"
    )


def _line(row: Row) -> str:
    return (
        f"{row.centers:>8}  {row.classes:<22}{row.ledger:<7}{row.nearway_us:>9.2f}"
        f"{row.nearway_mean_us:>9.2f}{row.bare_us:>9.2f}{row.ratio_to_bare:>6.1f}x"
        f"{row.python_loop_us:>13.1f}{row.cache_hit_rate:>12.1%}"
    )


if __name__ == "__main__":
    sys.exit(main())
