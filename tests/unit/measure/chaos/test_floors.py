"""What must hold, by kind of fault."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway.measure.chaos.floors import floors_of
from gateway.measure.chaos.plan import KINDS
from gateway.measure.chaos.windows import Counts


def rulings(row: Any) -> dict[str, str]:
    return {floor.name: floor.ruling for floor in floors_of(row)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_promises_something_and_a_quiet_fault_keeps_it(kind: str, make_row: Any) -> None:
    assert set(rulings(make_row(kind)).values()) == {"holds"}


@pytest.mark.parametrize(
    ("kind", "change", "broken"),
    [
        ("kill", {"counts": Counts(1000, 999, 0, 1, 0)}, "lost requests"),
        ("kill", {"counts": Counts(1000, 999, 0, 0, 1)}, "wrong answers"),
        ("kill", {"counts": Counts(1000, 999, 1, 0, 0)}, "honest errors"),
        ("kill", {"recovered_s": 1.01}, "recovery, s"),
        ("stop", {"recovered_s": math.inf}, "recovery, s"),
        ("stop", {"slowest_ms": 96.1}, "slowest answer, ms"),
        (
            "black_hole",
            {"first_counts": Counts(1000, 994, 6, 0, 0)},
            "honest errors, share of the first 2 s",
        ),
        ("slow", {"target_share": 0.021}, "traffic at the slow center after 0.5 s"),
        ("reload", {"counts": Counts(1000, 999, 1, 0, 0)}, "honest errors"),
        ("kill_worker", {"counts": Counts(1000, 999, 0, 0, 1)}, "wrong answers"),
    ],
)
def test_a_promise_is_broken_by_itself(
    kind: str, change: dict[str, Any], broken: str, make_row: Any
) -> None:
    found = rulings(make_row(kind, **change))
    assert [name for name, ruling in found.items() if ruling == "does not"] == [broken]


def test_a_few_honest_errors_are_allowed_where_nothing_was_heard(make_row: Any) -> None:
    found = rulings(make_row("stop", first_counts=Counts(1000, 995, 5, 0, 0)))
    assert set(found.values()) == {"holds"}


def test_a_restless_machine_cannot_tell_a_recovery(make_row: Any) -> None:
    found = rulings(make_row("stop", recovered_s=math.inf, slowest_ms=900.0, unsteady=0.05))
    assert found["recovery, s"] == found["slowest answer, ms"] == "cannot tell"
    assert found["lost requests"] == "holds"


def test_what_is_not_known_is_not_judged(make_row: Any) -> None:
    assert rulings(make_row("kill", recovered_s=math.nan))["recovery, s"] == "cannot tell"
