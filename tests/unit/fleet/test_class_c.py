"""Class C is ahead of class C only: it is spread by its own wait, and moves nobody else."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Decision, Location, Outcome, Query, Table
from gateway.fleet import Fleet
from gateway.fleet.class_c import ClassC

SLOTS = 4


def fleet_of(n: int = 3) -> tuple[Table, Fleet]:
    table = Table(
        [
            Center(f"c{i}", f"r{i}", "a", f"city{i}", "CN", Location(30.0, 120.0), slots=SLOTS)
            for i in range(n)
        ]
    )
    fleet = Fleet(table, rtt_prior=lambda _: np.full(n, 5.0, np.float32), random=Random(1))
    for model in ("quick", "clip", "film"):
        fleet.add_model(model, 2.0, np.ones(n, dtype=bool))
    fleet.set_class_c("clip", class_c=True)
    fleet.set_class_c("film", class_c=True)
    return table, fleet


def choose(fleet: Fleet, model: str, center: int = 0) -> Decision:
    decision = Decision(Query(0, model), center, 8.0, -1, float("inf"), (), 0.0)
    fleet.charge(decision, 1.0)
    return decision


def end(fleet: Fleet, decision: Decision, **more: object) -> None:
    said = {"ending": "answer", "reason": "", "report": None, "drawn_ms": None, **more}
    fleet.ended(outcome_of(decision, said))


def outcome_of(decision: Decision, said: dict[str, object]) -> Outcome:
    fields = {
        "center": decision.center, "vantage": 0, "model": decision.query.model, "now": 1.1,
        "attempt_ms": 9.0, "predicted_ms": 8.0, "charged_ms": decision.charged_ms, **said,
    }  # fmt: skip
    known = Outcome.__dataclass_fields__
    return Outcome(**{key: fields[key] for key in known if key in fields})  # type: ignore[arg-type]


def test_class_c_is_no_queue_for_others_and_one_for_itself() -> None:
    table, fleet = fleet_of()
    queue = table.columns["queue_ms"].copy()
    charged = [choose(fleet, "clip") for _ in range(9)]
    assert all(decision.charged_ms == pytest.approx(2.0) for decision in charged)
    np.testing.assert_array_equal(table.columns["queue_ms"], queue)
    service = table.row_tables["service_ms"]
    k = SLOTS - 1
    wait_ms = 9 * 2.0 / 9 * (9 + 1 - k) / k
    for model in ("clip", "film"):
        assert service.row(model).tolist() == pytest.approx([2.0 + wait_ms, 2.0, 2.0])
    assert service.row("quick").tolist() == [2.0, 2.0, 2.0]
    assert fleet.in_flight == 9
    for decision in charged:
        end(fleet, decision)
    assert service.row("clip").tolist() == pytest.approx([2.0, 2.0, 2.0])
    assert fleet.in_flight == 0


def test_others_are_no_queue_for_class_c_beyond_what_all_see() -> None:
    table, fleet = fleet_of()
    charged = [choose(fleet, "quick") for _ in range(6)]
    assert table.columns["queue_ms"][0] > 1.0
    assert table.row_tables["service_ms"].row("clip").tolist() == [2.0, 2.0, 2.0]
    for decision in charged:
        end(fleet, decision)
    assert fleet.in_flight == 0


def test_an_error_of_class_c_leaves_no_work_for_others() -> None:
    table, fleet = fleet_of()
    queue = table.columns["queue_ms"].copy()
    for _ in range(8):
        end(fleet, choose(fleet, "clip"), ending="error", reason="center_failed")
    np.testing.assert_array_equal(table.columns["queue_ms"], queue)


def test_a_load_and_a_wait_add_up() -> None:
    table, fleet = fleet_of()
    service = table.row_tables["service_ms"]
    fleet.set_cold("clip", (0, 1), 100.0, 2.0)
    charged = [choose(fleet, "film") for _ in range(SLOTS)]
    wait_ms = 2.0 * 2 / 3
    assert service.row("clip").tolist() == pytest.approx([102.0 + wait_ms, 102.0, 2.0])
    fleet.set_cold("clip", (0, 1), 0.0, 2.0)
    assert service.row("clip").tolist() == pytest.approx([2.0 + wait_ms, 2.0, 2.0])
    for decision in charged:
        end(fleet, decision)


def test_the_state_tells_both_counts() -> None:
    _, fleet = fleet_of()
    choose(fleet, "clip")
    choose(fleet, "quick")
    [state, *_] = fleet.state(1.0)
    assert (state["in_flight"], state["in_flight_c"]) == (1, 1)


@pytest.mark.parametrize(("slots", "count", "wait_ms"), [(1, 1, 2.0), (4, 2, 0.0), (4, 3, 2 / 3)])
def test_the_wait_is_over_the_slots_class_c_may_take(
    slots: int, count: int, wait_ms: float
) -> None:
    class_c = ClassC([slots], lambda *_: None)
    for _ in range(count):
        class_c.charge(0, 2.0)
    assert class_c.wait_ms(0) == pytest.approx(wait_ms)
    for _ in range(count):
        class_c.refund(0, 2.0)
    assert (class_c.in_flight, class_c.wait_ms(0)) == (0, 0.0)


def test_a_model_may_change_its_class() -> None:
    table, fleet = fleet_of()
    before = [choose(fleet, "film") for _ in range(9)]
    fleet.set_cold("clip", (1,), 100.0, 2.0)
    assert table.row_tables["service_ms"].row("clip")[0] > 2.0
    fleet.set_class_c("clip", class_c=False)
    assert table.row_tables["service_ms"].row("clip").tolist() == [2.0, 102.0, 2.0]
    for decision in before:
        end(fleet, decision)
    charged = [choose(fleet, "clip") for _ in range(9)]
    assert table.columns["queue_ms"][0] > 1.0
    assert table.row_tables["service_ms"].row("film").tolist() == [2.0, 2.0, 2.0]
    for decision in charged:
        end(fleet, decision)
    assert fleet.in_flight == 0
