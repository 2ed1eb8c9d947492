import numpy as np
import pytest
from gateway_plugins.filters.data_residency import DataResidency

from gateway.api import Center, Centers, Location, Query, Table

COUNTRIES = ("CN", "DE", "FR")


def kept(plugin, tenant):
    here = Location(0.0, 0.0)
    table = Table([Center(c.lower(), c, c, "x", c, here) for c in COUNTRIES])
    mask = plugin.keep(Query(0, "m", tenant), Centers(table, plugin.reads), 0.0)
    assert mask.dtype == np.bool_
    return [country for country, keep in zip(COUNTRIES, mask, strict=True) if keep]


def test_a_tenants_own_countries():
    plugin = DataResidency({"hospital": ("DE",), "shop": ("DE", "FR")})
    assert kept(plugin, "hospital") == ["DE"]
    assert kept(plugin, "shop") == ["DE", "FR"]
    assert kept(plugin, "anonymous") == list(COUNTRIES)


def test_everybody_else():
    plugin = DataResidency({"hospital": ("DE",)}, everybody_else=("CN", "FR"))
    assert kept(plugin, "anonymous") == ["CN", "FR"]
    assert kept(plugin, "hospital") == ["DE"], "its own list, not both"


def test_it_fails_closed():
    assert not DataResidency.advisory


@pytest.mark.parametrize("code", ["de", "DEU", "", "D1"])
def test_a_country_is_a_two_letter_code(code):
    with pytest.raises(ValueError, match="two-letter"):
        DataResidency({"t": (code,)})
    with pytest.raises(ValueError, match="two-letter"):
        DataResidency(everybody_else=(code,))


def test_an_empty_list_is_a_mistake_not_a_permission():
    with pytest.raises(ValueError, match=r"tenants\.t = \[\]"):
        DataResidency({"t": ()})
