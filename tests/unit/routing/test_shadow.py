"""The shadow: decides beside, never writes, stays within its budget."""

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import ClassVar

import numpy as np
import pytest

from gateway.api import Choice, Column, Report
from gateway.routing import InForce, Shadow


@dataclass(frozen=True, eq=False)
class Remembers:
    """A picker with a column and a memory; takes the last position."""

    told: list = field(default_factory=list)
    sample: int | None = None
    reads: tuple[str, ...] = ()
    columns: ClassVar = {"count": Column("i4")}

    def memory(self, centers, random):
        return self.told

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return Choice(len(total_ms) - 1, (1, 2), "mine")

    def chosen(self, decision, mine, memory):
        mine["count"][decision.center] += 1
        memory.append(("chosen", decision.center, decision.token, decision.looked_at))

    def ended(self, outcome, mine, memory):
        memory.append(("ended", outcome.center, outcome.token))

    def reported(self, center, report, now, mine, memory):
        memory.append(("reported", center))


def digest(table) -> str:
    """Every byte and every version of a table."""
    found = sha256(repr((table.epoch, sorted(table.versions.items()))).encode())
    for name in sorted(table.columns):
        found.update(name.encode() + table.columns[name].tobytes())
    for name, rows in sorted(table.row_tables.items()):
        found.update(repr((name, sorted(rows.versions.items()))).encode())
        for key in sorted(rows.rows):
            found.update(rows.rows[key].tobytes())
    return found.hexdigest()


class Beside:
    """A live policy (the least sum) and a shadow of ``candidate``."""

    def __init__(self, world, candidate, **changes):
        self.world = world
        self.table = world.standard_table([[5, 4, 3], [3, 4, 5]], [1, 1, 1])
        self.ledger = world.CountingLedger(self.table)
        self.in_force = InForce(
            world.router(self.table, world.default_policy(), ledger=self.ledger)
        )
        self.cpu_s = 0.0
        options = {
            "predict": self.in_force.predict,
            "clock": lambda: self.cpu_s,
            "budget": 1.0,
            "sample": 1.0,
            "random": Random(1),
            **changes,
        }
        self.shadow = Shadow(
            self.table,
            candidate,
            lambda table, policy, ledger: world.router(table, policy, ledger=ledger),
            **options,
        )
        self.in_force.listen(self.shadow)

    def ask(self, now, vantage=0, model="m"):
        decision = self.in_force.decide(self.world.query(vantage, model), now)
        self.in_force.commit(decision, now)
        return decision


@pytest.fixture
def nearest_last(world):
    """Forbids nothing, prefers what the live policy likes least."""
    return world.policy(scorers=[("odd", world.fixed([0, 1, 2]))])


def test_the_same_policy_agrees(world) -> None:
    beside = Beside(world, world.default_policy())
    for step in range(1, 50):
        beside.ask(step * 0.01, step % 2)
    state = beside.shadow.state()
    found = state["compared"], state["agreement_share"], state["predicted_regret_ms"]
    assert found == (49, 1, 0)


def test_regret_is_the_live_policys_own_difference(world, nearest_last) -> None:
    beside = Beside(world, nearest_last)
    beside.ask(1.0, vantage=0)  # live: 3 + 1 at row 2, shadow: row 0 for 5 + 1
    beside.ask(2.0, vantage=1)  # both: row 0
    state = beside.shadow.state()
    assert (state["compared"], state["agreed"]) == (2, 1)
    assert state["predicted_regret_ms"] == pytest.approx((2.0 + 0.0) / 2, abs=1e-3)


def test_what_the_live_policy_forbids_is_counted_apart(world, nearest_last) -> None:
    beside = Beside(world, nearest_last)
    beside.table.columns["healthy"][0] = 0
    beside.table.epoch += 1
    beside.ask(1.0)
    state = beside.shadow.state()
    assert (state["compared"], state["forbidden"], state["predicted_regret_ms"]) == (1, 1, None)


def test_a_candidate_that_finds_nobody_is_counted(world) -> None:
    inf = float("inf")
    beside = Beside(world, world.policy(scorers=[("no", world.fixed([inf, inf, inf]))]))
    assert beside.ask(1.0).center == 2
    assert beside.shadow.state()["failed"] == 1


