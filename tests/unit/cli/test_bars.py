"""Bars: as long as their milliseconds, each part where its sum falls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.bars import SIGNS, legend, sparkline, stacked


def test_parts_stand_beside_one_another() -> None:
    bar = stacked({"network": 5.0, "queue": 0.0, "service": 2.5}, 20, 10.0)
    assert bar.plain == SIGNS[0] * 10 + SIGNS[2] * 5
    assert [str(span.style) for span in bar.spans if span.end > span.start] == ["blue", "green"]


@given(st.lists(st.floats(0.0, 1e6), max_size=6), st.integers(1, 200))
def test_a_bar_is_as_long_as_its_sum(parts_ms: list[float], width: int) -> None:
    whole_ms = sum(parts_ms)
    bar = stacked({str(place): ms for place, ms in enumerate(parts_ms)}, width, whole_ms)
    assert len(bar) == (width if whole_ms > 0.0 else 0)
    assert len(stacked({"network": 9.0}, width, 3.0)) == width


def test_the_legend_has_the_signs_of_the_bar() -> None:
    told = legend({"network": "network 1.00", "rent": "rent 2.00"})
    assert told.plain == f"{SIGNS[0]} network 1.00  {SIGNS[1]} rent 2.00"


def test_a_line_of_steps() -> None:
    assert sparkline([0.0, 1.0, 4.0, 8.0], 8.0) == " ▂▅█"
    assert sparkline([0.0, 0.0], 0.0) == "  "
