"""Fleets at seats of one table, on a virtual clock: they see one queue and one health."""

from random import Random

import numpy as np
import pytest

from gateway.api import Center, Decision, Location, Outcome, Query, Report, Table
from gateway.fleet.shared_fleet import SharedFleet
from gateway.fleet.shared_merge import MERGE_S, Merger
from gateway.fleet.shared_table import SharedTable, TableSize

N = 5


class Seat:
    """One worker's fleet, and the requests it has under way."""

    def __init__(self, shared: SharedTable, number: int) -> None:
        where = Location(30.0, 120.0)
        self.table = Table(
            [Center(f"c{i}", f"r{i}", f"z{i}", f"city{i}", "CN", where) for i in range(N)]
        )
        self.fleet = SharedFleet(
            self.table,
            rtt_prior=lambda _: np.full(N, 6.0, np.float32),
            random=Random(number),
            shared=shared,
            seat=number,
        )
        self.fleet.add_model("m", 2.0, np.ones(N, dtype=bool))
        self.table.row_tables["rtt_ms"].row(0)
        self.under_way: list[Decision] = []

    def choose(self, center: int, now: float) -> None:
        if now >= self.fleet.tick_at:
            self.fleet.tick(now)
        decision = Decision(Query(0, "m"), center, 8.0, -1, float("inf"), (), 0.0)
        self.fleet.charge(decision, now)
        self.under_way.append(decision)

    def end(self, now: float, reason: str = "", which: int = 0) -> None:
        decision = self.under_way.pop(which)
        report = None if reason else Report(0.5, 2.0)
        self.fleet.ended(
            Outcome(
                decision.center,
                0,
                "m",
                "error" if reason else "answer",
                8.0,
                report,
                decision.predicted_ms,
                decision.charged_ms,
                now,
                reason,
            )
        )

    def column(self, name: str) -> list[float]:
        return self.table.columns[name].tolist()


def workers(count: int = 2) -> tuple[SharedTable, Merger, list[Seat]]:
    size = TableSize(N, count, 1, 16)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    merger = Merger(shared, [(f"r{i}", f"z{i}") for i in range(N)], Random(1))
    return shared, merger, [Seat(shared, number) for number in range(count)]


def test_the_queue_a_worker_decides_on_holds_what_the_other_chose() -> None:
    _, _, (mine, other) = workers()
    for _ in range(8):
        other.choose(3, 1.0)
    mine.fleet.tick(1.001)
    assert mine.column("in_flight") == [0, 0, 0, 8, 0]
    assert mine.column("queue_ms")[3] > mine.column("queue_ms")[0] + 2.0


@pytest.mark.parametrize("seed", range(4))
def test_after_the_load_stops_every_row_is_exactly_zero(seed: int) -> None:
    random = Random(seed)
    shared, merger, seats = workers(3)
    now = 1.0
    for _ in range(4_000):
        now += random.expovariate(2_000.0)
        seat = random.choice(seats)
        if random.random() < 0.5 or not seat.under_way:
            seat.choose(random.randrange(N), now)
        else:
            reason = random.choice(["", "", "", "center_failed", "timed_out", "center_busy"])
            seat.end(now, reason, which=random.randrange(len(seat.under_way)))
        if random.random() < 0.05:
            merger.round(now)
    for seat in seats:
        while seat.under_way:
            seat.end(now)
    assert not shared["in_flight"].any()
    assert not shared["work_ns"].any()
    for seat in seats:
        seat.fleet.tick(now + 1.0)
        assert not any(seat.column("in_flight"))
        assert not any(seat.column("work_ms"))


def test_both_sums_differ_by_no_more_than_what_the_last_ticks_started() -> None:
    random = Random(3)
    _, _, (mine, other) = workers()
    now, starts = 1.0, []
    for _ in range(3_000):
        now += random.expovariate(4_000.0)
        seat = random.choice([mine, other])
        if random.random() < 0.5 or not seat.under_way:
            seat.choose(random.randrange(N), now)
        else:
            seat.end(now)
        starts.append(now)
        for each in (mine, other):
            if now >= each.fleet.tick_at:
                each.fleet.tick(now)
        recent = sum(1 for start in starts[-50:] if start > now - 0.002)
        apart = np.abs(np.subtract(mine.column("in_flight"), other.column("in_flight"))).sum()
        assert apart <= recent


def test_a_dead_workers_requests_leave_the_others_sums() -> None:
    shared, merger, (mine, dead) = workers()
    for _ in range(6):
        dead.choose(2, 1.0)
    mine.choose(2, 1.01)
    assert mine.column("in_flight")[2] == 7
    merger.seat_left(1)
    mine.fleet.tick(1.02)
    assert mine.column("in_flight")[2] == 1
    mine.end(1.03)
    assert not shared["in_flight"].any()


def test_health_is_one_for_all_and_bumps_the_epoch() -> None:
    _, merger, (mine, other) = workers()
    mine.choose(1, 1.0)
    before = mine.table.epoch, other.table.epoch
    mine.end(1.01, "center_down")
    assert mine.column("healthy")[1] == 0
    assert mine.table.epoch > before[0]
    assert other.column("healthy")[1] == 1
    merger.round(1.01 + MERGE_S)
    other.fleet.tick(1.03)
    assert other.column("healthy")[1] == 0
    assert other.table.epoch > before[1]


def test_errors_the_other_had_show_in_the_column_without_a_new_epoch() -> None:
    _, merger, (mine, other) = workers()
    mine.choose(1, 1.0)
    mine.end(1.01, "center_failed")
    merger.round(1.02)
    epoch = other.table.epoch
    mine.fleet.tick(1.03)
    other.fleet.tick(1.03)
    assert other.column("error_rate")[1] == pytest.approx(mine.column("error_rate")[1])
    assert other.column("error_rate")[1] > 0.0
    assert other.table.epoch == epoch


def test_a_worker_that_begins_later_goes_by_what_is_published() -> None:
    shared, merger, (mine, _) = workers()
    merger.drain(2, draining=True)
    mine.choose(1, 1.0)
    mine.end(1.01, "center_down")
    merger.round(1.02)
    merger.seat_left(1)
    successor = Seat(shared, 1)
    assert successor.column("healthy") == [1, 0, 0, 1, 1]
    assert successor.column("error_rate")[1] > 0.0
    merger.drain(2, draining=False)
    successor.fleet.tick(1.05)
    assert successor.column("healthy") == [1, 0, 1, 1, 1]


def test_what_one_learned_sharpens_the_other() -> None:
    _, merger, (mine, other) = workers()
    for step in range(20):
        mine.choose(4, 1.0 + step / 100)
        mine.end(1.0 + step / 100)  # 8.0 in all, of which 0.5 queue, 2.0 service
    for now in (1.3, 1.4):
        mine.fleet.tick(now)
        merger.round(now)
        other.fleet.tick(now)
    rtt = other.table.row_tables["rtt_ms"].row(0)
    assert rtt[4] == pytest.approx(5.5, abs=0.2)


def test_a_table_of_another_fleet_is_refused() -> None:
    size = TableSize(N + 1, 1, 1, 1)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    with pytest.raises(ValueError, match="same fleet file"):
        Seat(shared, 0)
