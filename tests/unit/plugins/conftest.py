"""Tables to show to a plugin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from gateway.api import Center, Centers, Location, Query, Table


@pytest.fixture
def table() -> Table:
    """Three centers in three regions with the standard columns."""
    regions = ["cn-north-4", "cn-east-3", "eu-west-101"]
    here = Location(0.0, 0.0)
    table = Table([Center(f"{r}a", r, f"{r}a", "x", "CN", here) for r in regions])
    table.add_column("healthy", "i4", 1)[1] = 0
    table.add_column("queue_ms", "f4")[:] = [0.5, 1.5, 2.5]
    table.add_column("surcharge_file.ms", "f4")[:] = [0, 50, 0]
    table.add_row_table("rtt_ms", "vantage", lambda v: np.array([v, 2, 3], np.float32))
    table.add_row_table("service_ms", "model", lambda m: np.array([1, 1, len(m)], np.float32))
    table.add_row_table("resident", "model", lambda m: np.array([1, 0, 1], np.int32))
    return table


@pytest.fixture
def ask(table: Table) -> Callable[..., Sequence[float]]:
    """A function: plugin -> its answer as a list, for vantage 7, model "model", a tenant."""

    def answer(plugin, tenant="t"):
        centers = Centers(table, plugin.reads)
        method = plugin.keep if hasattr(plugin, "keep") else plugin.ms
        query = Query(7, "model", tenant)
        return method(query, centers.bind(query), 0.0).tolist()

    return answer
