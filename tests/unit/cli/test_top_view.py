"""What ``top`` shows of a frame, at any width, and what keys change."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from gateway.cli.top_view import SORTS, View, centers, pressed, shown

FACTS: dict[str, Any] = {
    "version": "1.2.3",
    "centers": [{"id": name, "city": f"City of {name}"} for name in ("a1", "b2", "c3", "d4")],
}


def frame(answers: int = 40) -> dict[str, Any]:
    second = {
        "answers": answers,
        "p50_ms": 4.0,
        "p99_ms": 9.5,
        "parts": {"gateway": 0.5, "network": 3.0, "queue": 0.0, "service": 0.5},
    }
    idle: dict[str, Any] = {"answers": 0}
    return {
        "verdict": {
            "target_ms": 10.0,
            "answers": answers,
            "share": 0.9,
            "low": 0.8,
            "high": 0.94,
            "origins": 2,
        },
        "seconds": [*([idle] * 59), second if answers else idle],
        "centers": {
            "health": ["ok", "ejected", "slow", "ok"],
            "in_flight": [0, 1, 2, 3],
            "queue_ms": [0.0, 0.5, 0.25, 0.1],
            "speed": [1.0, 1.0, 2.0, 1.0],
            "error_rate": [0.0, 1.0, 0.0, 0.0],
            "answers": [5, 7, 30, 1],
            "reasons": {"1": "refused"},
            "faults": {},
        },
        "gateway": {"ready": True, "policy_in_force": {"in_force": "nearest"}},
    }


def screen(width: int, height: int = 0, view: View | None = None, **told: Any) -> list[str]:
    console = Console(width=width, height=height or 25, record=True, file=StringIO())
    console.print(shown(FACTS, told.get("frame") or frame(), view or View(), width, height))
    return console.export_text().splitlines()


def order(view: View) -> list[str]:
    return [row["center"] for row in centers(FACTS, frame(), view)]


def test_the_whole_picture() -> None:
    text = "\n".join(screen(120))
    for wanted in (
        "nearway 1.2.3  ready  nearest  4 centers  live",
        "90.0 % within 10 ms (80.0 to 94.0), 40 answers from 2 origins",
        "40/s  p50 4.0  p99 9.5 ms",
        "network 3.00",
        "2 ok  1 slow  1 ejected",
        "City of b2",
        "refused",
    ):
        assert wanted in text


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 200])
def test_it_fits_every_width(width: int) -> None:
    lines = screen(width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "90.0 %" in text
    assert "ejected" in text


@pytest.mark.parametrize("height", [12, 24])
def test_it_fits_every_height(height: int) -> None:
    view = View(first=1)
    lines = screen(100, height, view)
    assert len(lines) <= height
    assert "of 4" in lines[-1]


def test_before_the_first_answer() -> None:
    text = "\n".join(screen(80, frame=frame(0)))
    assert "no answers in the last minute" in text
    assert "a1" in text


def test_sorted_by_every_column_and_the_other_way_round() -> None:
    assert order(View()) == ["c3", "b2", "a1", "d4"]
    assert order(View(sort="health")) == ["b2", "c3", "a1", "d4"]
    assert order(View(sort="center")) == ["a1", "b2", "c3", "d4"]
    assert order(View(sort="queue_ms")) == ["b2", "c3", "d4", "a1"]
    for sort in SORTS:
        forward, back = (centers(FACTS, frame(), View(sort, turned)) for turned in (False, True))
        assert [row[sort] for row in forward] == [row[sort] for row in reversed(back)]


def test_a_fleet_that_has_just_changed_breaks_nothing() -> None:
    told = frame()
    for name in ("health", "answers"):
        told["centers"][name] = told["centers"][name][:2]
    assert len(centers(FACTS, told, View())) == 2


def test_keys() -> None:
    view = View()
    assert pressed(view, "s").sort == "in_flight"
    assert pressed(View(sort=SORTS[-1]), "s").sort == SORTS[0]
    assert pressed(view, "r").reverse
    assert order(pressed(view, "f")) == ["c3", "b2"]
    assert pressed(pressed(view, "j"), "\x1b[B").first == 2
    assert pressed(view, "\x1b[A").first == 0
    assert pressed(pressed(view, "p"), "p") == view
    assert pressed(view, "q").ended
    assert pressed(view, "x") == replace(view)
