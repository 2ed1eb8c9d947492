"""A ring of answers, and what is read from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.answers import KEPT, RecentAnswers, joined, wilson


def filled(*rows: tuple[float, int, int, float]) -> RecentAnswers:
    answers = RecentAnswers()
    for at_s, vantage, center, network_ms in rows:
        answers.add(at_s, vantage, center, 0.5, network_ms, 0.25, 0.25)
    return answers


def test_nothing_is_known_of_nothing() -> None:
    window = RecentAnswers().since(0.0)
    assert window.by_origin(10.0) == []
    assert window.flows(3) == []
    assert window.by_second(1.0, 2) == [{"answers": 0}, {"answers": 0}]
    assert window.histogram(np.array([0.0, 10.0])) == [0, 0]


def test_shares_flows_and_seconds() -> None:
    answers = filled((1.0, 7, 0, 4.0), (2.0, 7, 1, 20.0), (2.1, 5, 1, 8.0), (2.2, 7, 1, 6.0))
    window = answers.since(0.0)
    assert [(row["vantage"], row["answers"], row["share"]) for row in window.by_origin(10.0)] == [
        (5, 1, 1.0),
        (7, 3, pytest.approx(2 / 3)),
    ]
    flows = {(row["vantage"], row["center"]): row for row in window.flows(3)}
    assert {pair: row["answers"] for pair, row in flows.items()} == {
        (5, 1): 1,
        (7, 0): 1,
        (7, 1): 2,
    }
    assert flows[7, 1]["p50_ms"] == pytest.approx(14.0)
    seconds = window.by_second(2.5, 2)
    assert [row["answers"] for row in seconds] == [1, 3]
    assert seconds[1]["parts"]["network"] == pytest.approx(34 / 3)
    assert window.histogram(np.array([0.0, 10.0, 20.0])) == [3, 0, 1]
    assert len(answers.since(2.05).at_s) == 2


ROWS = st.tuples(
    st.floats(0.0, 5.0), st.integers(0, 3), st.integers(0, 2), st.floats(0.0, 40.0, width=32)
)


@given(st.lists(ROWS, max_size=60))
def test_every_group_is_as_numpy_says(rows: list[tuple[float, int, int, float]]) -> None:
    window = filled(*sorted(rows)).since(0.0)
    total_ms = window.total_ms
    for told in window.by_origin(10.0):
        mine = total_ms[window.vantage == told["vantage"]]
        assert told["answers"] == len(mine)
        assert told["share"] == pytest.approx((mine <= 10.0).mean())
        assert told["p50_ms"] == pytest.approx(np.median(mine), rel=1e-5)
    flows = window.flows(3)
    assert sum(row["answers"] for row in flows) == len(rows)
    for told in flows:
        at = (window.vantage == told["vantage"]) & (window.center == told["center"])
        assert told["p50_ms"] == pytest.approx(np.median(total_ms[at]), rel=1e-5)
    busy = [row["answers"] for row in flows]
    assert busy == sorted(busy, reverse=True)
    assert window.flows(3, 2) == flows[:2]
    for back, told in enumerate(reversed(window.by_second(5.0, 4))):
        at = (5.0 - window.at_s).astype(int) == back
        assert told["answers"] == at.sum()
        if told["answers"]:
            p50, p99 = np.percentile(total_ms[at], (50, 99))
            assert told["p50_ms"] == pytest.approx(p50, rel=1e-5)
            assert told["p99_ms"] == pytest.approx(p99, rel=1e-5)
            parts = window.parts_ms[at].mean(axis=0)
            assert list(told["parts"].values()) == pytest.approx(parts.tolist(), rel=1e-4)


def test_only_the_last_are_kept() -> None:
    answers = RecentAnswers()
    for number in range(KEPT + 10):
        answers.add(float(number), 0, 0, 1.0, 1.0, 1.0, 1.0)
    window = answers.since(0.0)
    assert len(window.at_s) == KEPT
    assert window.at_s[0] == 10.0
    assert (np.diff(window.at_s) > 0).all()


@given(st.integers(1, 1000), st.floats(0, 1))
def test_an_interval_holds_its_share(count: int, share: float) -> None:
    low, high = wilson(share, count)
    assert 0.0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0
    assert wilson(0.5, 0) == (0.0, 1.0)


def test_what_several_processes_tell_is_one_window_in_order() -> None:
    one, other = filled((1.0, 7, 0, 4.0), (3.0, 7, 1, 20.0)), filled((2.0, 5, 1, 8.0))
    told = [answers.rows_since(0.0).tobytes() for answers in (one, other)]
    window = joined(told)
    assert window.at_s.tolist() == [1.0, 2.0, 3.0]
    assert window.vantage.tolist() == [7, 5, 7]
    assert len(joined([]).at_s) == 0
