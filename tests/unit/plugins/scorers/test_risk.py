from random import Random

import numpy as np
import pytest
from gateway_plugins.scorers.risk import Risk

from gateway.api import Center, Centers, Location, Query, Table
from gateway.fleet import Fleet


def fleet_of_two() -> tuple[Table, Fleet]:
    places = [
        Center(f"c{i}", "r", f"z{i}", "city", "CN", Location(30.0, 120.0), speed_factor=1.0 + i)
        for i in range(2)
    ]
    table = Table(places)
    prior = np.ones(2, dtype=np.float32)
    fleet = Fleet(table, rtt_prior=lambda _: prior, random=Random(1))
    fleet.add_model("m", 2.0, np.ones(2, dtype=bool))
    return table, fleet


def test_the_slower_center_is_the_greater_risk() -> None:
    table, _ = fleet_of_two()
    centers = Centers(table, Risk.reads).bind(Query(0, "m"))
    assert Risk().ms(Query(0, "m"), centers, 0.0).tolist() == [0.0, 0.0]
    table.row_tables["service_spread"].rows["m"].fill(0.5)
    assert Risk(kappa=1.0).ms(Query(0, "m"), centers, 0.0).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kappa", [-0.1, float("nan"), float("inf")])
def test_kappa_is_a_number_not_below_zero(kappa: float) -> None:
    with pytest.raises(ValueError, match="kappa"):
        Risk(kappa=kappa)
