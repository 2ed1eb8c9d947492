"""The comparison of the arms: ratios, intervals, and what holds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.chaos.hedging import Arm, hedging_words, judged, ratio_interval
from gateway.measure.chaos.windows import quantile_of

N = 4000


def rounds(slow_ms: float, count: int = 5) -> list[np.ndarray]:
    """Of each round five in a thousand are slow."""
    late = np.full(N, 20.0)
    late[: N // 200] = slow_ms
    return [late.copy() for _ in range(count)]


def arm(name: str, p999_ms: float, extra: float) -> Arm:
    return Arm(name, N, 0, 20.0, 20.0, p999_ms, extra)


def result(slow_ms: float, extra: float):  # type: ignore[no-untyped-def]
    arms = (arm("without", 600.0, 0.001), arm("with", slow_ms, 0.001 + extra))
    return judged(arms, rounds(600.0), rounds(slow_ms))


def test_equal_rounds_have_a_sure_ratio() -> None:
    assert ratio_interval(rounds(600.0), rounds(60.0)) == (pytest.approx(0.1), pytest.approx(0.1))


def test_the_tails_give_the_quantile_of_the_whole() -> None:
    random = np.random.default_rng(3)
    without = [random.exponential(10.0, 1500) for _ in range(3)]
    with_ = [2.0 * late for late in without]
    low, high = ratio_interval(without, with_)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
    one = [random.exponential(10.0, 1500)]
    alone = quantile_of(2.5 * one[0], 0.999) / quantile_of(one[0], 0.999)
    assert ratio_interval(one, [2.5 * one[0]])[0] == pytest.approx(alone)


def test_a_ratio_that_hangs_on_one_round_has_a_wide_interval() -> None:
    low, high = ratio_interval(rounds(600.0), [*rounds(60.0, 4), *rounds(900.0, 1)])
    assert low < 0.2
    assert high > 1.0


@pytest.mark.parametrize(
    ("slow_ms", "extra", "rulings"),
    [
        (60.0, 0.012, ["holds", "holds"]),
        (301.0, 0.012, ["does not", "holds"]),
        (60.0, 0.021, ["holds", "does not"]),
    ],
)
def test_both_promises_are_judged(slow_ms: float, extra: float, rulings: list[str]) -> None:
    assert [floor.ruling for floor in result(slow_ms, extra).floors] == rulings


def test_the_words_tell_the_ratio_and_its_price() -> None:
    words = hedging_words(result(60.0, 0.012))
    assert "| with | 4000 | 0 | 20.0 | 20.0 | 60.0 | 1.30 % |" in words
    assert "is 0.10 of that without (0.10 to 0.10), for 1.20 % more attempts" in words
