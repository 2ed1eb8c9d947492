"""Tables to show to a plugin: the shipped fleet at rest, at work, cut to one center, grown.

Theory of operation. ``shipped_table`` has the standard columns and row tables, declared by
the fleet itself, over the shipped centers, so that a plugin that knows a region or a country
finds it. ``stirred`` fills them with what a busy day might leave there. ``table_of_rows``
makes another table of any rows of a table, in any order: a permutation, a single center, or
more centers than there are, each with an id of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.api import F32N, Array, Column, Query, Table
from gateway.config.fleet_file import load_fleet
from gateway.fleet import Fleet
from gateway.wan import PROFILES, Gazetteer, PathModel, load_cities

NOW_S = 1000.0
VANTAGES = 4
MODELS_MS: dict[str, float] = {"blast-furnace": 0.3, "grid-load": 2.0, "rail-inspection": 8.0}
TENANTS = ("anonymous", "steel", "rail")


def queries() -> tuple[Query, ...]:
    """Queries that differ in every field, two of them in one field only."""
    models = tuple(MODELS_MS)
    asked = [
        Query(vantage, models[place % len(models)], TENANTS[place % len(TENANTS)])
        for place, vantage in enumerate(range(VANTAGES))
    ]
    asked.append(replace(asked[0], vantage=1))
    asked.append(replace(asked[0], model=models[2]))
    asked.append(replace(asked[0], tenant="rail", deadline_ms=5.0, session="s-1"))
    asked.append(replace(asked[0], deadline_ms=50.0, body_bytes=100_000, session="s-2"))
    return tuple(asked)


def shipped_table(columns: Mapping[str, Column] | None = None) -> Table:
    """The shipped fleet before its first request; ``columns`` are added by their full names."""
    centers = load_fleet(None, "all")
    gazetteer = Gazetteer(load_cities(), centers)
    paths = PathModel(PROFILES["cloud"], border_ms=60.0, last_mile_ms=0.0)

    def rtt_prior(vantage: int) -> F32N:
        return paths.prior_ms(gazetteer.places[vantage], centers)

    table = Table(centers)
    fleet = Fleet(table, rtt_prior=rtt_prior, random=Random(1))
    for model, run_ms in MODELS_MS.items():
        fleet.add_model(model, run_ms, np.ones(len(centers), dtype=np.bool_))
    for name, column in (columns or {}).items():
        if name not in table.columns:
            table.add_column(name, column.dtype, column.initial)
    return table


def stirred(table: Table, seed: int) -> Table:
    """The same table with plausible values written everywhere; returns it."""
    random = np.random.default_rng(seed)
    for name, column in table.columns.items():
        column[:] = _stir(name, column, random)
        table.touch(name)
    for name, rows in table.row_tables.items():
        for key in _keys(rows.keyed_by):
            row = rows.row(key)
            row[:] = _stir(name, row, random)
            table.touch_row(name, key)
    return table


def table_of_rows(table: Table, order: Sequence[int] | NDArray[np.intp]) -> Table:
    """A new table of ``table``'s rows in ``order``; a row that comes twice gets a new id."""
    rows = np.asarray(order, dtype=np.intp)
    seen: Counter[int] = Counter()
    centers = []
    for row in rows.tolist():
        center = table.centers[row]
        centers.append(replace(center, id=f"{center.id}-{seen[row]}") if seen[row] else center)
        seen[row] += 1
    other = Table(centers)
    for name, column in table.columns.items():
        other.add_column(name, column.dtype.str)[:] = column[rows]
    for name, row_table in table.row_tables.items():
        other.add_row_table(name, row_table.keyed_by, _row_maker(row_table.row, rows))
    return other


def fingerprint(table: Table) -> dict[str, bytes | int]:
    """Everything a plugin could have changed in a table, by name."""
    marks: dict[str, bytes | int] = {"epoch": table.epoch}
    for name, column in table.columns.items():
        marks[name] = column.tobytes()
        marks[f"version of {name}"] = table.versions[name]
    for name, rows in table.row_tables.items():
        for key in _keys(rows.keyed_by):
            marks[f"{name} of {key}"] = rows.row(key).tobytes()
            marks[f"version of {name} of {key}"] = rows.versions[key]
    return marks


def _row_maker(row_of: Callable[[Any], Array], rows: NDArray[np.intp]) -> Callable[[Any], Array]:
    return lambda key: np.array(row_of(key)[rows])


def _keys(keyed_by: str) -> tuple[Any, ...]:
    keys: dict[str, tuple[Any, ...]] = {
        "vantage": tuple(range(VANTAGES)),
        "model": tuple(MODELS_MS),
        "tenant": TENANTS,
    }
    return keys[keyed_by]


def _stir(name: str, values: Array, random: np.random.Generator) -> Array:
    """New values of the same kind: flags stay flags, shares shares, an infinite age may stay."""
    size = values.size
    if name in ("healthy", "resident"):
        return random.random(size) < 0.8
    if name == "error_rate":
        return random.beta(0.5, 4.0, size)
    if values.dtype.kind == "i":
        return np.maximum(values, 1) + random.integers(0, 6, size)
    known = np.isfinite(values)
    base = np.where(known & (values > 0), values, 5.0)
    moved = base * random.lognormal(0.0, 0.6, size)
    if (values == -inf).any():  # an instant: some time ago, or never
        moved = np.maximum(0.0, NOW_S - moved)
    return np.where(~known & (random.random(size) < 0.3), values, moved)
