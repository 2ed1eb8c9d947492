"""Rounds: who is measured under what, and what is measured again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.peers.arms import ARMS, Arm
from bench.peers.measuring import Cell, Load
from bench.peers.rounds import SLOW_ROUNDS, Found, Plan, quietest, takes_part

MadeCells = Callable[..., list[Cell]]


def arm(name: str) -> Arm:
    """The arm of that name."""
    return next(one for one in ARMS if one.name == name)


def plan(*names: str, connections: tuple[int, ...] = (1, 16, 64), one_core: bool = True) -> Plan:
    """A plan of five rounds."""
    return Plan([arm(name) for name in names], connections, 5, 3, one_core)


def test_a_proxy_meets_every_load_and_one_core() -> None:
    loads = list(plan("nginx").loads("nginx", arm("nginx")))
    assert loads == [Load(1), Load(16), Load(64), Load(1, one_core=True)]


def test_a_second_row_and_a_center_meet_the_middle_load() -> None:
    ours, framed = arm("nearway"), arm("nearway over frames")
    asked = plan("nearway")
    assert list(asked.loads("nearway, deadline in the body", ours)) == [Load(16)]
    assert list(asked.loads("nearway over frames, JSON", framed)) == [Load(16)]
    other = plan("nearway", connections=(8, 32))
    assert list(other.loads("nearway, deadline in the body", ours)) == [Load(8)]


def test_slow_arms_take_part_in_the_first_rounds() -> None:
    assert takes_part(arm("LiteLLM"), SLOW_ROUNDS - 1)
    assert not takes_part(arm("LiteLLM"), SLOW_ROUNDS)
    assert takes_part(arm("nginx"), 99)


def test_cells_are_counted_and_timed() -> None:
    asked = plan("nginx", "LiteLLM", one_core=False)
    assert asked.cells() == 5 * 3 + SLOW_ROUNDS * 3
    assert asked.about_s(4.0) > asked.about_s(2.0) > asked.cells() * 2.0


def test_every_arm_by_default_takes_less_than_twenty_minutes() -> None:
    whole = Plan([a for a in ARMS if a.name != "Portkey"], (1, 16, 64), 5, 3, one_core=True)
    assert whole.about_s(2.0) + 4 * 60 < 20 * 60


@pytest.fixture
def turns(made_cells: MadeCells) -> Callable[..., Callable[[], Cell]]:
    """Something to be measured that is disturbed in the ways given, in turn."""

    def make(*disturbances: tuple[str, ...]) -> Callable[[], Cell]:
        (cell,) = made_cells("nginx", 12.0, rounds=1)
        cells = iter([replace(cell, disturbances=ways) for ways in disturbances])
        return lambda: next(cells)

    return make


def test_a_quiet_cell_is_measured_once(turns: Callable[..., Callable[[], Cell]]) -> None:
    found = Found(spare=5)
    assert quietest(turns(()), 3, found).tries == 1
    assert found.spare == 5


def test_a_disturbed_cell_is_measured_until_it_is_quiet(
    turns: Callable[..., Callable[[], Cell]],
) -> None:
    found = Found(spare=5)
    cell = quietest(turns(("steal",), (), ("steal",)), 3, found)
    assert (cell.disturbances, cell.tries, found.spare) == ((), 2, 4)


def test_the_least_disturbed_counts_when_none_is_quiet(
    turns: Callable[..., Callable[[], Cell]],
) -> None:
    cell = quietest(turns(("a", "b"), ("a",), ("a", "b")), 3, Found(spare=5))
    assert (cell.disturbances, cell.tries) == (("a",), 3)


def test_a_run_has_only_so_many_spare_tries(turns: Callable[..., Callable[[], Cell]]) -> None:
    cell = quietest(turns(("a",), ("a",)), 3, Found(spare=1))
    assert cell.tries == 2
    assert quietest(turns(("a",)), 3, Found(spare=0)).tries == 1


def test_an_arm_is_given_up_at_its_second_failure() -> None:
    found = Found(failures={"nginx": ["port taken"], "Envoy": ["not ready", "refused"]})
    assert found.dropped() == {"Envoy": "refused"}
