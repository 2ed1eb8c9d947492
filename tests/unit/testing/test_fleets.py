from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np

from gateway.api import Column
from gateway.testing.fleets import (
    MODELS_MS,
    fingerprint,
    queries,
    shipped_table,
    stirred,
    table_of_rows,
)


def test_the_shipped_fleet_has_the_standard_columns_and_those_asked_for() -> None:
    table = shipped_table({"mine.at": Column("f8", initial=-inf)})
    assert len(table) == 88
    assert {"healthy", "queue_ms", "speed", "mine.at"} <= set(table.columns)
    assert {"rtt_ms", "service_ms", "service_spread", "resident"} == set(table.row_tables)
    assert all(table.row_tables["resident"].row(model).all() for model in MODELS_MS)


def test_stirring_is_seeded_and_keeps_quantities_what_they_are() -> None:
    column = {"mine.at": Column("f8", initial=-inf)}
    one, same = stirred(shipped_table(column), 1), stirred(shipped_table(column), 1)
    other = stirred(shipped_table(column), 2)
    assert fingerprint(one) == fingerprint(same)
    assert fingerprint(one) != fingerprint(other)
    assert set(one.columns["healthy"]) == {0, 1}
    assert (one.columns["slots"] >= 1).all()
    assert ((one.columns["error_rate"] >= 0) & (one.columns["error_rate"] <= 1)).all()
    never = one.columns["mine.at"] == -inf
    assert never.any()
    assert not never.all()
    assert not any(np.isnan(column).any() for column in one.columns.values())


def test_rows_in_any_order_and_number() -> None:
    table = stirred(shipped_table(), 1)
    order = [5, 2, 5]
    other = table_of_rows(table, order)
    assert len({center.id for center in other.centers}) == 3
    assert other.centers[1] == table.centers[2]
    for name, column in table.columns.items():
        assert other.columns[name].tolist() == column[order].tolist()
        assert not np.shares_memory(other.columns[name], column)
    row = table.row_tables["rtt_ms"].row(1)
    assert other.row_tables["rtt_ms"].row(1).tolist() == row[order].tolist()


def test_a_fingerprint_tells_of_every_write() -> None:
    table = stirred(shipped_table(), 1)
    seen = [fingerprint(table)]
    table.columns["speed"][7] += 1
    seen.append(fingerprint(table))
    table.touch("speed")
    seen.append(fingerprint(table))
    table.row_tables["service_ms"].row("grid-load")[3] += 1
    seen.append(fingerprint(table))
    table.epoch += 1
    seen.append(fingerprint(table))
    assert all(a != b for a, b in pairwise(seen))


def test_queries_differ_in_every_field() -> None:
    for field in ("vantage", "model", "tenant", "deadline_ms", "body_bytes", "session"):
        assert len({getattr(query, field) for query in queries()}) > 1
