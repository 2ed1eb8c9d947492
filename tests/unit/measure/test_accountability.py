"""What the predictions were worth, from two states of the admin door."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.measure.accountability import (
    NOTHING_TOLD,
    Accountability,
    accountability_of,
    predictions_section,
)


def sums(answers: int, late_ms: float, early_ms: float, covered: int) -> dict[str, Any]:
    return {"answers": answers, "late_ms": late_ms, "early_ms": early_ms, "covered": covered}


BEFORE = {
    "prediction": {"by_model": {"m": sums(10, 100.0, 0.0, 0)}, "by_center": {}},
    "policy_in_force": {"fallbacks": 1},
}
AFTER = {
    "prediction": {
        "by_model": {"m": sums(110, 130.0, 20.0, 88), "n": sums(100, 0.0, 70.0, 95)},
        "by_center": {"a": sums(50, 1.0, 1.0, 40), "b": sums(150, 2.0, 1.0, 100)},
    },
    "policy_in_force": {"fallbacks": 1, "in_force": "p", "why": "p decides"},
}


def test_only_what_happened_in_between_counts() -> None:
    told = accountability_of(BEFORE, AFTER)
    of_m, of_n = told.by_model
    assert (of_m.answers, of_m.bias_ms, of_m.mae_ms) == (100, 0.1, 0.5)
    assert of_m.covered_share == 0.88
    assert (of_n.name, of_n.bias_ms) == ("n", -0.7)
    assert told.overall.answers == 200
    assert told.overall.bias_ms == pytest.approx(-0.3)
    assert told.overall.covered_share == pytest.approx(0.915)
    assert [row.name for row in told.by_center] == ["b", "a"]
    assert told.fallbacks == 0


def test_the_sentence() -> None:
    assert accountability_of(BEFORE, AFTER).sentence == (
        "200 predictions: answers took 0.30 ms less on average, 0.60 ms off either way; "
        "91.5% within their 90% interval"
    )


def test_doubt_is_said() -> None:
    told = replace(accountability_of(BEFORE, AFTER), fallbacks=2, why="q decides in its place")
    assert told.sentence.endswith("doubted 2 times, and q decides in its place")


@pytest.mark.parametrize("state", [{}, {"prediction": None}, {"prediction": {"by_model": {}}}])
def test_a_gateway_that_tells_nothing(state: dict[str, Any]) -> None:
    told = accountability_of(state, state)
    assert told.overall == NOTHING_TOLD.overall
    assert "told nothing" in told.sentence
    assert predictions_section(told).tables == ()


def test_the_section_bounds_its_rows() -> None:
    many = {f"c{i}": sums(i + 1, 1.0, 0.0, 1) for i in range(100)}
    after = {"prediction": {"by_model": {"m": sums(5, 1.0, 0.0, 1)}, "by_center": many}}
    section = predictions_section(accountability_of({}, after))
    by_model, by_center = section.tables
    assert by_model.rows == [("m", "5", "+0.20", "0.20", "20.0%")]
    assert len(by_center.rows) == 30
    assert by_center.rows[0][0] == "c99"
    assert "70 more" in by_center.caption
    assert isinstance(NOTHING_TOLD, Accountability)
