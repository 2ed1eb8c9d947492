"""Component rows: what does not change per request, cached by the key it varies by.

Theory of operation. Filters and scorers that vary by the same query fields form one
*component*. For each value of these fields the component keeps one *row*: the sum of its
scorers in ms, +inf where a filter refuses. A decision adds one row of every component and
never loops over centers. Rows of a product of keys (origin x model x tenant) are never
made: at 300 origins and 7 500 requests a second three of four requests would build one.

* A filter whose fields are among those of a scorer's component moves in there: fewer
  additions, not one row more.
* ``epoch`` is compared by the router at every request; when it moves, every row is dropped that
  is not the table's own.
* The versions of what a component ``reads`` are compared only when ``now >= check_at``, at
  most once each ``refresh_ms`` a row.
* A row shares memory with nothing: it is immutable once built.
* A row of which a plugin failed or was quarantined is built again at the next check; until
  then a failed scorer counts as zeros, a quarantined one as its last answer for this key.
* A live scorer that varies by a key has a component of its own, whose rows are the table's
  (``LiveRows``): the round trips of 200 vantages move with every answer, and copying a row
  each time one moved was a third of a decision.
* The cache is bounded. A row moves to the young end when it is looked at again, so the
  oldest is the least recently used to within ``refresh_ms``, at no cost per request. (While
  less than half full it is not moved: nothing is about to be dropped.)

A cached plugin sees a query with only the fields it declared; any other field raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import inf
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np

from gateway.api import (
    F32N,
    BoolN,
    Centers,
    ConfigError,
    Filter,
    PluginError,
    Query,
    Scorer,
    Table,
)
from gateway.routing.guard import Guard, kept, scored_ms

CACHE_BYTES_MAX = 128 * 1024 * 1024
ROWS_MAX = 4096
ROWS_MIN = 16
FILTER_REFRESH_MS = 1.0
INCOMPLETE = -1
ASK_AGAIN_S = 1.0
REFUSES_ALL = "it is mandatory, so every center is refused"
KEY_FIELDS = ("model", "tenant", "vantage")

P = TypeVar("P")
Scalars: TypeAlias = "memoryview[float]"


def scalars(values: Any) -> Scalars:
    """A view of float32[N] whose items are Python floats: a third of an array's cost to read."""
    return memoryview(values)


@dataclass(frozen=True, slots=True, eq=False)
class Asked(Generic[P]):
    """A plugin, its guard and its view of the table."""

    plugin: P
    guard: Guard
    centers: Centers


@dataclass(slots=True)
class Row:
    """One cached row. ``parts``: a view of N float32 by scorer; ``refusals``: by filter.

    ``version`` is INCOMPLETE when a plugin is missing from the row.
    """

    total_ms: F32N
    parts: tuple[Scalars, ...]
    refusals: tuple[tuple[str, BoolN], ...]
    notes: tuple[str, ...]
    version: int
    check_at: float


class DeclaredQuery(Query):
    """A query of which only some fields may be read."""

    __slots__ = ("declared",)
    declared: frozenset[str]

    def __getattribute__(self, name: str) -> Any:
        if name in _QUERY_FIELDS and name not in object.__getattribute__(self, "declared"):
            raise PluginError(f"reads query.{name}, which varies_by does not declare; add it there")
        return object.__getattribute__(self, name)


_QUERY_FIELDS = frozenset(field.name for field in fields(Query))


def _narrowed(query: Query, declared: frozenset[str]) -> DeclaredQuery:
    narrow = DeclaredQuery(query.vantage, query.model, query.tenant)
    narrow.declared = declared
    return narrow


def _nobody(_query: Query) -> tuple[()]:
    return ()


