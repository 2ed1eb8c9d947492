from __future__ import annotations

from gateway.centers.language.ways import EmulatedWay, NoWay
from gateway.testing import VirtualTime


def test_half_of_the_round_trip_each_way_for_every_part() -> None:
    time = VirtualTime()
    began_s = time.now()
    way, heard = EmulatedWay(time, 10.0), []  # type: ignore[arg-type]  # as much of a line as it uses
    way.out(lambda: heard.append(("there", time.now() - began_s)))
    time.run(began_s + 0.006)
    for name in "abc":
        way.back(lambda name=name: heard.append((name, time.now() - began_s)))  # type: ignore[misc]
    time.run(began_s + 0.1)
    assert [name for name, _ in heard] == ["there", "a", "b", "c"]
    assert abs(heard[0][1] - 0.005) < 1e-9
    assert all(0.0109 < at_s < 0.0111 for _, at_s in heard[1:])
    assert way.drawn_ms == 10.0


def test_without_a_network_it_is_there_in_the_next_turn() -> None:
    soon: list[object] = []
    way, heard = NoWay(soon.append), []
    way.out(lambda: heard.append("there"))
    assert heard == []
    assert len(soon) == 1
    way.back(lambda: heard.append("back"))
    assert heard == ["back"]
    assert way.drawn_ms is None
