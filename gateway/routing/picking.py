"""Pickers that are called: those that sample, and those with an idea of their own.

A picker that sees all and takes the smallest needs no call; the router does that itself.
The rest come here. A sample is drawn from the eligible centers only, by trying rows at
random: at usual shares of eligible centers that is two or three draws, whatever N.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

import numpy as np

from gateway.api import F32N, Centers, Choice, Picker, PluginError, Query, Table
from gateway.routing.components import Scalars
from gateway.routing.guard import Guard
from gateway.routing.per_request import TIME_ONE_CALL_IN

DRAWS_PER_SAMPLE = 8


@dataclass(slots=True)
class Pick:
    """A picker's choice. ``looked_at``: the centers seen, () when it saw all."""

    center: int
    runner_up: int
    looked_at: tuple[int, ...]
    token: object


class Picking:
    """Calls one picker on sums of ms; owns its random streams. ``memory``: the picker's own."""

    def __init__(
        self,
        table: Table,
        name: str,
        picker: Picker,
        guard: Guard,
        *,
        seed: int,
        memory: Callable[[], Any],
    ) -> None:
        self.guard = guard
        self.takes_argmin: bool = getattr(picker, "takes_argmin", False)
        self.sample = picker.sample
        self._picker = picker
        self._centers = len(table)
        self._view = Centers(table, picker.reads)
        self._memory = memory
        self._random = Random(f"{seed}:{name}")
        self._draws = Random(f"{seed}:{name}/sample")

    def pick(self, total_ms: F32N, view: Scalars, query: Query, now: float) -> Pick | None:
        """Choose among the finite sums; None when there is none. ``view`` is of ``total_ms``."""
        if self.sample is None:
            return self._pick_of_all(total_ms, query, now)
        rows = self._drawn(total_ms, view, self.sample)
        if not rows:
            return None
        sampled_ms: list[float] = [view[row] for row in rows]
        choice = self._choice_of(rows, sampled_ms, query, now)
        center = rows[choice.position]
        runner_up, runner_up_ms = -1, inf
        for row, ms in zip(rows, sampled_ms, strict=True):
            if row != center and ms < runner_up_ms:
                runner_up, runner_up_ms = row, ms
        return Pick(center, runner_up, choice.looked_at or tuple(rows), choice.token)

    def peek(self, total_ms: F32N, view: Scalars, query: Query, now: float) -> Pick | None:
        """What ``pick`` would choose next, leaving the random streams as they are."""
        if self.sample is None and self.takes_argmin:
            return self.pick(total_ms, view, query, now)  # draws nothing
        states = self._random.getstate(), self._draws.getstate()
        try:
            return self.pick(total_ms, view, query, now)
        finally:
            self._random.setstate(states[0])
            self._draws.setstate(states[1])

    def _pick_of_all(self, total_ms: F32N, query: Query, now: float) -> Pick | None:
        best = int(total_ms.argmin())
        if not total_ms[best] < inf:
            return None
        choice = Choice(best)
        if not self.takes_argmin:
            seen = total_ms.view()
            seen.flags.writeable = False
            choice = self._asked(seen, None, best, query, now)
        center = choice.position
        others = total_ms.copy()
        others[center] = inf
        runner_up = int(others.argmin())
        runner_up = runner_up if others[runner_up] < inf else -1
        return Pick(center, runner_up, choice.looked_at, choice.token)

    def _choice_of(
        self, rows: list[int], sampled_ms: Sequence[float], query: Query, now: float
    ) -> Choice:
        best = sampled_ms.index(min(sampled_ms))
        if self.takes_argmin:
            return Choice(best)
        total_ms = np.array(sampled_ms, dtype=np.float32)
        return self._asked(total_ms, np.array(rows, dtype=np.intp), best, query, now)

    def _asked(
        self, total_ms: F32N, candidates: Any, best: int, query: Query, now: float
    ) -> Choice:
        """The picker's choice; the smallest sum when it is out or breaks the contract."""
        guard = self.guard
        if guard.is_out(now):
            return Choice(best)
        arguments = (
            _checked,
            self._picker,
            total_ms,
            candidates,
            self._view.bind(query),
            query,
            now,
            self._random,
            self._memory(),
        )
        try:
            if guard.timed and guard.calls % TIME_ONE_CALL_IN:
                choice: Choice = guard.call(*arguments)
            else:
                choice = guard.timed_call(now, *arguments)
        except PluginError:
            return Choice(best)
        return choice

    def _drawn(self, total_ms: F32N, view: Scalars, size: int) -> list[int]:
        """Up to ``size`` different eligible rows, each as likely as the others."""
        random, centers = self._draws.random, self._centers
        rows: list[int] = []
        for _ in range(DRAWS_PER_SAMPLE * size):
            row = int(random() * centers)
            if view[row] < inf and row not in rows:
                rows.append(row)
                if len(rows) == size:
                    return rows
        eligible = np.flatnonzero(total_ms < inf).tolist()
        return self._draws.sample(eligible, min(size, len(eligible)))


def _checked(picker: Picker, total_ms: F32N, *arguments: Any) -> Choice:
    """The picker's answer as a Choice of an eligible position. Raises PluginError."""
    answer = picker.pick(total_ms, *arguments)
    choice = answer if isinstance(answer, Choice) else Choice(answer)
    position = choice.position
    if not isinstance(position, int | np.integer) or not 0 <= position < len(total_ms):
        raise PluginError(f"picked {position!r}; expected a position from 0 to {len(total_ms) - 1}")
    if not total_ms[position] < inf:
        raise PluginError(f"picked position {position}, which is forbidden (its sum is inf)")
    choice.position = int(position)
    return choice
