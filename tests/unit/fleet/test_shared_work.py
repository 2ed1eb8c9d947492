"""Shared work: several seats see one sum, and what is refunded is gone to the last digit."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Report, Table
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.fleet.shared_work import SharedWork
from gateway.fleet.tuning import WorkTuning
from gateway.fleet.work import wait_ms


def centers_of(n: int, slots: int = 2) -> list[Center]:
    where = Location(30.0, 120.0)
    return [Center(f"c{i}", "r", f"z{i}", "city", "CN", where, slots=slots) for i in range(n)]


class Seats:
    """``seats`` works over one memory."""

    def __init__(self, n: int = 4, seats: int = 2) -> None:
        size = TableSize(n, seats, 1, 1)
        self.shared = SharedTable(memoryview(bytearray(size.bytes)), size)
        self.tables = [Table(centers_of(n)) for _ in range(seats)]
        self.works = [
            SharedWork(table, Random(seat), WorkTuning(), self.shared, seat)
            for seat, table in enumerate(self.tables)
        ]

    def gather(self) -> None:
        for work in self.works:
            work.gather(1.0)


def test_all_seats_see_the_sum_after_a_gathering() -> None:
    seats = Seats(seats=3)
    for seat, work in enumerate(seats.works):
        for _ in range(seat + 1):
            work.charge(1, 2.5)
    seats.gather()
    for table, work in zip(seats.tables, seats.works, strict=True):
        assert table.columns["in_flight"].tolist() == [0, 6, 0, 0]
        assert table.columns["work_ms"][1] == pytest.approx(15.0)
        assert work.in_flight(1) == 6
        assert table.columns["queue_ms"][1] == pytest.approx(wait_ms(15.0, 6, 2), abs=1e-3)


def test_own_writes_are_seen_at_once_on_top_of_the_siblings() -> None:
    seats = Seats()
    mine, other = seats.works
    for _ in range(4):
        other.charge(0, 1.0)
    mine.gather(1.0)
    mine.charge(0, 1.0)
    assert seats.tables[0].columns["in_flight"][0] == 5
    assert seats.tables[0].columns["queue_ms"][0] == pytest.approx(wait_ms(5.0, 5, 2), abs=1e-3)
    mine.refund(0, 1.0)
    assert seats.tables[0].columns["in_flight"][0] == 4
    assert seats.tables[0].columns["work_ms"][0] == pytest.approx(4.0)


def test_rows_are_written_by_their_seat_alone() -> None:
    seats = Seats()
    seats.works[0].charge(2, 0.125)
    seats.gather()
    assert seats.shared["in_flight"].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    assert seats.shared["work_ns"].tolist() == [[0, 0, 125_000, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_after_any_interleaving_every_row_is_exactly_zero(seed: int) -> None:
    random = Random(seed)
    seats = Seats(n=6, seats=3)
    charged: list[list[tuple[int, float]]] = [[], [], []]
    for _ in range(5_000):
        seat = random.randrange(3)
        if charged[seat] and random.random() < 0.5:
            seats.works[seat].refund(*charged[seat].pop(random.randrange(len(charged[seat]))))
        else:
            charge = (random.randrange(6), random.uniform(1e-4, 50.0))
            seats.works[seat].charge(*charge)
            charged[seat].append(charge)
        if random.random() < 0.1:
            seats.works[random.randrange(3)].gather(1.0)
    for seat, rest in enumerate(charged):
        for charge in rest:
            seats.works[seat].refund(*charge)
    assert not seats.shared["work_ns"].any()
    assert not seats.shared["in_flight"].any()
    seats.gather()
    for table in seats.tables:
        assert not table.columns["in_flight"].any()
        assert not table.columns["work_ms"].any()


def test_what_a_sibling_has_there_is_not_foreign() -> None:
    seats = Seats()
    mine, other = seats.works
    mine.charge(0, 1.0)
    for _ in range(3):
        other.charge(0, 1.0)
    mine.reported(0, Report(0.0, 1.0, work_ms=4.0, in_flight=4, slots=2), 1.0)
    assert mine.foreign_ms(0) == 0.0
    assert mine.in_flight(0) == 4  # as the siblings' rows said at that instant
    mine.reported(0, Report(0.0, 1.0, work_ms=6.0, in_flight=6, slots=2), 2.0)
    assert 0.0 < mine.foreign_ms(0) <= 2.0


def test_rows_cleared_for_a_dead_sibling_leave_every_sum() -> None:
    seats = Seats()
    mine, dead = seats.works
    mine.charge(1, 3.0)
    for _ in range(7):
        dead.charge(1, 3.0)
    mine.gather(1.0)
    assert mine.in_flight(1) == 8
    seats.shared.clear_seat(1)
    mine.gather(1.0)
    assert mine.in_flight(1) == 1
    assert mine.own_ms(1) == pytest.approx(3.0)
    mine.refund(1, 3.0)
    assert np.count_nonzero(seats.tables[0].columns["work_ms"]) == 0


def test_nothing_moves_when_nothing_moved() -> None:
    seats = Seats()
    seats.works[1].charge(0, 1.0)
    seats.works[0].gather(1.0)
    before = seats.tables[0].columns["queue_ms"].copy()
    assert not seats.works[0].gather(2.0)
    assert seats.shared["gathered_s"].tolist() == [2.0, 0.0]
    assert np.array_equal(before, seats.tables[0].columns["queue_ms"])


def test_a_gathering_says_whether_anything_moved_here_or_there() -> None:
    mine, other = (seats := Seats()).works
    assert not mine.gather(1.0)
    mine.charge(0, 1.0)
    assert mine.gather(1.0)
    assert not mine.gather(1.0)
    other.charge(3, 1.0)
    assert mine.gather(1.0)
    seats.gather()
    assert not mine.gather(1.0)


def test_the_sum_a_worker_goes_by_can_be_read_by_all() -> None:
    seats = Seats()
    for _ in range(3):
        seats.works[1].charge(2, 1.0)
    seats.gather()
    assert seats.shared["all_in_flight"].tolist() == [[0, 0, 3, 0], [0, 0, 3, 0]]
    assert seats.shared["charges"].tolist() == [0, 3]
    assert seats.tables[0].columns["in_flight"][2] == 3
