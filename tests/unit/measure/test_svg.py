import math
from itertools import pairwise

import pytest

from gateway.measure import svg
from gateway.measure.svg import Scale, number, scale_for, spread


def test_a_scale_maps_its_ends_and_clips_what_is_outside():
    up = Scale(0.0, 10.0, 300.0, 50.0)
    assert up.at([0.0, 5.0, 10.0, 99.0]).tolist() == [300.0, 175.0, 50.0, 50.0]
    log = Scale(1.0, 100.0, 0.0, 200.0, log=True)
    assert log.at([1.0, 10.0, 100.0]).tolist() == pytest.approx([0.0, 100.0, 200.0])
    assert log.px(0.0) == 0.0


@pytest.mark.parametrize(
    ("low", "high", "log"), [(0, 10, False), (-3, 17, False), (0.02, 300, True), (90, 7000, True)]
)
def test_ticks_are_round_few_and_inside(low, high, log):
    ticks = Scale(low, high, 0, 100, log=log).ticks()
    assert 2 <= len(ticks) <= 12
    assert all(low <= t <= high for t in ticks)
    assert all(float(f"{t:.2g}") == pytest.approx(t) for t in ticks)


def test_a_scale_is_made_for_what_is_finite():
    made = scale_for([3.0, math.inf, math.nan, 8.0], 0, 100, log=False)
    assert made.low == 0.0
    assert 8.0 < made.high < 10.0
    assert scale_for([], 0, 100, log=True).high > 1.0
    assert scale_for([0.0, -5.0, 20.0], 0, 100, log=True).low > 0.0
    assert scale_for([7.0], 0, 1, log=False, zero=False).high > 7.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0"),
        (0.20434, "0.204"),
        (8.0, "8"),
        (12.345, "12.3"),
        (1234.5, "1\u202f234"),
        (0.00002, "0"),
        (math.inf, "∞"),
        (math.nan, "–"),
    ],
)
def test_numbers_are_for_people(value, said):
    assert number(value) == said


def test_labels_are_moved_apart_in_their_order_and_within_bounds():
    placed = spread([50.0, 52.0, 51.0, 99.0], 10.0, 0.0, 100.0)
    order = sorted(range(4), key=lambda i: placed[i])
    assert order == [0, 2, 1, 3]
    gaps = [placed[b] - placed[a] for a, b in pairwise(order)]
    assert min(gaps) >= 10.0
    assert max(placed) <= 100.0


def test_words_are_escaped():
    assert "<b>" not in svg.text(0, 0, "<b>&")
    drawn = svg.figure([], width=1, height=1, title='"><script>', desc="</desc>")
    assert "<script>" not in drawn
    assert "<desc></desc>" not in drawn
    assert "<title>x</title>" not in svg.mark(0, 0, 1, 0, "<title>x</title>")
