"""How many are worth it, and joining is the inverse of parting."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.engine import join, part
from gateway.engine.batching import AROUND_S, GAIN_MIN, gain_of, size_worth


def test_a_model_that_gains_nothing_is_left_alone() -> None:
    assert size_worth({1: 1.0, 2: 1.9, 4: 3.8}) == (1, pytest.approx(4 / 3.8, rel=1e-4))
    assert size_worth({1: 1.0}) == (1, 1.0)


def test_the_smallest_size_that_gains_nearly_the_best_is_taken() -> None:
    assert size_worth({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.0}) == (8, 8.0)
    assert size_worth({1: 1.0, 2: 1.0, 4: 1.01, 8: 2.0, 16: 3.9}) == (
        4,
        pytest.approx(4 / 1.01, rel=1e-4),
    )
    size, gain = size_worth({1: 1.0, 2: 1.0, 4: 2.6})
    assert (size, gain) == (2, 2.0)
    assert gain >= GAIN_MIN


def test_parting_undoes_joining() -> None:
    draw = np.random.default_rng(0)
    rows = [1, 3, 2]
    requests = [{"x": draw.random((n, 4)), "k": draw.integers(0, 9, n)} for n in rows]
    joined = join(requests)
    assert joined["x"].shape == (6, 4)
    parts = part([joined["k"], joined["x"]], rows)
    for (k, x), request in zip(parts, requests, strict=True):
        assert np.array_equal(k, request["k"])
        assert np.array_equal(x, request["x"])


def test_strings_are_joined_too() -> None:
    words = [{"s": np.array([[word]], np.object_)} for word in (b"a", b"\x00bc")]
    assert join(words)["s"].tolist() == [[b"a"], [b"\x00bc"]]


def test_what_is_around_a_run_is_paid_once_by_those_who_share_it() -> None:
    quick = {1: AROUND_S, 2: 2 * AROUND_S, 4: 4 * AROUND_S}
    assert gain_of(quick, 4) == pytest.approx(4 * 2 / 5)
    assert size_worth(quick) == (4, pytest.approx(1.6))
    slow = {size: 1000 * taken_s for size, taken_s in quick.items()}
    assert size_worth(slow)[0] == 1