class Component:
    """The rows of the filters and scorers that vary by one set of query fields."""

    def __init__(
        self,
        table: Table,
        key_fields: tuple[str, ...],
        filters: Sequence[Asked[Filter]],
        scorers: Sequence[Asked[Scorer]],
    ) -> None:
        self.key_fields = key_fields
        self.filters = tuple(filters)
        self.scorers = tuple(scorers)
        self.key_of: Callable[[Query], Any] = attrgetter(*key_fields) if key_fields else _nobody
        self.rows: dict[Any, Row] = {}
        self.checks = 0
        self.rebuilds = 0
        self._table = table
        self._declared = frozenset(key_fields)
        self._nothing_ms = np.zeros(len(table), dtype=np.float32)
        row_bytes = (1 + len(scorers)) * self._nothing_ms.nbytes + len(filters) * len(table)
        self.rows_max = max(ROWS_MIN, min(ROWS_MAX, CACHE_BYTES_MAX // row_bytes))
        refresh_ms = min((s.plugin.refresh_ms for s in scorers), default=FILTER_REFRESH_MS)
        self._refresh_s = refresh_ms * 1e-3
        asked: tuple[Asked[Any], ...] = (*filters, *scorers)
        reads = sorted({name for one in asked for name in one.plugin.reads})
        self._columns = tuple(name for name in reads if name in table.columns)
        self._row_tables = tuple(
            (table.row_tables[name], attrgetter(table.row_tables[name].keyed_by))
            for name in reads
            if name in table.row_tables
        )
        self._row_versions = tuple((rows.versions, key_of) for rows, key_of in self._row_tables)

    def start_epoch(self) -> None:
        """What a request must not miss has moved: every row is made anew."""
        self.rows.clear()

    def row(self, query: Query, now: float) -> Row:
        """The row of ``query``, fresh to within the refresh time."""
        row = self.rows.get(self.key_of(query))
        if row is None or now >= row.check_at:
            return self.refresh(query, now)
        return row

    def refresh(self, query: Query, now: float) -> Row:
        """Compare versions; build the row when one moved or it is not there."""
        self.checks += 1
        rows = self.rows
        key = self.key_of(query)
        row = rows.get(key)
        if row is None or row.version != self._version(query):
            row = self._build(query, now, row)
            rows[key] = row
            if len(rows) > self.rows_max:
                del rows[next(iter(rows))]
        elif len(rows) > self.rows_max // 2:
            rows[key] = rows.pop(key)  # to the young end
        row.check_at = now + self._refresh_s
        return row

    def _version(self, query: Query) -> int:
        """The sum of the versions read: each only grows, so the sum moves when one does."""
        version = 0
        columns = self._table.versions
        for name in self._columns:
            version += columns[name]
        for versions, key_of in self._row_versions:
            version += versions[key_of(query)]
        return version

    def _build(self, query: Query, now: float, old: Row | None) -> Row:
        self.rebuilds += 1
        for rows, key_of in self._row_tables:
            rows.row(key_of(query))  # made from its prior here, outside any plugin's time
        version = self._version(query)
        narrow = _narrowed(query, self._declared)
        notes: list[str] = []
        parts = [
            self._scored(asked, narrow, now, notes, old.parts[place] if old else None)
            for place, asked in enumerate(self.scorers)
        ]
        refusals = [
            (asked.guard.name, refused)
            for asked in self.filters
            if (refused := self._refused(asked, narrow, now, notes)) is not None
        ]
        total_ms = parts[0] if len(parts) == 1 and not refusals else self._sum(parts)
        for _, refused in refusals:
            total_ms[refused] = inf
        return Row(
            total_ms,
            tuple(scalars(part) for part in parts),
            tuple(refusals),
            tuple(notes),
            INCOMPLETE if notes else version,
            now,
        )

    def _sum(self, parts: list[F32N]) -> F32N:
        total_ms = self._nothing_ms.copy()
        for part in parts:
            total_ms += part
        return total_ms

    def _scored(
        self,
        asked: Asked[Scorer],
        query: Query,
        now: float,
        notes: list[str],
        last: Scalars | None,
    ) -> F32N:
        """A copy of the scorer's answer; a note and what stands in for it when there is none.

        In quarantine its last answer for this key stands. A key it never answered for is asked
        for all the same, once: zeros for the network of a new vantage would cost more than the
        time that the scorer may waste.
        """
        guard = asked.guard
        if last is not None and guard.is_out(now):
            notes.append(guard.why_out())
            return np.array(last, dtype=np.float32)
        try:
            values: F32N = guard.timed_call(now, scored_ms, asked.plugin, query, asked.centers, now)
        except PluginError as error:
            notes.append(f"{error}; skipped")
            return self._nothing_ms.copy()
        return values.copy()

    def _refused(
        self, asked: Asked[Filter], query: Query, now: float, notes: list[str]
    ) -> BoolN | None:
        """Whom the filter refuses; None when it is skipped, everybody when it fails closed."""
        guard = asked.guard
        if guard.is_out(now):
            notes.append(guard.why_out())
            return None
        try:
            keep: BoolN = guard.timed_call(now, kept, asked.plugin, query, asked.centers, now)
        except PluginError as error:
            if asked.plugin.advisory:
                notes.append(f"{error}; skipped")
                return None
            notes.append(f"{error}; {REFUSES_ALL}")
            return np.ones(len(self._table), dtype=np.bool_)
        return ~keep


class LiveRows(Component):
    """The rows of one live scorer that varies by a key: the table's own, read where they stand.

    Asked once a key; nothing is copied and no version compared. A scorer that raises or returns
    anything but a row it reads counts as zeros, and is asked again a second later. When the epoch
    moves it is asked again where its row is not the table's any more: nothing else could it rightly
    say, and an epoch that moves several times a second is dear with 200 vantages to ask for.
    """

    def __init__(self, table: Table, asked: Asked[Scorer]) -> None:
        _check_key(table, asked)
        super().__init__(table, _key(asked), (), (asked,))
        one_row = len(self._row_tables) == len(self.key_fields) == 1
        self._own = self._row_tables[0][0].rows if one_row else None

    def start_epoch(self) -> None:
        """Keep the rows that are the table's still, where there is but one that it can be."""
        if self._own is None:
            self.rows.clear()
            return
        own = self._own
        for key in [key for key, row in self.rows.items() if own.get(key) is not row.total_ms]:
            del self.rows[key]

    def refresh(self, query: Query, now: float) -> Row:
        """The row of a key that is not known."""
        self.checks += 1
        self.rebuilds += 1
        (asked,) = self.scorers
        rows = [table.row(key_of(query)) for table, key_of in self._row_tables]
        narrow = _narrowed(query, self._declared)
        whole, check_at = self._nothing_ms, now + ASK_AGAIN_S
        notes: tuple[str, ...] = ()
        try:
            found = asked.guard.call(asked.plugin.ms, narrow, asked.centers.bind(narrow), now)
            whole, check_at = _own_row(found, rows, asked), inf
        except PluginError as error:
            notes = (f"{error}; skipped",)
        row = Row(whole, (scalars(whole),), (), notes, INCOMPLETE, check_at)
        self.rows[self.key_of(query)] = row
        if len(self.rows) > self.rows_max:
            del self.rows[next(iter(self.rows))]
        return row


def _own_row(found: object, rows: list[Any], asked: Asked[Scorer]) -> F32N:
    """Which of the table's rows the scorer returned. Raises PluginError."""
    if isinstance(found, np.ndarray):
        for whole in rows:
            if np.shares_memory(found, whole) and whole.dtype == np.float32:
                own: F32N = whole
                return own
    raise asked.guard.failed(
        "live = True, so ms must return one of the rows it reads "
        f"({', '.join(asked.plugin.reads)}), not a copy; found {type(found).__name__}"
    )


def components_of(
    table: Table, filters: Sequence[Asked[Filter]], scorers: Sequence[Asked[Scorer]]
) -> tuple[Component, ...]:
    """Group the cached plugins by key; at least one component. Raises ConfigError."""
    cached: tuple[Asked[Any], ...] = (*filters, *scorers)
    for asked in cached:
        _check_key(table, asked)
    scorer_keys = dict.fromkeys(_key(asked) for asked in scorers)
    members: dict[tuple[str, ...], tuple[list[Asked[Filter]], list[Asked[Scorer]]]] = {}
    for scorer in scorers:
        members.setdefault(_key(scorer), ([], []))[1].append(scorer)
    for narrowing in filters:
        home = _home(_key(narrowing), tuple(scorer_keys))
        members.setdefault(home, ([], []))[0].append(narrowing)
    if not members:
        members[()] = ([], [])
    return tuple(Component(table, key, *grouped) for key, grouped in members.items())


def _key(asked: Asked[Any]) -> tuple[str, ...]:
    return tuple(sorted(asked.plugin.varies_by))


def _home(key: tuple[str, ...], scorer_keys: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The scorers' component a filter moves into: fewest fields, rather not by vantage."""
    homes = [other for other in scorer_keys if set(key) <= set(other)]
    return min(homes, key=lambda home: (len(home), "vantage" in home), default=key)


def _check_key(table: Table, asked: Asked[Any]) -> None:
    guard, plugin = asked.guard, asked.plugin
    unknown = [field for field in plugin.varies_by if field not in KEY_FIELDS]
    if unknown:
        raise ConfigError(
            f"{guard.kind} {guard.name}: varies_by = {plugin.varies_by}; expected a tuple of "
            f"{', '.join(KEY_FIELDS)}, or PER_REQUEST"
        )
    for name in plugin.reads:
        row_table = table.row_tables.get(name)
        if row_table is not None and row_table.keyed_by not in plugin.varies_by:
            raise ConfigError(
                f"{guard.kind} {guard.name}: reads {name!r}, a row a {row_table.keyed_by}, but "
                f"varies_by = {plugin.varies_by}; add {row_table.keyed_by!r} to varies_by"
            )
