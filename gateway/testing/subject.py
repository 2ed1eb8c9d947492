"""The plugin under test, the tables it is shown, and how it is called."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from gateway.api import Array, Centers, Column, PluginError, Query, Table
from gateway.routing.components import DeclaredQuery
from gateway.testing.finding import Broken
from gateway.testing.fleets import NOW_S, queries, shipped_table, stirred, table_of_rows

MANY = 1024
OWN_NAME = "plugin"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. ``run`` raises Broken; ``stops``: once broken, the rules after it say nothing."""

    name: str
    says: str
    run: Callable[[Subject], None]
    stops: bool = False


@dataclass(frozen=True)
class Subject:
    """A plugin instance of ``kind`` (plural, as in a policy) and the world it is tried in.

    ``columns``: those other plugins provide, by full name. ``folder``: where a source reads.
    """

    kind: str
    plugin: Any
    columns: Mapping[str, Column] = field(default_factory=dict)
    folder: Path = Path()
    seed: int = 1

    @property
    def name(self) -> str:
        """The class's name, for messages."""
        return type(self.plugin).__name__

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it declares to read; an observer or source reads none."""
        return tuple(getattr(self.plugin, "reads", ()))

    @property
    def own_columns(self) -> Mapping[str, Column]:
        """Its own columns by short name."""
        columns: Mapping[str, Column] = getattr(self.plugin, "columns", {})
        return columns

    @cached_property
    def own_name(self) -> str:
        """The name its own columns have in the table, as far as its ``reads`` tell it."""
        for name in self.reads:
            prefix, dot, short = name.partition(".")
            if dot and short in self.own_columns and name not in self.columns:
                return prefix
        return OWN_NAME

    @cached_property
    def fresh(self) -> Table:
        """The shipped fleet before its first request."""
        own = {f"{self.own_name}.{short}": column for short, column in self.own_columns.items()}
        return shipped_table({**self.columns, **own})

    @cached_property
    def busy(self) -> Table:
        """The shipped fleet with something in every column."""
        return stirred(self.copy_of(self.fresh), self.seed)

    @cached_property
    def many(self) -> Table:
        """As many centers as the time budget is stated for."""
        return table_of_rows(self.busy, np.arange(MANY) % len(self.busy))

    @cached_property
    def one(self) -> Table:
        """A fleet of one center."""
        return table_of_rows(self.busy, [0])

    def tables(self) -> Iterator[Table]:
        """At rest, busy, one center, many centers."""
        yield from (self.fresh, self.busy, self.one, self.many)

    def copy_of(self, table: Table) -> Table:
        """The same rows again, sharing no memory."""
        return table_of_rows(table, np.arange(len(table)))

    def twin(self) -> Any:
        """Another instance with the same parameters."""
        return replace(self.plugin)

    def random(self) -> Random:
        """A stream of its own, the same at every call."""
        return Random(f"{self.seed}:{self.name}")

    def mine(self, table: Table) -> dict[str, Array]:
        """Its own columns in ``table``, as an observer is given them."""
        return {short: table.columns[f"{self.own_name}.{short}"] for short in self.own_columns}

    def memory(self, centers: int) -> Any:
        """A new memory of the plugin's; None when it has none."""
        make = getattr(self.plugin, "memory", None)
        return None if make is None else make(centers, self.random())

    def ask(self, table: Table, query: Query, plugin: Any = None) -> Any:
        """What a filter's ``keep`` or a scorer's ``ms`` returns, as routing would ask it."""
        plugin = self.plugin if plugin is None else plugin
        method = plugin.keep if self.kind == "filters" else plugin.ms
        return method(query, Centers(table, self.reads).bind(query), NOW_S)

    def asked(self) -> Iterator[tuple[Table, Query, Any]]:
        """Every table with every query and the answer to it."""
        for table in self.tables():
            for query in queries():
                yield table, query, self.ask(table, query)


def mark_of(thing: object) -> object:
    """Something that is equal as long as nothing in ``thing`` was written to."""
    try:
        return pickle.dumps(thing)
    except (pickle.PicklingError, TypeError, AttributeError):  # it holds a lock, a lambda ...
        return repr(vars(thing)) if hasattr(thing, "__dict__") else repr(thing)


def raised_by(call: Callable[..., object], *arguments: Any) -> Exception | None:
    """What a call of the plugin raises; None when it returns."""
    try:
        call(*arguments)
    except Exception as error:  # noqa: BLE001 - a stranger's plugin may raise anything
        return error
    return None


def narrowed(query: Query, varies_by: tuple[str, ...]) -> DeclaredQuery:
    """The query as a cached plugin sees it: any field it does not declare raises."""
    narrow = DeclaredQuery(query.vantage, query.model, query.tenant)
    narrow.declared = frozenset(varies_by)
    return narrow


def check_reads(subject: Subject) -> None:
    """Raises Broken when ``reads`` names what nobody provides."""
    table = subject.fresh
    known = sorted([*table.columns, *table.row_tables])
    for name in subject.reads:
        if name not in known:
            raise Broken(
                f"reads names {name!r}, which nobody provides",
                f"a column of the fleet, of an installed plugin or of its own: {', '.join(known)}",
                "correct the name in `reads`, or install the plugin that has the column",
            )


def check_kept_to_reads(subject: Subject, error: Exception | None) -> None:
    """Raises Broken when the error tells that a column not in ``reads`` was asked for."""
    if isinstance(error, PluginError) and "is not in reads" in str(error):
        raise Broken(
            str(error).partition(" is not")[0] + f" is used, and reads = {subject.reads}",
            "every column used named in `reads`: the answer is cached until one of them moves",
            "add the column to `reads`",
        ) from error
