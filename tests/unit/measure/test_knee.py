import math

import pytest

from gateway.api import ConfigError
from gateway.measure.intervals import Interval, wilson
from gateway.measure.knee import Knee, find_knee, judge


def server(limit, *, generator_limit=math.inf):
    """All within the target up to ``limit``, then ever fewer; intervals as for that many asked."""
    asked = []

    def measure(rate, duration_s):
        asked.append((rate, duration_s))
        share = 1.0 if rate <= limit else max(0.0, 1 - (rate - limit) / limit)
        blame = "generator" if rate > generator_limit else ""
        return wilson(share, rate * duration_s), blame

    measure.asked = asked
    return measure


@pytest.mark.parametrize("limit", [37.0, 130.0, 950.0, 7777.0])
def test_the_knee_is_found_from_both_sides(limit):
    knee = find_knee(server(limit), resolution=1.1, steps_max=30)
    assert knee.stopped_by == "server"
    assert limit / 1.12 <= knee.rate <= limit * 1.03
    assert knee.rate < knee.fails_at <= knee.rate * 1.1001
    assert f"{knee.rate:,.0f}" in knee.said


def test_steps_are_bounded_and_told_one_by_one():
    told = []
    knee = find_knee(server(5000.0), steps_max=4, told=told.append)
    assert knee.stopped_by == "steps_max"
    assert tuple(told) == knee.steps
    assert len(told) == 4
    assert [s.rate for s in told] == [100, 200, 400, 800]


def test_the_highest_rate_to_be_tried_is_tried_and_kept():
    knee = find_knee(server(1e9), rate_max=1000.0)
    assert (knee.rate, knee.fails_at, knee.stopped_by) == (1000.0, None, "rate_max")


def test_a_generator_that_gives_out_is_not_taken_for_the_server():
    knee = find_knee(server(500.0, generator_limit=500.0), start_rate=100.0)
    assert knee.stopped_by == "generator"
    assert (knee.rate, knee.fails_at) == (400.0, None)
    assert "generator, not the server" in knee.said


def test_a_generator_late_where_the_target_is_met_does_not_end_the_search():
    knee = find_knee(server(1e9, generator_limit=0.0), rate_max=400.0)
    assert knee.rate == 400.0


def test_a_busy_machine_is_tried_once_more_and_then_not_taken_for_the_server():
    def measure(rate, duration_s):
        if rate <= 200:
            return Interval(1.0, 1.0, 1.0), "machine"
        return Interval(0.5, 0.6, 0.7), "machine"

    knee = find_knee(measure, start_rate=100, step_s=10)
    assert [(s.rate, s.duration_s) for s in knee.steps][2:] == [(400, 10), (400, 30)]
    assert (knee.rate, knee.fails_at, knee.stopped_by) == (200, None, "machine")
    assert "too busy" in knee.said
    nothing = find_knee(lambda r, s: (Interval(0.5, 0.6, 0.7), "machine"))
    assert "Nothing can be told" in nothing.said


def test_a_server_that_never_meets_it_ends_the_search_soon():
    knee = find_knee(server(0.001), steps_max=50)
    assert knee.rate == 0.0
    assert knee.stopped_by == "server"
    assert len(knee.steps) <= 6
    assert "not met at any rate" in knee.said


def test_what_cannot_be_told_is_run_longer_and_then_counts_as_not_met():
    def measure(rate, duration_s):
        if rate < 300:
            return Interval(0.995, 1.0, 1.0), ""
        if duration_s > 10 and rate < 500:
            return Interval(0.991, 0.992, 0.993), ""
        return Interval(0.98, 0.99, 0.995), ""

    knee = find_knee(measure, start_rate=100, step_s=10, steps_max=8, resolution=2.1)
    assert [(s.rate, s.duration_s, s.verdict) for s in knee.steps] == [
        (100, 10, "pass"),
        (200, 10, "pass"),
        (400, 10, "cannot tell"),
        (400, 30, "pass"),
        (800, 10, "cannot tell"),
        (800, 30, "cannot tell"),
    ]
    assert (knee.rate, knee.fails_at) == (400, 800)


def test_a_slow_rate_is_run_long_enough_to_prove_something():
    measure = server(1e9)
    find_knee(measure, start_rate=40.0, rate_max=40.0, step_s=10.0)
    assert measure.asked == [(40.0, pytest.approx(20.0))]


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (Interval(0.99, 0.995, 1.0), "pass"),
        (Interval(0.97, 0.98, 0.989), "fail"),
        (Interval(0.98, 0.99, 1.0), "cannot tell"),
        (Interval(math.nan, math.nan, math.nan), "cannot tell"),
    ],
)
def test_only_a_whole_interval_judges(share, verdict):
    assert judge(share, 0.99) == verdict


@pytest.mark.parametrize(
    "wrong",
    [{"objective": 1.0}, {"start_rate": 0.0}, {"rate_max": 1.0}, {"resolution": 1.0}],
)
def test_a_search_that_cannot_be_made_is_refused(wrong):
    with pytest.raises(ConfigError, match="a knee needs"):
        find_knee(server(100), **wrong)


def test_json_has_no_infinity():
    knee: Knee = find_knee(lambda r, s: (Interval(0.0, 0.5, math.inf), ""), steps_max=2)
    assert knee.as_json()["steps"][0]["share"]["high"] is None
    assert knee.as_json()["said"]
