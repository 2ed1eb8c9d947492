"""The ring of endings: what is told is heard, in order, once; a full one drops and counts."""

import pytest

from gateway.fleet.shared_endings import REASONS, Listener, Teller, Told, What
from gateway.fleet.shared_table import RING, SharedTable, TableSize


def ring(seats: int = 1) -> SharedTable:
    size = TableSize(3, seats, 1, 1)
    return SharedTable(memoryview(bytearray(size.bytes)), size)


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_told_is_heard(reason: str) -> None:
    shared = ring()
    Teller(shared, 0).tell(What.ERRED, 70_000, reason, 0.25)
    (told,) = Listener(shared, 0).hear()
    assert (told.what, told.center, told.reason) == (What.ERRED, 70_000, reason)
    assert told.proof == pytest.approx(0.25, abs=1e-4)


def test_a_reason_nobody_knows_is_an_error_of_the_center() -> None:
    shared = ring()
    Teller(shared, 0).tell(What.ERRED, 1, "of_a_plugin")
    assert [told.reason for told in Listener(shared, 0).hear()] == ["center_failed"]


def test_order_is_kept_over_many_turns_of_the_ring() -> None:
    shared = ring()
    teller, listener = Teller(shared, 0), Listener(shared, 0)
    heard: list[int] = []
    for number in range(3 * RING):
        teller.tell(What.ANSWERED, number % 1000)
        if number % 1000 == 999:
            heard += [told.center for told in listener.hear()]
            listener.acknowledge()
    heard += [told.center for told in listener.hear()]
    assert heard == [number % 1000 for number in range(3 * RING)]


def test_heard_follows_acknowledging_not_hearing() -> None:
    shared = ring()
    teller, listener = Teller(shared, 0), Listener(shared, 0)
    told = teller.tell(What.CHARGED, 2)
    assert list(listener.hear()) == [Told(What.CHARGED, 2, "center_failed", 0.0)]
    assert teller.heard < told
    listener.acknowledge()
    assert teller.heard == told


def test_a_full_ring_drops_what_is_new_and_counts_it() -> None:
    shared = ring()
    teller, listener = Teller(shared, 0), Listener(shared, 0)
    for number in range(RING + 5):
        teller.tell(What.ANSWERED, number)
    assert teller.dropped == 5
    assert [told.center for told in listener.hear()] == list(range(RING))
    listener.acknowledge()
    teller.tell(What.ANSWERED, 77)
    assert [told.center for told in listener.hear()] == [77]


def test_a_word_that_is_none_is_passed_over() -> None:
    shared = ring()
    shared["told"][0, 0] = 200 << 55
    shared["told_count"][0] = 1
    assert list(Listener(shared, 0).hear()) == []


def test_a_cleared_seat_begins_anew() -> None:
    shared = ring()
    teller, listener = Teller(shared, 0), Listener(shared, 0)
    teller.tell(What.ANSWERED, 1)
    list(listener.hear())
    listener.acknowledge()
    shared.clear_seat(0)
    listener.forget()
    Teller(shared, 0).tell(What.SILENT, 2, proof=1.0)
    assert [told.center for told in listener.hear()] == [2]
