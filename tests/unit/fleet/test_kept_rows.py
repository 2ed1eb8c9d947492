"""What a fleet begins with when another one went before it: every estimator, at other rows."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from gateway.api import Center, Decision, Location, Outcome, Query, Report, Table
from gateway.api.outcome import Ending
from gateway.fleet import Fleet
from gateway.fleet.kept_rows import kept_rows, same_center

HERE = Location(30.0, 120.0)
A, B, C = (
    Center(name, f"r-{name}", "z", f"city-{name}", "CN", HERE, slots=2) for name in ("a", "b", "c")
)
MODEL = "m"


def fleet_of(*centers: Center) -> Fleet:
    fleet = Fleet(
        Table(centers),
        rtt_prior=lambda _: np.full(len(centers), 10.0, dtype=np.float32),
        random=Random(1),
    )
    fleet.add_model(MODEL, 2.0, np.ones(len(centers), dtype=bool))
    return fleet


def table(fleet: Fleet) -> Table:
    return fleet._table


def charge(fleet: Fleet, center: int, now: float) -> Decision:
    decision = Decision(Query(0, MODEL), center, 10.0, -1, float("inf"), (), 0.0, now=now)
    fleet.charge(decision, now)
    return decision


def end(fleet: Fleet, decision: Decision, now: float, ending: Ending, reason: str = "") -> None:
    report = Report(0.0, 4.0, 0.0, 0, 2) if ending == "answer" else None
    fleet.ended(
        Outcome(
            decision.center,
            decision.query.vantage,
            MODEL,
            ending,
            19.0,
            report,
            decision.predicted_ms,
            decision.charged_ms,
            now,
            reason,
        )
    )


def taught(fleet: Fleet, center: int, answers: int = 40) -> None:
    """Answers of 15 ms on the way and 4 ms of service, told 10 and 2."""
    for number in range(answers):
        now = 0.05 * number
        end(fleet, charge(fleet, center, now), now + 0.019, "answer")
        fleet.tick(now + 0.02)
    fleet.tick(10.0)


def carried(before: Fleet, *centers: Center, now: float = 10.0) -> Fleet:
    after = fleet_of(*centers)
    after.carry_over(before, kept_rows(table(before).centers, centers), now)
    return after


def test_rows_are_found_by_id_and_must_be_the_same_place() -> None:
    moved = replace(B, location=Location(31.0, 121.0))
    kept = kept_rows([A, B, C], [C, moved, A])
    assert kept.pairs == [(2, 0), (0, 2)]
    assert kept_rows([A], [B]).pairs == []
    assert same_center(A, replace(A, slots=9, models=("x",)))
    assert not same_center(A, replace(A, url="http://a:1"))


def test_network_and_service_are_remembered_at_the_new_row() -> None:
    before = fleet_of(A, B)
    taught(before, 0)
    rtt_ms = table(before).row_tables["rtt_ms"].row(0)[0]
    service_ms = table(before).row_tables["service_ms"].row(MODEL)[0]
    assert rtt_ms == pytest.approx(15.0, abs=1.0)
    after = carried(before, C, B, A)
    rows = table(after).row_tables
    assert rows["rtt_ms"].row(0)[2] == pytest.approx(float(rtt_ms))
    assert rows["service_ms"].row(MODEL)[2] == pytest.approx(float(service_ms), rel=0.05)
    assert rows["rtt_ms"].row(0)[0] < 10.0  # c is new: its prior
    state = {row["center"]: row for row in after.state(10.0)}
    assert (state["a"]["answers"], state["c"]["answers"]) == (40, 0)
    assert after.residuals.by_center()[2].answers == 40
    assert after.residuals.sums == before.residuals.sums


def test_what_was_never_asked_for_in_between_goes_on_too() -> None:
    before = fleet_of(A, B)
    taught(before, 0)
    rtt_ms = table(before).row_tables["rtt_ms"].row(0)[0]
    after = carried(carried(before, A, B), B, A)
    assert table(after).row_tables["rtt_ms"].row(0)[1] == pytest.approx(float(rtt_ms))


def test_a_model_of_another_profile_begins_anew() -> None:
    before = fleet_of(A, B)
    taught(before, 0)
    after = fleet_of(A, B)
    after.add_model(MODEL, 7.0, np.ones(2, dtype=bool))
    after.carry_over(before, kept_rows([A, B], [A, B]), 10.0)
    assert after._service.factor_of(MODEL)[1] == 0


def test_health_is_remembered_and_the_new_one_serves() -> None:
    before = fleet_of(A, B, C)
    end(before, charge(before, 1, 1.0), 1.1, "error", "center_down")
    before.drain(2, draining=True)
    after = carried(before, C, B, A)
    assert table(after).columns["healthy"].tolist() == [0, 0, 1]
    assert after.draining(0)
    assert after.state(10.0)[1]["health"] == "ejected"
    assert after.to_probe(100.0) == [1]
    after.drain(0, draining=False)
    assert table(after).columns["healthy"].tolist() == [1, 0, 1]


def test_work_under_way_ends_where_it_began_and_is_foreign_here() -> None:
    before = fleet_of(A, B)
    decisions = [charge(before, 0, 1.0) for _ in range(3)]
    after = carried(before, B, A, now=1.0)
    assert after.in_flight == 0
    assert before.in_flight == 3
    assert after.state(1.0)[1]["foreign_ms"] == pytest.approx(3 * decisions[0].charged_ms)
    assert table(after).columns["queue_ms"][1] > table(after).columns["queue_ms"][0]
    for decision in decisions:
        end(before, decision, 1.1, "answer")
    assert before.in_flight == 0
    assert after.in_flight == 0
    for step in range(200):
        after.tick(1.0 + 0.05 * step)
    assert after.state(11.0)[1]["foreign_ms"] == pytest.approx(0.0, abs=0.1)


def test_who_returns_is_owed_the_requests_that_end_elsewhere() -> None:
    before = fleet_of(A, B)
    end(before, charge(before, 0, 1.0), 1.1, "error", "center_down")
    before.probed(0, alive=True, now=3.0)
    charge(before, 0, 3.1)
    assert table(before).columns["healthy"].tolist() == [0, 1]  # its one request is under way
    after = carried(before, A, B, now=3.2)
    assert table(after).columns["healthy"].tolist() == [1, 1]
    end(after, charge(after, 0, 3.3), 3.4, "answer")
    assert after.state(3.4)[0]["health"] == "returning"