def test_nothing_of_the_live_table_changes(world) -> None:
    beside = Beside(world, world.default_policy(picker=Remembers()))
    calm = world.default_policy(picker=Remembers())
    bare = world.router(beside.table, world.default_policy(), ledger=beside.ledger)
    for step in range(1, 30):
        decision = bare.decide(world.query(step % 2, "m"), step * 0.01)
        before = digest(beside.table)
        beside.shadow.chosen(decision, step * 0.01)
        beside.shadow.ended(world.outcome(decision, report=Report(1.0, 1.0)))
        beside.shadow.reported(1, Report(0.0, 0.0), step * 0.01)
        assert digest(beside.table) == before
    assert calm.picker.name not in beside.table.columns
    assert "picker.count" not in beside.table.columns
    assert beside.shadow.router.table.columns["picker.count"].sum() >= 29


def test_rows_the_live_policy_never_asked_for_stay_the_shadows(world) -> None:
    live_policy = world.policy(scorers=[("service", world.service())])
    table = world.standard_table([[5, 4, 3]], [1, 2, 3])
    live = world.router(table, live_policy)
    shadow = Shadow(
        table,
        world.default_policy(),
        lambda table, policy, ledger: world.router(table, policy, ledger=ledger),
        predict=live.predict,
        clock=lambda: 0.0,
        budget=1.0,
        sample=1.0,
        random=Random(1),
    )
    decision = live.decide(world.query(), 0.0)
    shadow.chosen(decision, 0.0)
    shadow.chosen(decision, 1.0)
    assert (shadow.compared, shadow.skipped) == (2, 0)
    assert table.row_tables["rtt_ms"].rows == {}
    table.row_tables["rtt_ms"].row(0)[:] = [1, 50, 50]  # the live row wins once it is there
    table.touch_row("rtt_ms", 0)
    assert shadow.router.decide(world.query(), 2.0).center == 0


def test_columns_that_the_fleet_fills_are_shared(world) -> None:
    beside = Beside(world, world.default_policy())
    beside.ask(0.5)
    beside.table.columns["queue_ms"][:] = [0, 0, 90]
    assert beside.shadow.router.decide(world.query(), 1.0).center == 1
    beside.table.row_tables["rtt_ms"].rows[0][:] = [1, 80, 80]
    beside.table.touch_row("rtt_ms", 0)
    assert beside.shadow.router.decide(world.query(), 2.0).center == 0


def test_a_memory_is_told_what_happened(world) -> None:
    remembers = Remembers()
    beside = Beside(world, world.default_policy(picker=remembers))
    remembers.told.clear()
    agreed = beside.ask(1.0, vantage=0)  # row 2, the candidate's as well
    other = beside.ask(2.0, vantage=1)  # row 0
    beside.in_force.ended(world.outcome(agreed, token="live", report=Report(1.0, 1.0)))
    beside.in_force.ended(world.outcome(other, token="live", ending="cancelled"))
    assert remembers.told == [
        ("chosen", 2, "mine", (1, 2)),
        ("chosen", 0, None, ()),
        ("ended", 2, None),
        ("reported", 2),
        ("ended", 0, None),
    ]


def test_deciding_stops_when_the_budget_is_spent(world) -> None:
    beside = Beside(world, world.default_policy(), budget=0.05)
    beside.shadow._clock = lambda: setattr(beside, "cpu_s", beside.cpu_s + 1e-3) or beside.cpu_s
    for step in range(1, 10_001):
        beside.ask(step * 1e-3)
    state = beside.shadow.state()
    assert state["used_s"] == pytest.approx(10.0 * 0.05, rel=0.05)
    assert state["compared"] + state["skipped"] == pytest.approx(10_000, abs=2)


def test_a_sample_looks_at_some(world) -> None:
    beside = Beside(world, world.default_policy(), sample=0.25)
    for step in range(1, 2001):
        beside.ask(step * 1e-3)
    assert 400 < beside.shadow.compared < 600
    assert beside.shadow.skipped <= 1


def test_second_choices_are_told_but_not_compared(world) -> None:
    beside = Beside(world, world.default_policy())
    first = beside.ask(1.0)
    second = beside.in_force.next(first, 1.0)
    beside.in_force.commit(second, 1.0)
    assert beside.shadow.compared == 1


def test_a_broken_candidate_costs_the_live_policy_nothing(world) -> None:
    def broken(total_ms, candidates, random):
        raise RuntimeError("boom")

    beside = Beside(world, world.default_policy(picker=world.Picks(broken)))
    assert beside.ask(1.0).center == 2
    (picker,) = [p for p in beside.shadow.state()["plugins"] if p["kind"] == "picker"]
    assert picker["errors"] > 0
    assert np.isfinite(beside.shadow.state()["predicted_regret_ms"])
