"""Which centers can be broken on purpose, and what is said of those that cannot."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.api import InvalidRequest
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.local import LocalCenter
from gateway.runtime.fault_takers import takers


def port(kind: type[Any] | None, name: str) -> Any:
    """An object of that class that was never set up; None: a center elsewhere."""
    made = SimpleNamespace() if kind is None else object.__new__(kind)
    made.center = SimpleNamespace(id=name)
    return made


PORTS = [port(EmulatedCenter, "emulated"), port(LocalCenter, "local"), port(None, "far")]


def test_an_emulated_center_takes_every_fault() -> None:
    assert takers(PORTS, [0], "delay", "emulated") == [0]
    assert takers(PORTS, [0], "down", "emulated") == [0]


def test_of_a_region_those_that_can() -> None:
    assert takers(PORTS, [0, 1, 2], "down", "r") == [0, 1]
    assert takers(PORTS, [0, 1, 2], "loss", "r") == [0]


def test_a_center_elsewhere_is_refused_and_the_others_are_named() -> None:
    with pytest.raises(InvalidRequest, match=r"'far'.*another process.*emulated, local"):
        takers(PORTS, [2], "down", "far")


def test_without_a_path_there_is_no_delay() -> None:
    with pytest.raises(InvalidRequest, match=r"'local'.*path is not emulated.*emulated"):
        takers(PORTS, [1], "delay", "local")


def test_where_nobody_can_it_says_so() -> None:
    with pytest.raises(InvalidRequest, match="no center of this process"):
        takers(PORTS[2:], [0], "down", "far")
