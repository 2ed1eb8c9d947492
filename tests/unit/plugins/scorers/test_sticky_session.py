from collections import Counter
from math import inf

import numpy as np
import pytest
from gateway_plugins.scorers.sticky_session import ORDER_MAX, StickySession

from gateway.api import Center, Centers, Location, Query, Table


class Fleet:
    """Centers that are healthy and have the model, until told otherwise."""

    def __init__(self, ids):
        here = Location(0.0, 0.0)
        self.ids = list(ids)
        self.table = Table([Center(name, "r", "z", "x", "CN", here) for name in self.ids])
        self.healthy = self.table.add_column("healthy", "i4", 1)
        self.resident = np.ones(len(self.ids), np.int32)
        self.table.add_row_table("resident", "model", lambda m: self.resident)

    def home(self, plugin, session):
        """The id of the only center that is free; None when all are charged."""
        query = Query(0, "m", session=session)
        view = Centers(self.table, plugin.reads).bind(query)
        charge_ms = plugin.ms(query, view, 0.0)
        assert charge_ms.dtype == np.float32
        free = [name for name, ms in zip(self.ids, charge_ms, strict=True) if ms == 0.0]
        assert len(free) <= 1
        assert set(charge_ms.tolist()) <= {0.0, plugin.off_home_ms}
        return free[0] if free else None


IDS = [f"c{place}" for place in range(20)]
SESSIONS = [f"s{place}" for place in range(400)]


def test_the_home_follows_from_the_ids_alone():
    plugin, other = StickySession(8.0), StickySession(8.0)
    fleet, turned = Fleet(IDS), Fleet(reversed(IDS))
    homes = [fleet.home(plugin, session) for session in SESSIONS]
    assert homes == [turned.home(other, session) for session in SESSIONS]
    assert homes == [fleet.home(plugin, session) for session in SESSIONS], "from its memory"


def test_sessions_are_spread():
    plugin, fleet = StickySession(8.0), Fleet(IDS)
    homes = Counter(fleet.home(plugin, session) for session in SESSIONS)
    assert len(homes) == len(IDS)
    assert max(homes.values()) < 3 * len(SESSIONS) / len(IDS)


def test_when_a_center_leaves_only_its_sessions_move():
    plugin, fleet, smaller = StickySession(8.0), Fleet(IDS), Fleet(IDS[:-1])
    before = {session: fleet.home(plugin, session) for session in SESSIONS}
    after = {session: smaller.home(plugin, session) for session in SESSIONS}
    moved = {session for session in SESSIONS if before[session] != after[session]}
    assert moved == {session for session in SESSIONS if before[session] == IDS[-1]}


@pytest.mark.parametrize("column", ["healthy", "resident"])
def test_while_a_home_is_out_the_next_in_order_is_the_home(column):
    plugin, fleet = StickySession(8.0), Fleet(IDS)
    first = fleet.home(plugin, "s")
    getattr(fleet, column)[IDS.index(first)] = 0
    second = fleet.home(plugin, "s")
    assert second not in (first, None)
    getattr(fleet, column)[IDS.index(first)] = 1
    assert fleet.home(plugin, "s") == first


def test_with_all_its_homes_out_a_session_has_none():
    plugin, fleet = StickySession(8.0), Fleet(IDS)
    for _ in range(ORDER_MAX):
        fleet.healthy[IDS.index(fleet.home(plugin, "s"))] = 0
    assert fleet.home(plugin, "s") is None


def test_without_a_session_nobody_is_charged():
    plugin, fleet = StickySession(8.0), Fleet(IDS)
    query = Query(0, "m")
    charge_ms = plugin.ms(query, Centers(fleet.table, plugin.reads).bind(query), 0.0)
    assert charge_ms.tolist() == [0.0] * len(IDS)


def test_what_it_remembers_is_bounded_and_changes_nothing():
    plugin, fleet = StickySession(8.0, remember=10), Fleet(IDS)
    homes = [fleet.home(plugin, session) for session in SESSIONS]
    assert homes == [fleet.home(StickySession(8.0), session) for session in SESSIONS]
    assert len(plugin._orders.known) == 10


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"off_home_ms": -1.0}, "off_home_ms"),
        ({"off_home_ms": inf}, "off_home_ms"),
        ({"off_home_ms": 1.0, "remember": 0}, "remember"),
    ],
)
def test_bad_parameters_are_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        StickySession(**parameters)
