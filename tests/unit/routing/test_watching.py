from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gateway.api import Column, PluginError, Report


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts choices a center; raises at an ending when told to."""

    raises: bool = False
    heard: list[Any] = field(default_factory=list)
    columns = {"chosen": Column("f4", initial=1.0), "at": Column("f8")}  # noqa: RUF012

    def memory(self, centers, random):
        self.heard.append(("memory", centers, random.random()))
        return {"centers": centers}

    def chosen(self, decision, mine, memory):
        mine["chosen"][decision.center] += 1

    def ended(self, outcome, mine, memory):
        if self.raises:
            raise RuntimeError("lost count")
        self.heard.append(("ended", outcome.center, memory))

    def reported(self, center, report, now, mine, memory):
        self.heard.append(("reported", center, report.queue_ms))


def router_with(world, *observers, scorers=None):
    table = world.standard_table([[1.0, 2.0]], [1.0, 1.0])
    policy = world.default_policy(
        observers=observers, **({} if scorers is None else {"scorers": scorers})
    )
    return world.router(table, policy), table


def test_it_owns_named_columns_and_hears_of_choices_endings_and_reports(world):
    counts = Counts()
    router, table = router_with(world, ("counts", counts))
    decision = router.decide(world.query(), 0.0)
    router.commit(decision, 0.0)
    router.ended(world.outcome(decision, report=Report(queue_ms=3.0, service_ms=1.0)))
    assert table.columns["counts.chosen"].tolist() == [2.0, 1.0]
    assert table.columns["counts.at"].dtype == np.float64
    assert [event[0] for event in counts.heard] == ["memory", "ended", "reported"]
    assert counts.heard[2] == ("reported", 0, 3.0)


def test_a_scorer_that_reads_its_column_sees_it_move(world):
    scorer = world.Charges(lambda q, c: c["counts.chosen"], (), ("counts.chosen",))
    router, _ = router_with(world, ("counts", Counts()), scorers=[("fewest", scorer)])
    centers = []
    for step in range(4):
        decision = router.decide(world.query(), step * 0.01)
        router.commit(decision, step * 0.01)
        centers.append(decision.center)
    assert centers == [0, 1, 0, 1]


def test_one_that_raises_is_out_with_its_columns_reset_and_the_request_goes_on(world):
    router, table = router_with(world, ("bad", Counts(raises=True)), ("good", Counts()))
    decision = router.decide(world.query(), 0.0)
    router.commit(decision, 0.0)
    router.ended(world.outcome(decision))
    assert table.columns["bad.chosen"].tolist() == [1.0, 1.0]
    state = {plugin["name"]: plugin for plugin in router.plugin_state()}
    assert state["bad"]["quarantined"] is True
    assert state["bad"]["last_error"] == "RuntimeError: lost count"
    router.commit(router.decide(world.query(), 99.0), 99.0)
    assert table.columns["bad.chosen"].tolist() == [1.0, 1.0]
    assert table.columns["good.chosen"].tolist() == [3.0, 1.0]


def test_adding_an_observer_does_not_shift_anothers_draws(world):
    alone, first, second = Counts(), Counts(), Counts()
    router_with(world, ("counts", alone))
    router_with(world, ("other", first), ("counts", second))
    assert alone.heard[0] == second.heard[0]
    assert first.heard[0] != second.heard[0]


def test_columns_there_already_are_taken_over(world):
    router, table = router_with(world, ("counts", Counts()))
    router.commit(router.decide(world.query(), 0.0), 0.0)
    again = world.router(table, world.default_policy(observers=[("counts", Counts())]))
    again.commit(again.decide(world.query(), 0.0), 0.0)
    assert table.columns["counts.chosen"].tolist() == [3.0, 1.0]


def test_a_column_of_another_dtype_is_refused(world):
    table = world.standard_table([[1.0]], [1.0])
    table.add_column("counts.chosen", "i4")
    with pytest.raises(PluginError, match=r"counts\.chosen.*int32"):
        world.router(table, world.default_policy(observers=[("counts", Counts())]))


class Dawdler:
    """Spends ``spent_s`` in one of its methods, from a call on."""

    def __init__(self, clock, method, from_call=0, spent_s=0.05):
        self.clock, self.method, self.from_call, self.spent_s = clock, method, from_call, spent_s
        self.calls = 0

    def spend(self, method):
        if method == self.method:
            self.calls += 1
            if self.calls > self.from_call:
                self.clock[0] += self.spent_s

    def memory(self, centers, random):
        return {}

    def chosen(self, decision, mine, memory):
        self.spend("chosen")

    def ended(self, outcome, mine, memory):
        self.spend("ended")

    def reported(self, center, report, now, mine, memory):
        self.spend("reported")

    def probes(self, now, random, mine, memory):
        self.spend("probes")
        return ()


def requests_until_out(world, dawdler, clock, most=200):
    table = world.standard_table([[1.0, 2.0]], [1.0, 1.0])
    policy = world.default_policy(observers=[("slow", dawdler)])
    router = world.router(table, policy, budget_clock=lambda: clock[0])
    for count in range(1, most):
        decision = router.decide(world.query(), 0.0)
        router.commit(decision, 0.0)
        router.probes(0.0)
        router.ended(world.outcome(decision, report=Report(queue_ms=3.0, service_ms=1.0)))
        if router.plugin_state()[-1]["quarantined"]:
            return count
    return most


@pytest.mark.parametrize("method", ["chosen", "ended", "reported", "probes"])
def test_the_first_call_of_each_method_is_held_against_the_limit(world, method):
    clock = [0.0]
    assert requests_until_out(world, Dawdler(clock, method), clock) == 1


@pytest.mark.parametrize("method", ["chosen", "ended", "reported", "probes"])
def test_one_that_grows_slow_is_found_whichever_method_it_is(world, method):
    clock = [0.0]
    assert requests_until_out(world, Dawdler(clock, method, from_call=3), clock) <= 65


def test_making_the_memory_may_take_its_time(world):
    clock = [0.0]

    class Prepares(Dawdler):
        def memory(self, centers, random):
            clock[0] += 10.0

    assert requests_until_out(world, Prepares(clock, "none"), clock, most=20) == 20
