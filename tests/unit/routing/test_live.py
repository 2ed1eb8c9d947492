from __future__ import annotations

import numpy as np
import pytest

from gateway.api import Centers, ConfigError
from gateway.routing.components import Asked
from gateway.routing.guard import Budget, Guard
from gateway.routing.live import LiveColumns


@pytest.fixture
def table(world):
    return world.standard_table([[1.0, 2.0]], [1.0, 1.0])


def live_of(table, plugin):
    guard = Guard("scorer", "queue", Budget(lambda: 0.0, 0.05, 5.0))
    return LiveColumns(table, [Asked(plugin, guard, Centers(table, plugin.reads))])


def test_the_column_itself_is_read(world, table):
    live = live_of(table, world.queue())
    table.columns["queue_ms"][1] = 4.0
    assert live.columns[0] is table.columns["queue_ms"]
    assert live.views[0][1] == 4.0


def test_a_copy_is_refused(world, table):
    copies = world.Charges(lambda q, c: c["queue_ms"] + 1, (), ("queue_ms",), live=True)
    with pytest.raises(ConfigError, match="not a copy"):
        live_of(table, copies)


def test_a_scorer_that_needs_the_query_is_refused(world, table):
    asks = world.Charges(lambda q, c: c[q.model], (), ("queue_ms",), live=True)
    with pytest.raises(ConfigError, match="raised"):
        live_of(table, asks)


def test_a_broken_column_counts_as_zeros_until_it_is_whole(world, table):
    live = live_of(table, world.queue())
    assert live.mend() is False
    table.columns["queue_ms"][:] = [2.0, -1.0]
    assert live.mend() is True
    assert live.columns[0].tolist() == [0.0, 0.0]
    assert "-1.0 ms for center 1" in live.notes[0]
    assert live.mend() is False, "known already"
    table.columns["queue_ms"][:] = [2.0, np.inf]
    assert live.mend() is True
    assert live.columns[0].tolist() == [2.0, np.inf]
    assert live.notes == ()
