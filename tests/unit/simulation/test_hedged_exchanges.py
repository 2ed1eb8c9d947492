"""Second copies in virtual time: the books balance whatever happens, and the tail is cut."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Decision, Outcome
from gateway.config import SHIPPED_POLICIES
from gateway.routing.hedging import KEPT_MAX, OUTRUN
from gateway.simulation import Run, simulate
from gateway.simulation.draws import draw
from gateway.simulation.event_mode import _drive, _Stage, _stage
from gateway.simulation.gateway_sides import GatewaySide, gateway_sides
from gateway.simulation.hedged_exchanges import HedgedExchanges
from gateway.simulation.scenario import Scenario, scenario_of
from gateway.simulation.world import world_of

Make = Callable[..., Scenario]
NAME = "predicted_completion"
SMALL: dict[str, Any] = {
    "name": "small",
    "description": "a small one with runs that stall",
    "warm_up_s": 0.0,
    "requests": 1500,
    "deadline_ms": 400.0,
    "fleet": {"file": "metro.toml", "slots": 2},
    "network": {"metro": {}},
    "gateways": {"count": 2, "at": "places", "places": ["metro-a", "metro-b"]},
    "service": {"mean_ms": 10.0, "stall_share": 0.02, "stall_factor": 30.0},
}


class Books:
    """Every commit and every end of a run's gateways."""

    def __init__(self) -> None:
        self.committed = 0
        self.ended: Counter[tuple[str, str]] = Counter()

    def watch(self, sides: tuple[GatewaySide, ...]) -> None:
        for side in sides:
            self._watch(side.router)

    def _watch(self, router: Any) -> None:
        commit, ended = router.commit, router.ended

        def counted_commit(decision: Decision, now: float) -> None:
            self.committed += 1
            commit(decision, now)

        def counted_end(outcome: Outcome) -> None:
            self.ended[outcome.ending, outcome.reason] += 1
            ended(outcome)

        router.commit, router.ended = counted_commit, counted_end


def played(scenario: Scenario, seed: int) -> tuple[_Stage, tuple[GatewaySide, ...], Books]:
    world = world_of(scenario)
    draws = draw(world, seed, requests=None, load=None)
    sides = gateway_sides(world, NAME, SHIPPED_POLICIES[NAME], seed=seed, registry=None)
    books = Books()
    books.watch(sides)
    stage = _stage(world, draws, sides)
    _drive(stage, None)
    return stage, sides, books


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.01, 0.02, 0.5]),
    load=st.sampled_from([0.2, 0.5, 1.5]),
    tries=st.sampled_from([2, 3]),
    batches=st.booleans(),
    kinds=st.lists(st.sampled_from(["refuse", "fast_503", "blackhole"]), max_size=2),
)
def test_the_books_balance(
    seed: int, share: float, load: float, tries: int, kinds: list[str], *, batches: bool
) -> None:
    events = [
        {"kind": kind, "at_s": 0.1 * n, "until_s": 0.1 * n + 0.2, "count": 8}
        for n, kind in enumerate(kinds)
    ]
    plan = scenario_of(SMALL, "test").with_(
        attempts__hedge_share=share,
        attempts__max=tries,
        attempts__hedge_quantile=0.8,
        arrivals__load=load,
        events=events,
        **({"service__batch": {"alpha_ms": 5.0, "beta_ms": 2.0}} if batches else {}),
    )
    stage, sides, books = played(plan, seed)
    it = stage.exchanges
    assert isinstance(it, HedgedExchanges)
    count = len(it.arrival_s)
    answers = sum(latency_s < float("inf") for latency_s in it.latency_s)
    assert answers + sum(it.failures.values()) == count
    assert books.committed == sum(books.ended.values()) == sum(it.attempts)
    assert sum(n for (ending, _), n in books.ended.items() if ending == "answer") == answers
    for side in sides:
        assert not side.fleet._table.columns["in_flight"].any()
        assert not side.fleet._table.columns["work_ms"].any()
    assert all(rules.in_flight == 0 and not rules._paid for rules in it._rules)
    assert [it.copies, it._others, it._copy, it._begun] == [{}, {}, set(), {}]
    assert it.hedges <= share * count
    assert it.hedges_won <= it.hedges
    assert max(it.attempts) <= tries
    assert all(hedging.kept <= KEPT_MAX for hedging in it.hedging)
    assert max(it.latency_s[r] for r in range(count) if it.answered_by[r] >= 0) <= 0.4 + 1e-9


def test_a_loser_is_called_back_and_not_an_error() -> None:
    stage, _, books = played(scenario_of(SMALL, "test").with_(attempts__hedge_share=0.02), 1)
    it = stage.exchanges
    assert isinstance(it, HedgedExchanges)
    assert 0 < it.hedges_won < it.hedges
    assert books.ended["cancelled", OUTRUN] > 0


def test_under_saturation_there_are_hardly_any(monkeypatch: pytest.MonkeyPatch) -> None:
    send, sent_s = HedgedExchanges._send_copy, list[float]()

    def noted(self: HedgedExchanges, now: float, request: int, decision: Decision) -> None:
        columns = self._routers[self._gateway[request]].table.columns
        assert columns["in_flight"][decision.center] < columns["slots"][decision.center]
        sent_s.append(now)
        send(self, now, request, decision)

    monkeypatch.setattr(HedgedExchanges, "_send_copy", noted)

    def share_of(load: float) -> float:
        sent_s.clear()
        plan = scenario_of(SMALL, "test").with_(
            attempts__hedge_share=0.2, arrivals__load=load, requests=4000, gateways__count=1
        )
        it = played(plan, 1)[0].exchanges
        begin_s, end_s = it.arrival_s[len(it.arrival_s) // 4], it.arrival_s[-1]
        return sum(begin_s < at_s < end_s for at_s in sent_s) / (0.75 * len(it.arrival_s))

    assert share_of(2.0) < 0.1 * share_of(0.3)


def run_of(scenario: Scenario, **changes: Any) -> Run:
    return simulate(scenario.with_(**changes), NAME, SHIPPED_POLICIES[NAME], seed=1)


def test_the_same_seed_gives_the_same_bytes(plan: Make) -> None:
    scenario = plan(attempts__hedge_share=0.05, service__stall_share=0.01, service__stall_factor=9)
    one, two = run_of(scenario), run_of(scenario)
    assert json.dumps(one.summary()) == json.dumps(two.summary())
    assert one.latency_ms.tobytes() == two.latency_ms.tobytes()
    assert one.summary()["hedges"]["sent"] == one.hedges


def test_without_copies_nothing_is_said_of_them(plan: Make) -> None:
    run = run_of(plan())
    assert run.hedges is None
    assert "hedges" not in run.summary()


def test_a_single_attempt_has_no_copy(plan: Make) -> None:
    assert run_of(plan(attempts__hedge_share=0.5, attempts__max=1)).hedges == 0


def test_rare_runs_of_thirty_times_are_cut_off_for_two_percent_more() -> None:
    plan = scenario_of(SMALL, "test").with_(
        requests=20_000, warm_up_s=2.0, deadline_ms=30_000.0, gateways__count=1,
        fleet__slots=4, arrivals__load=0.3, service__stall_share=0.002,
    )  # fmt: skip
    without, with_ = run_of(plan), run_of(plan, attempts__hedge_share=0.02)
    assert with_.quantile_ms(0.999) <= 0.5 * without.quantile_ms(0.999)
    assert with_.attempts.mean() - without.attempts.mean() <= 0.02
