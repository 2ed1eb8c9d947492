import pytest
from gateway_plugins.scorers.tenant_priority import TenantPriority

from gateway.api import Center, Centers, Location, Query, Table


def charged(plugin, tenant, in_flight=(0, 0, 0)):
    """Two core centers and one at the edge, four slots each."""
    here = Location(0.0, 0.0)
    table = Table([Center(f"c{row}", "r", "z", "x", "CN", here, core=row < 2) for row in range(3)])
    table.add_column("slots", "i4", 4)
    table.add_column("in_flight", "i4")[:] = in_flight
    query = Query(0, "m", tenant)
    return plugin.ms(query, Centers(table, plugin.reads).bind(query), 0.0).tolist()


def test_the_last_slots_of_core_centers_cost_the_others():
    plugin = TenantPriority(("hospital",), reserved_slots=1, surcharge_ms=15.0)
    assert charged(plugin, "shop", (2, 3, 4)) == [0.0, 15.0, 0.0]
    assert charged(plugin, "shop", (9, 2, 9)) == [15.0, 0.0, 0.0]
    assert charged(plugin, "hospital", (9, 9, 9)) == [0.0] * 3


def test_all_centers_may_keep_slots():
    plugin = TenantPriority(("hospital",), reserved_slots=2, at="all")
    assert charged(plugin, "shop", (1, 2, 4)) == [0.0, 20.0, 20.0]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"first": ()}, "first is empty"),
        ({"first": ("a",), "reserved_slots": -1}, "reserved_slots"),
        ({"first": ("a",), "surcharge_ms": -1.0}, "surcharge_ms"),
    ],
)
def test_bad_parameters_are_refused(parameters, said):
    with pytest.raises(ValueError, match=said):
        TenantPriority(**parameters)
