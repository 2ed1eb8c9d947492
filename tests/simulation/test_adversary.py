"""The real gateway under a seeded adversary in virtual time: no seed breaks an invariant."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gateway.testing.adversary import run_seed

SMALL = 30
LARGE = 1000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the gateway logs of faults is meant to happen here, and there is much of it."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SMALL, 10))
def test_no_invariant_is_broken(first: int) -> None:
    for seed in range(first, first + 10):
        result = run_seed(seed)
        assert result.broken is None, f"{result.broken}\nreplay: {result.replay}"
        assert result.requests
        assert result.answers[200]


def test_the_same_seed_is_the_same_run() -> None:
    once, again, other = run_seed(7), run_seed(7), run_seed(8)
    assert once.digest == again.digest
    assert (once.turns, once.answers, once.blows) == (again.turns, again.answers, again.blows)
    assert once.digest != other.digest


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("first", range(0, LARGE, 100))
def test_no_invariant_is_broken_in_many_seeds(first: int) -> None:
    broken = [
        f"{result.broken}\nreplay: {result.replay}"
        for result in map(run_seed, range(first, first + 100))
        if result.broken is not None
    ]
    assert broken == []
