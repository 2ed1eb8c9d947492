"""Observers: called at every commit and ending, each with its own columns and one memory.

An observer that raises, or overruns its budget, is out until the policy is loaded again: a
memory that missed an ending is worth nothing. Its columns go back to their initial values,
so that nothing stale steers a scorer that reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any

from gateway.api import Array, Column, Decision, Named, Observer, Outcome, PluginError, Table
from gateway.routing.guard import Guard
from gateway.routing.per_request import TIME_ONE_CALL_IN


class Watcher:
    """One observer at work on one table."""

    def __init__(self, table: Table, named: Named[Observer], guard: Guard, random: Random) -> None:
        self.guard = guard
        self._table = table
        self._observer = observer = named.plugin
        self._names = tuple(f"{named.name}.{short}" for short in observer.columns)
        self._mine: dict[str, Array] = {
            short: table.columns[name]
            for short, name in zip(observer.columns, self._names, strict=True)
        }
        self._memory: Any = None
        self._call(0.0, self._remember, len(table), random)

    def chosen(self, decision: Decision, now: float) -> None:
        """A center was chosen and charged."""
        self._call(now, self._observer.chosen, decision, self._mine, self._memory)

    def ended(self, outcome: Outcome) -> None:
        """An attempt ended; with a report when the center gave one."""
        now = outcome.now
        self._call(now, self._observer.ended, outcome, self._mine, self._memory)
        if outcome.report is not None:
            self._call(
                now,
                self._observer.reported,
                outcome.center,
                outcome.report,
                now,
                self._mine,
                self._memory,
            )

    def _remember(self, centers: int, random: Random) -> None:
        self._memory = self._observer.memory(centers, random)

    def _call(self, now: float, method: Callable[..., None], *arguments: Any) -> None:
        guard = self.guard
        if guard.out_until == inf:
            return
        try:
            if guard.calls % TIME_ONE_CALL_IN:
                guard.call(method, *arguments)
            else:
                guard.timed_call(now, method, *arguments)
        except PluginError:
            guard.put_out(inf)
        if guard.is_out(now):
            self._retire()
            return
        versions = self._table.versions
        for name in self._names:
            versions[name] += 1

    def _retire(self) -> None:
        self.guard.put_out(inf)
        for name, column in zip(self._names, self._observer.columns.values(), strict=True):
            self._table.columns[name].fill(column.initial)
            self._table.touch(name)


def declare_columns(table: Table, plugin_name: str, columns: dict[str, Column]) -> None:
    """Add ``<plugin>.<column>`` to the table; a column there already is taken over as it is.

    Raises PluginError when what is there has another dtype.
    """
    for short, column in columns.items():
        name = f"{plugin_name}.{short}"
        there = table.columns.get(name)
        if there is None:
            table.add_column(name, column.dtype, column.initial)
        elif there.dtype != column.dtype:
            raise PluginError(
                f"column {name!r} is {there.dtype} in the table and declared {column.dtype}; "
                "rename one of the two"
            )
