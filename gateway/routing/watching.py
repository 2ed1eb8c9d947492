"""Observers: called at every commit and ending, each with its own columns and one memory.

Any plugin may observe; a scorer or picker that does is asked and told under one guard, so
that one whose memory is worth nothing is not asked either. Methods left out are not called.

An observer that raises, or overruns its budget, is out until the policy is loaded again: a
memory that missed an ending is worth nothing. Its columns go back to their initial values,
so that nothing stale steers a scorer that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from random import Random
from typing import Any

from gateway.api import Array, Column, Decision, Outcome, PluginError, Report, Table
from gateway.routing.guard import Guard
from gateway.routing.per_request import TIME_ONE_CALL_IN


class Watcher:
    """One observing plugin at work on one table."""

    def __init__(self, table: Table, name: str, plugin: Any, guard: Guard, random: Random) -> None:
        self.guard = guard
        self._table = table
        self._random = random
        self._declared: dict[str, Column] = dict(getattr(plugin, "columns", {}))
        self._names = tuple(f"{name}.{short}" for short in self._declared)
        self._mine: dict[str, Array] = {
            short: table.columns[name]
            for short, name in zip(self._declared, self._names, strict=True)
        }
        self.memory: Any = None
        self._on_chosen = getattr(plugin, "chosen", None)
        self._on_ended = getattr(plugin, "ended", None)
        self._on_reported = getattr(plugin, "reported", None)
        self._on_probes = getattr(plugin, "probes", None)
        self.asks_probes = self._on_probes is not None
        told = (self._on_chosen, self._on_ended, self._on_reported)
        self._untimed = [self._ask_probes, *(method for method in told if method is not None)]
        make_memory = getattr(plugin, "memory", None)
        if make_memory is not None:
            self._remember(make_memory, random)

    def chosen(self, decision: Decision, now: float) -> None:
        """A center was chosen and charged."""
        if self._on_chosen is not None:
            self._call(now, self._on_chosen, decision, self._mine, self.memory)

    def ended(self, outcome: Outcome) -> None:
        """An attempt ended; with a report when the center gave one."""
        now = outcome.now
        if self._on_ended is not None:
            self._call(now, self._on_ended, outcome, self._mine, self.memory)
        if outcome.report is not None:
            self.reported(outcome.center, outcome.report, now)

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load."""
        if self._on_reported is not None:
            self._call(now, self._on_reported, center, report, now, self._mine, self.memory)

    def probes(self, now: float) -> Sequence[int]:
        """The centers it wants a report of, each a row of the table."""
        if self._on_probes is None or self.guard.out_until == inf:
            return ()
        found: list[int] = []
        self._call(now, self._ask_probes, now, found)
        return found

    def _ask_probes(self, now: float, found: list[int]) -> None:
        assert self._on_probes is not None
        rows = len(self._table)
        for center in self._on_probes(now, self._random, self._mine, self.memory):
            if not 0 <= center < rows:
                raise PluginError(f"probes gave {center!r}; expected rows from 0 to {rows - 1}")
            found.append(int(center))

    def _remember(self, make: Callable[..., Any], random: Random) -> None:
        """Make the memory, untimed: no request waits for it."""
        try:
            self.memory = self.guard.call(make, len(self._table), random)
        except PluginError:
            self._retire()

    def _call(self, now: float, method: Callable[..., None], *arguments: Any) -> None:
        guard = self.guard
        if guard.out_until == inf:
            return
        try:
            if guard.calls % TIME_ONE_CALL_IN and method not in self._untimed:
                guard.call(method, *arguments)
            else:
                self._untimed = [other for other in self._untimed if other != method]
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
        for name, column in zip(self._names, self._declared.values(), strict=True):
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


def observes(plugin: object) -> bool:
    """True when the plugin has a method to be told or asked by, beside those of its kind."""
    return any(hasattr(plugin, method) for method in ("chosen", "ended", "reported", "probes"))
