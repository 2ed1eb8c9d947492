"""Every planted bug is caught: an invariant that nothing can break proves nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from gateway.testing.adversary.mutations import MUTATIONS

LEAST = 25
FIRST = {
    "knows half a head": 14,
    "mixes up a batch": 22,
    "retries after the first byte": 49,
    "breaks a stream off without a word": 31,
    "takes garbage for an answer": 10,
    "takes half an answer for a whole": 29,
    "tries without end": 6,
    "waits for probes for ever": 6,
}
"""Seeds known to find a bug that most seeds do not meet. What they meet changes with the code;
so each search goes on from there, within its bound."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the gateway logs of faults is meant to happen here, and there is much of it."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_there_are_enough() -> None:
    assert len(MUTATIONS) >= LEAST


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_caught(name: str) -> None:
    mutation = MUTATIONS[name]
    result = mutation.caught(FIRST.get(name, 0))
    assert result is not None, f"{name}: no seed finds it"
    assert result.broken is not None
    assert result.broken.rule in mutation.rules, str(result.broken)


def test_a_planted_bug_is_gone_afterwards() -> None:
    mutation = MUTATIONS["forgets to refund"]
    ((owner, name, _),) = mutation.patches
    before = vars(owner)[name]
    with mutation.planted():
        assert vars(owner)[name] is not before
    assert vars(owner)[name] is before


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_planted_bug_is_caught_wherever_the_search_begins(name: str) -> None:
    for first in (1000, 2000):
        assert MUTATIONS[name].caught(first, 200) is not None
