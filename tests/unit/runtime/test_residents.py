"""Which models are where: the fleet is told in the same call."""

from __future__ import annotations

from random import Random

import numpy as np

from gateway.api import Center, Location, Table
from gateway.fleet import Fleet
from gateway.runtime.residents import Residents

CENTERS = tuple(Center(n, n, "z", n, "CN", Location(30.0, 120.0)) for n in ("a", "b"))


def test_models_come_go_and_are_known_once() -> None:
    table = Table(CENTERS)
    fleet = Fleet(table, rtt_prior=lambda _: np.full(2, 5.0, dtype=np.float32), random=Random(1))
    new: list[str] = []
    residents = Residents(fleet, 2, new.append)
    residents.told("m", 1, True, 3.0)
    residents.told("m", 0, True, 4.0)
    assert new == ["m"]
    assert residents.by_model == {"m": (3.0, {0, 1})}
    assert table.row_tables["resident"].row("m").tolist() == [1, 1]
    assert table.row_tables["service_ms"].row("m").tolist() == [3.0, 3.0]
    assert residents.at(0) == {"m": 3.0}
    residents.told("m", 0, False, 0.0)
    assert residents.at(0) == {}
    residents.told("m", 1, False, 0.0)
    assert residents.by_model == {}
    residents.told("m", 1, True, 3.0)
    assert new == ["m"]
    residents.cold("m", (1,), 250.0, 3.0)
    assert new == ["m"]
    residents.cold("m", (1,), 0.0, 3.0)  # it has been loaded, maybe with another config
    assert new == ["m", "m"]


def test_a_load_that_is_needed_is_part_of_what_is_predicted_until_it_is_done() -> None:
    table = Table(CENTERS)
    fleet = Fleet(table, rtt_prior=lambda _: np.full(2, 5.0, dtype=np.float32), random=Random(1))
    residents = Residents(fleet, 2, lambda _: None)
    for row in (0, 1):
        residents.told("m", row, True, 5.0)
        residents.cold("m", (row,), 250.0, 5.0)
    service_ms = table.row_tables["service_ms"]
    assert service_ms.row("m").tolist() == [255.0, 255.0]
    residents.cold("m", (1,), 0.0, 0.5)
    assert service_ms.row("m").tolist() == [250.5, 0.5]
    assert residents.by_model["m"] == (0.5, {0, 1})
    assert residents.cold_at == {("m", 0): 250.0}
    residents.cold("m", (0,), 0.0, 0.75)
    assert service_ms.row("m").tolist() == [0.75, 0.75]
