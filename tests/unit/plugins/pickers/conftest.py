"""A picker at work on a few centers, without a router."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

import numpy as np
import pytest

from gateway.api import Center, Centers, Choice, Decision, Location, Outcome, Query, Report, Table


class AtWork:
    """A picker with its memory, over a table with ``in_flight`` and ``slots``."""

    def __init__(self, picker: Any, in_flight: Sequence[int], slots: int) -> None:
        here = Location(0.0, 0.0)
        count = len(in_flight)
        table = Table([Center(f"c{row}", "r", "z", "x", "CN", here) for row in range(count)])
        table.add_column("in_flight", "i4")[:] = in_flight
        table.add_column("slots", "i4")[:] = slots
        self.picker = picker
        self.table = table
        self.random = Random(7)
        make = getattr(picker, "memory", None)
        self.memory: Any = make(count, Random(1)) if make else None
        self._query = Query(0, "m")

    def pick(
        self,
        total_ms: Sequence[float] | None = None,
        *,
        candidates: Sequence[int] | None = None,
        now: float = 0.0,
    ) -> Choice:
        """What it picks, twice: the memory must stand and the answer be the same."""
        shown = len(candidates or self.table)
        sums = np.array([1.0] * shown if total_ms is None else total_ms, np.float32)
        sums.flags.writeable = False
        rows = None if candidates is None else np.array(candidates, np.intp)
        centers = Centers(self.table, self.picker.reads).bind(self._query)
        answers = []
        before = deepcopy(_plain(self.memory))
        state = self.random.getstate()
        for _ in range(2):
            self.random.setstate(state)
            answer = self.picker.pick(
                sums, rows, centers, self._query, now, self.random, self.memory
            )
            answers.append(answer if isinstance(answer, Choice) else Choice(answer))
        assert answers[0] == answers[1]
        assert _plain(self.memory) == before, "pick wrote to its memory"
        return answers[0]

    def chosen(self, center: int, choice: Choice | None = None, now: float = 0.0) -> None:
        """Commit a choice of ``center``; ``choice``: what the picker said of it."""
        choice = choice or Choice(center)
        decision = Decision(self._query, center, 1.0, -1, 0.0, (), 0.0, now=now)
        decision.looked_at, decision.token = choice.looked_at, choice.token
        self.picker.chosen(decision, {}, self.memory)

    def ended(
        self,
        center: int,
        attempt_ms: float,
        now: float = 0.0,
        ending: Any = "answer",
        report: Report | None = None,
    ) -> None:
        outcome = Outcome(center, 0, "m", ending, attempt_ms, report, 1.0, 1.0, now)
        self.picker.ended(outcome, {}, self.memory)

    def reported(self, center: int, report: Report, now: float = 0.0) -> None:
        self.picker.reported(center, report, now, {}, self.memory)

    def picks(self, times: int, **arguments: Any) -> set[int]:
        """The positions of so many picks."""
        return {self.pick(**arguments).position for _ in range(times)}


def _plain(memory: Any) -> Any:
    """A memory as something that compares by value."""
    if isinstance(memory, np.ndarray):
        return memory.tolist()
    if isinstance(memory, list | tuple):
        return [_plain(item) for item in memory]
    if isinstance(memory, dict):
        return {key: _plain(item) for key, item in memory.items()}
    if isinstance(memory, Random):
        return memory.getstate()
    slots = getattr(memory, "__slots__", ())
    if hasattr(memory, "__dict__") or slots:
        names = slots or vars(memory)
        return {name: _plain(getattr(memory, name)) for name in names if name != "cells"}
    return memory


@pytest.fixture
def at_work() -> Callable[..., AtWork]:
    """A maker: picker, in_flight by center, slots of each."""

    def make(picker: Any, in_flight: Sequence[int] = (0, 0, 0), slots: int = 4) -> AtWork:
        return AtWork(picker, in_flight, slots)

    return make
