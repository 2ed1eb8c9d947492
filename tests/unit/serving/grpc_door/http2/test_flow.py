"""Windows: what was told is held, and room is told of again by halves."""

from __future__ import annotations

from gateway.serving.grpc_door.http2.flow import Inflow, Outflow
from gateway.serving.grpc_door.http2.frames import WINDOW_MAX


def test_a_peer_may_send_what_it_was_told_and_no_more() -> None:
    window = Inflow(100)
    assert window.take(100)
    assert not window.take(1)


def test_room_is_told_of_when_half_is_free_and_is_all_of_it() -> None:
    window = Inflow(100)
    window.take(60)
    assert [window.free(50), window.free(1), window.free(9)] == [0, 51, 0]
    assert window.left == 91


def test_freed_room_is_never_more_than_was_taken() -> None:
    window, told = Inflow(1000), 0
    for size in range(1, 300):
        assert window.take(size)
        told += window.free(size)
        assert window.left + 500 >= 1000 - size
    assert told <= sum(range(1, 300))


def test_a_window_may_shrink_below_nothing_and_not_grow_beyond_its_bound() -> None:
    window = Outflow(10)
    assert window.widen(-20)
    assert window.left == -10
    assert window.widen(WINDOW_MAX + 10)
    assert not window.widen(1)
