from math import inf

import pytest
from gateway_plugins.scorers.carbon import Carbon


def test_grams_at_their_rate(ask, table):
    table.add_column("carbon_file.g_per_kwh", "f4")[:] = [600.0, 50.0, 0.0]
    assert ask(Carbon(ms_per_100_g=5.0)) == pytest.approx([30.0, 2.5, 0.0])


@pytest.mark.parametrize("rate", [-1.0, inf, float("nan")])
def test_a_rate_is_not_negative(rate):
    with pytest.raises(ValueError, match="ms_per_100_g"):
        Carbon(ms_per_100_g=rate)
