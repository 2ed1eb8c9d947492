"""Routing against brute force: random tables, policies and plugins that misbehave."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import BuiltPolicy, Center, Location, Named, NoCenter, Query, Table
from gateway.routing import Router

costs_ms = st.one_of(st.just(inf), st.floats(0, 1e4, width=32), st.sampled_from([0.0, 1.0, 2.5]))
F32 = np.float32


@dataclass(frozen=True, eq=False)
class Column:
    """Charges a column or row as it stands."""

    column: str
    varies_by: tuple[str, ...] | None = ()
    live: bool = False
    refresh_ms: float = 1.0

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)

    def ms(self, query, centers, now):
        return centers[self.column]


@dataclass(frozen=True, eq=False)
class Up:
    varies_by: tuple[str, ...] | None = ()
    reads: tuple[str, ...] = ("healthy",)
    advisory: bool = False

    def keep(self, query, centers, now):
        return centers["healthy"] != 0


@dataclass(frozen=True)
class Least:
    sample: int | None = None
    reads: tuple[str, ...] = ()
    takes_argmin: bool = True

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(total_ms.argmin())


@dataclass
class Ledger:
    """Work in flight and the tie term, both in the live column."""

    table: Table
    tick_at: float = inf
    sequence: int = 0
    ties: dict[int, float] = field(default_factory=dict)

    def charge(self, decision, now):
        self.sequence += 1
        queue = self.table.columns["queue_ms"]
        center = decision.center
        tie = 1e-5 * self.sequence
        queue[center] += tie - self.ties.get(center, 0.0)
        self.ties[center] = tie
        decision.charged_ms = 0.0

    def ended(self, outcome):
        pass

    def tick(self, now):
        pass


@st.composite
def worlds(draw):
    """(table, rtt by vantage, service, queue, healthy): small, with ties and +inf."""
    centers = draw(st.integers(1, 12))
    rows = st.lists(costs_ms, min_size=centers, max_size=centers)
    rtt_ms = np.array([draw(rows), draw(rows)], F32)
    service_ms, queue_ms = np.array(draw(rows), F32), np.array(draw(rows), F32)
    healthy = np.array(draw(st.lists(st.integers(0, 1), min_size=centers, max_size=centers)))
    return filled(rtt_ms, service_ms, queue_ms, healthy), rtt_ms, service_ms, queue_ms, healthy


def filled(rtt_ms, service_ms, queue_ms, healthy) -> Table:
    here = Location(0.0, 0.0)
    table = Table([Center(f"c{i}", "r", "a", "x", "CN", here) for i in range(len(service_ms))])
    table.add_column("healthy", "i4")[:] = healthy
    table.add_column("queue_ms", "f4")[:] = queue_ms
    table.add_row_table("rtt_ms", "vantage", lambda vantage: rtt_ms[vantage])
    table.add_row_table("service_ms", "model", lambda _model: service_ms)
    return table


def standard_scorers() -> list[tuple[str, Any]]:
    return [
        ("network", Column("rtt_ms", ("vantage",))),
        ("queue", Column("queue_ms", live=True)),
        ("service", Column("service_ms", ("model",))),
    ]


def router_of(table, scorers=None, picker=None, **options) -> Router:
    named = [Named(name, plugin) for name, plugin in scorers or standard_scorers()]
    policy = BuiltPolicy("p", (Named("up", Up()),), tuple(named), Named("p", picker or Least()))
    settings: dict[str, Any] = {
        "seed": 3,
        "budget_clock": lambda: 0.0,
        "plugin_budget_ms": 0.05,
        "plugin_limit_ms": 5.0,
        **options,
    }
    return Router(table, policy, Ledger(table), **settings)


def brute_force(parts, healthy, tried=()) -> int | None:
    """The first smallest sum over the eligible, in float32, added as the router adds."""
    total = sum(parts[1:], start=parts[0].copy())
    best, best_ms = None, inf
    for center, ms in enumerate(total):
        if healthy[center] and center not in tried and ms < best_ms:
            best, best_ms = center, ms
    return best


@given(worlds(), st.integers(0, 1))
def test_decide_is_the_brute_force_argmin(world, vantage):
    table, rtt_ms, service_ms, queue_ms, healthy = world
    router = router_of(table)
    expected = brute_force([queue_ms, rtt_ms[vantage], service_ms], healthy)
    if expected is None:
        with pytest.raises(NoCenter):
            router.decide(Query(vantage, "m"), 0.0)
        return
    decision = router.decide(Query(vantage, "m"), 0.0)
    assert decision.center == expected
    assert sum(decision.parts_ms) == pytest.approx(decision.predicted_ms, rel=1e-5)
    assert decision.predicted_ms <= decision.runner_up_ms
    assert router.decide(Query(vantage, "m"), 0.0) == decision


@given(worlds())
def test_retries_visit_every_eligible_center_once_and_then_end(world):
    table, rtt_ms, service_ms, queue_ms, healthy = world
    router = router_of(table)
    parts = [queue_ms, rtt_ms[0], service_ms]
    visited = []
    try:
        decision = router.decide(Query(0, "m"), 0.0)
        while True:
            assert decision.center == brute_force(parts, healthy, visited)
            visited.append(decision.center)
            decision = router.next(decision, 0.0)
    except NoCenter:
        pass
    assert brute_force(parts, healthy, visited) is None
    assert len(visited) == len(set(visited))


@given(worlds(), st.sampled_from([Least(), Least(sample=2), Least(takes_argmin=False)]))
def test_explain_agrees_with_decide(world, picker):
    table = world[0]
    router = router_of(table, picker=picker)
    query = Query(0, "m")
    told = router.explain(query, 0.0)
    eligible = {center for center, refused in enumerate(told.refused_by) if not refused}
    assert eligible == set(told.order)
    if told.center is None:
        assert not eligible
        with pytest.raises(NoCenter):
            router.decide(query, 0.0)
        return
    decision = router.decide(query, 0.0)
    assert decision.center == told.center
    assert decision.predicted_ms == told.total_ms[decision.center]
    assert decision.parts_ms == tuple(ms[decision.center] for ms in told.scorers_ms.values())


@given(st.integers(2, 40), st.floats(0, 30, width=32))
@settings(max_examples=30)
def test_exact_ties_are_spread_evenly(centers, ms):
    """Up to sums of 60 ms: beyond, float32 cannot hold a step of 1e-5 ms."""
    equal = np.full(centers, ms, F32)
    nothing = np.zeros(centers, F32)
    router = router_of(filled([equal], equal, nothing, np.ones(centers)))
    chosen = np.zeros(centers)
    for _ in range(40 * centers):
        decision = router.decide(Query(0, "m"), 0.0)
        router.commit(decision, 0.0)
        chosen[decision.center] += 1
    assert chosen.max() / chosen.mean() <= 1.05


@dataclass(frozen=True, eq=False)
class Misbehaves:
    """Answers 0 or does what a plugin must not."""

    way: str
    clock: list[float]
    varies_by: tuple[str, ...] | None = ()
    live: bool = False
    reads: tuple[str, ...] = ()
    refresh_ms: float = 0.0

    def ms(self, query, centers, now):
        answer = np.zeros(len(centers), F32)
        if self.way == "raises":
            raise RuntimeError("no")
        if self.way == "slow":
            self.clock[0] += 0.007
        if self.way in BAD_VALUES:
            answer[-1] = BAD_VALUES[self.way]
        if self.way == "long":
            return np.zeros(len(centers) + 1, F32)
        if self.way == "double":
            return answer.astype(np.float64)
        return None if self.way == "none" else answer


BAD_VALUES = {"nan": nan, "negative": -1e9, "minus_inf": -inf}
WAYS = ["raises", "slow", "long", "double", "none", "good", *BAD_VALUES]


@given(
    worlds(),
    st.lists(st.tuples(st.sampled_from(WAYS), st.sampled_from([(), ("model",), None])), max_size=3),
)
def test_bad_scorers_never_break_or_bend_a_decision(world, ways):
    table, rtt_ms, service_ms, queue_ms, healthy = world
    clock = [0.0]
    bad = [(f"s{i}", Misbehaves(way, clock, key)) for i, (way, key) in enumerate(ways)]
    router = router_of(table, [*standard_scorers(), *bad], budget_clock=lambda: clock[0])
    expected = brute_force([queue_ms, rtt_ms[0], service_ms], healthy)
    for step in range(4):
        if expected is None:
            with pytest.raises(NoCenter):
                router.decide(Query(0, "m"), step * 0.01)
        else:
            assert router.decide(Query(0, "m"), step * 0.01).center == expected
    errors = {state["name"]: state["errors"] for state in router.plugin_state()}
    for name, plugin in bad:
        assert (errors[name] > 0) == (plugin.way not in ("slow", "good"))


@given(worlds(), st.sampled_from([nan, -1e9]), st.integers(0, 11))
def test_a_bad_live_column_never_wins(world, bad, place):
    table, _rtt_ms, _service_ms, _, _healthy = world
    table.add_column("other_ms", "f4")
    router = router_of(table, [*standard_scorers(), ("o", Column("other_ms", live=True))])
    query = Query(0, "m")
    try:
        expected = router.decide(query, 0.0).center
    except NoCenter:
        return
    table.columns["other_ms"][expected] = bad
    assert router.decide(query, 0.0).center == expected


@given(st.integers(0, 5), st.lists(st.sampled_from(["extra1", "extra2"]), unique=True))
@settings(max_examples=20)
def test_another_plugin_does_not_shift_the_draws(seed, extra):
    def draws(names):
        nothing = np.zeros(20, F32)
        table = filled([nothing], np.arange(20, dtype=F32), nothing, np.ones(20))
        scorers = [*standard_scorers(), *((name, Misbehaves("good", [0.0])) for name in names)]
        router = router_of(table, scorers, Least(sample=2), seed=seed)
        return [router.decide(Query(0, "m"), 0.0).looked_at for _ in range(20)]

    assert draws(extra) == draws([])


@given(worlds(), st.lists(st.integers(0, 1), min_size=1, max_size=20))
@settings(max_examples=50)
def test_what_is_cached_never_shows(world, vantages):
    """A router with warm caches answers as one that was just built."""
    table, _rtt_ms, _service_ms, _queue_ms, _healthy = world
    warm = router_of(table)
    for step, vantage in enumerate(vantages):
        now = step * 0.01
        row = table.row_tables["rtt_ms"].row(vantage)
        row[step % len(row)] = step
        table.touch_row("rtt_ms", vantage)
        answers = []
        for router in (warm, router_of(table)):
            try:
                answers.append(router.decide(Query(vantage, "m"), now).center)
            except NoCenter:
                answers.append(None)
        assert answers[0] == answers[1]
