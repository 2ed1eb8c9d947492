"""The sums a picker is shown: random ones and the awkward ones, as routing would show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.api import F32N, Centers, Choice, Query, Table
from gateway.testing.fleets import NOW_S
from gateway.testing.subject import Subject

ROUNDS = 60


@dataclass(frozen=True, slots=True)
class Sums:
    """What a picker is shown at once: float32[K] and whose they are (None: all rows)."""

    said: str
    total_ms: F32N
    candidates: NDArray[np.intp] | None

    def row(self, position: int) -> int:
        """The row of the table behind a position."""
        return position if self.candidates is None else int(self.candidates[position])


def sums_of(subject: Subject, table: Table) -> Iterator[Sums]:
    """Random sums and the awkward ones; for a picker with a sample as routing samples."""
    random = np.random.default_rng(subject.seed)
    for said, total_ms in _all_sums(random, len(table)):
        yield _shown(subject, said, total_ms, random)


def _all_sums(random: np.random.Generator, centers: int) -> Iterator[tuple[str, F32N]]:
    def forbidding(share: float) -> F32N:
        total_ms = random.exponential(20.0, centers).astype(np.float32)
        total_ms[random.random(centers) < share] = inf
        total_ms[random.integers(centers)] = 7.0
        return total_ms

    for round_ in range(ROUNDS):
        share = round_ / ROUNDS
        yield f"random sums, {share:.0%} of the centers forbidden", forbidding(share)
    for only in {0, centers // 2, centers - 1}:
        alone = np.full(centers, inf, dtype=np.float32)
        alone[only] = 3.0
        yield "a single eligible center", alone
    yield "all sums equal", np.full(centers, 5.0, dtype=np.float32)
    yield "all sums 0", np.zeros(centers, dtype=np.float32)
    yield "huge sums", np.full(centers, 3e38, dtype=np.float32)
    half = np.where(np.arange(centers) % 2 == 0, np.float32(5.0), np.float32(inf))
    yield "ties among forbidden centers", half.astype(np.float32)


def _shown(subject: Subject, said: str, total_ms: F32N, random: np.random.Generator) -> Sums:
    sample: int | None = subject.plugin.sample
    if sample is None:
        return Sums(said, total_ms, None)
    eligible = np.flatnonzero(total_ms < inf)
    rows = random.choice(eligible, size=min(sample, len(eligible)), replace=False).astype(np.intp)
    return Sums(said, total_ms[rows], rows)


def pick(
    subject: Subject,
    table: Table,
    sums: Sums,
    query: Query,
    random: Random,
    memory: Any,
    now: float = NOW_S,
) -> Any:
    """Call the picker as routing does."""
    centers = Centers(table, subject.reads).bind(query)
    return subject.plugin.pick(sums.total_ms, sums.candidates, centers, query, now, random, memory)


def choice_of(answer: Any) -> Choice:
    """A picker's answer as a Choice."""
    return answer if isinstance(answer, Choice) else Choice(answer)
