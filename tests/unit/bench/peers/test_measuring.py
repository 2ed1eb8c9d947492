"""Disturbances: what is said of a machine that does something else."""

from __future__ import annotations

from bench.peers.cpu import CoreTimes
from bench.peers.measuring import Layout, Load, Spin, disturbances


def test_a_quiet_machine_has_none() -> None:
    assert disturbances(CoreTimes(2.02, 0.0), 2.0, 4.0, 1.0) == ()


def test_strangers_are_what_the_cores_did_beyond_the_measurement() -> None:
    assert disturbances(CoreTimes(3.0, 0.0), 2.0, 4.0, 1.0) == ("strangers 25%",)


def test_ticks_that_say_less_than_was_measured_are_no_stranger() -> None:
    assert disturbances(CoreTimes(1.9, 0.0), 2.0, 4.0, 1.0) == ()


def test_steal_and_a_slow_core_are_told() -> None:
    assert disturbances(CoreTimes(2.0, 0.2), 2.0, 4.0, 1.3) == ("steal 5%", "core 1.30 x slower")


def test_a_fixed_piece_of_work_is_compared_with_its_best() -> None:
    spin = Spin()
    assert spin.slowness(frozenset()) == 1.0
    assert spin.slowness(frozenset()) >= 1.0


def test_the_peer_has_a_core_of_its_own_where_there_are_two() -> None:
    layout = Layout.of_this_machine()
    assert len(layout.peer) == 1
    assert layout.others
    assert layout.others == layout.peer or not layout.others & layout.peer


def test_loads_in_words() -> None:
    assert str(Load(1, one_core=True)) == "1 connection, one core"
    assert str(Load(16)) == "16 connections"
