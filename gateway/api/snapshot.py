"""What is known of the fleet: a structure of arrays, a row a center, a column a quantity.

Theory of operation. One owner writes (the fleet, or the observer that declared a column);
everybody else reads through ``Centers``, a view that shows only what a plugin declared.

* A *column* is one array of N values. A *live* column changes with every request and is
  added to every decision; any other column counts a *version* when it moves.
* A *row table* has one array of N values per key: ``rtt_ms`` per vantage, ``service_ms``
  and ``resident`` per model. A view bound to a query shows the row of that query.
* ``epoch`` counts what no request may miss: membership, health, drain, model residency.

Versions and the epoch tell routing when a cached component row is stale; the table itself
never calls anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gateway.api.errors import PluginError
from gateway.api.query import Query
from gateway.api.topology import Center

Array = NDArray[Any]
KeyedBy = Literal["vantage", "model", "tenant"]


@dataclass(slots=True)
class RowTable:
    """Rows of one quantity by key. ``make(key)`` gives the first row of a key (a prior)."""

    keyed_by: KeyedBy
    make: Callable[[Any], Array]
    rows: dict[Any, Array] = field(default_factory=dict)
    versions: dict[Any, int] = field(default_factory=dict)

    def row(self, key: Any) -> Array:
        """The row of ``key``, made from its prior at the first call."""
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = np.ascontiguousarray(self.make(key))
            self.versions[key] = 0
        return row


class Table:
    """All that is known at one instant. Columns are C-contiguous arrays of N values."""

    __slots__ = ("centers", "columns", "epoch", "row_tables", "versions")

    def __init__(self, centers: Sequence[Center]) -> None:
        self.centers: tuple[Center, ...] = tuple(centers)
        self.columns: dict[str, Array] = {}
        self.versions: dict[str, int] = {}
        self.row_tables: dict[str, RowTable] = {}
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.centers)

    def add_column(self, name: str, dtype: str, initial: float = 0) -> Array:
        """Preallocate column ``name``; raises PluginError when the name is taken."""
        if name in self.columns or name in self.row_tables:
            raise PluginError(f"column {name!r} is declared twice; rename one of the two")
        column = np.full(len(self.centers), initial, dtype=dtype)
        self.columns[name] = column
        self.versions[name] = 0
        return column

    def add_row_table(self, name: str, keyed_by: KeyedBy, make: Callable[[Any], Array]) -> RowTable:
        """Declare rows of N values by key; ``make`` is called once a key."""
        table = self.row_tables[name] = RowTable(keyed_by, make)
        return table

    def touch(self, name: str) -> None:
        """A column's published values moved: cached rows that read it are stale."""
        self.versions[name] += 1

    def touch_row(self, name: str, key: Any) -> None:
        """One row's published values moved."""
        self.row_tables[name].versions[key] += 1


_KEY_OF: dict[str, Callable[[Query], Any]] = {
    "vantage": lambda query: query.vantage,
    "model": lambda query: query.model,
    "tenant": lambda query: query.tenant,
}


class Centers:
    """A plugin's read-only view: the columns it declared, the rows of the query asked."""

    __slots__ = ("_query", "_reads", "_table")

    def __init__(self, table: Table, reads: Sequence[str]) -> None:
        for name in reads:
            if name not in table.columns and name not in table.row_tables:
                known = ", ".join(sorted([*table.columns, *table.row_tables]))
                raise PluginError(f"reads unknown column {name!r}; known: {known}")
        self._table = table
        self._reads = frozenset(reads)
        self._query: Query | None = None

    def bind(self, query: Query) -> Centers:
        """Show the rows of ``query`` from now on; returns itself."""
        self._query = query
        return self

    def __len__(self) -> int:
        return len(self._table)

    @property
    def topology(self) -> tuple[Center, ...]:
        """Who stands in which row."""
        return self._table.centers

    def __getitem__(self, name: str) -> Array:
        """float32/int32[N], read-only. Raises PluginError on an undeclared name."""
        if name not in self._reads:
            raise PluginError(f"column {name!r} is not in reads = {sorted(self._reads)}; add it")
        column = self._table.columns.get(name)
        if column is None:
            table = self._table.row_tables[name]
            if self._query is None:
                raise PluginError(f"{name!r} is keyed by {table.keyed_by}; no query is bound")
            column = table.row(_KEY_OF[table.keyed_by](self._query))
        view = column.view()
        view.flags.writeable = False
        return view
