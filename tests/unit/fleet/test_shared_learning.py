"""Learning together: the others' samples count where they have more, one's own where not."""

from math import exp, log
from random import Random

import numpy as np
import pytest

from gateway.api import Center, Location, Table
from gateway.fleet.network import Network
from gateway.fleet.service import Service
from gateway.fleet.shared_learning import SharedLearning
from gateway.fleet.shared_merge import Merger
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.fleet.tuning import FleetTuning

N, VANTAGES = 4, 2
SETTINGS = FleetTuning()


class Learner:
    """The estimators of one worker at a seat."""

    def __init__(self, shared: SharedTable, seat: int) -> None:
        where = Location(30.0, 120.0)
        self.table = Table(
            [Center(f"c{i}", f"r{i}", "z", f"city{i}", "CN", where) for i in range(N)]
        )
        self.network = Network(self.table, lambda _: np.full(N, 10.0, np.float32), SETTINGS)
        self.service = Service(self.table, SETTINGS)
        self.service.add_model("m", 2.0)
        self.learning = SharedLearning(shared, seat, self.network, self.service, SETTINGS)

    def learn(self, center: int, rtt_ms: float, service_ms: float, now: float, times: int) -> None:
        for step in range(times):
            self.network.learn(0, center, rtt_ms, now + step * 0.002)
            self.service.learn("m", center, service_ms, now + step * 0.002)
            self.learning.answered.append((0, center, "m"))

    def rtt(self, center: int) -> float:
        return float(self.table.row_tables["rtt_ms"].row(0)[center])

    def service_ms(self, center: int) -> float:
        return float(self.table.row_tables["service_ms"].row("m")[center])


def learners() -> tuple[Merger, Learner, Learner]:
    size = TableSize(N, 2, VANTAGES, 16)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    merger = Merger(shared, [(f"r{i}", "z") for i in range(N)], Random(1))
    return merger, Learner(shared, 0), Learner(shared, 1)


def share(merger: Merger, *learners: Learner, now: float) -> None:
    for learner in learners:
        learner.learning.share(now)
    merger.round(now)
    for learner in learners:
        learner.learning.share(now)


def test_a_path_one_worker_measured_is_known_to_the_other() -> None:
    merger, mine, other = learners()
    mine.learn(1, 3.0, 2.0, 1.0, times=5)
    share(merger, mine, other, now=1.1)
    assert other.rtt(1) == pytest.approx(mine.rtt(1), abs=0.05)
    assert other.rtt(2) == pytest.approx(8.5)  # nobody measured it: the prior stands
    assert mine.network.measured(0, 1)[1] == 5
    assert other.network.measured(0, 1)[1] == 0  # what was taken over has no weight of its own


def test_a_successor_begins_with_what_its_predecessor_learned() -> None:
    merger, mine, _ = learners()
    for center in range(N):
        mine.learn(center, 3.0, 6.0, 1.0, times=60)
    for step in range(40):
        mine.service.settle(1.1 + step / 10)
    share(merger, mine, now=5.2)
    merger.seat_left(0)
    successor = Learner(merger._shared, 0)
    share(merger, successor, now=5.3)
    assert successor.rtt(1) == pytest.approx(mine.rtt(1), abs=0.05)
    assert successor.service_ms(1) == pytest.approx(mine.service_ms(1), rel=0.1)


def test_who_knows_more_keeps_his_own() -> None:
    merger, mine, other = learners()
    mine.learn(1, 3.0, 2.0, 1.0, times=40)
    other.learn(1, 6.0, 2.0, 1.0, times=4)
    before = mine.rtt(1)
    share(merger, mine, other, now=1.1)
    assert mine.rtt(1) == before
    assert before < other.rtt(1) < 4.0


def test_two_who_know_the_same_agree_after_some_rounds() -> None:
    merger, mine, other = learners()
    for turn in range(30):
        now = 1.0 + turn / 10
        mine.learn(1, 3.0, 2.0, now, times=2)
        other.learn(1, 3.2, 2.0, now, times=2)
        share(merger, mine, other, now=now + 0.05)
    assert mine.rtt(1) == pytest.approx(3.1, abs=0.2)
    assert other.rtt(1) == pytest.approx(3.1, abs=0.2)


def test_a_path_that_turned_slow_is_avoided_by_who_never_used_it_again() -> None:
    merger, mine, other = learners()
    for learner in (mine, other):
        learner.learn(1, 3.0, 2.0, 1.0, times=20)
    share(merger, mine, other, now=1.2)
    mine.learn(1, 30.0, 2.0, 1.3, times=30)
    share(merger, mine, other, now=1.4)
    assert mine.rtt(1) == pytest.approx(30.0, abs=1.0)
    assert other.rtt(1) > 10.0
    assert other.network.slow_paths(1) == 1  # and it will look again by itself


def test_a_slow_center_is_known_to_all() -> None:
    merger, mine, other = learners()
    for center in range(N):
        mine.learn(center, 3.0, 8.0 if center == 2 else 2.0, 1.0, times=60)
    for step in range(2):
        mine.service.settle(1.1 + step / 10)
    share(merger, mine, other, now=1.25)
    assert mine.service_ms(2) > 6.0
    assert other.service_ms(2) == pytest.approx(mine.service_ms(2), rel=0.1)
    assert other.service_ms(1) == pytest.approx(2.0, rel=0.1)


def test_a_models_wrong_profile_is_known_to_all() -> None:
    merger, mine, other = learners()
    for center in range(N):
        mine.learn(center, 3.0, 6.0, 1.0, times=60)
    for step in range(40):
        mine.service.settle(1.1 + step / 10)
    share(merger, mine, other, now=5.2)
    assert mine.service.factor_of("m")[0] == pytest.approx(log(3.0), abs=0.1)
    assert other.service.factor_of("m")[0] == pytest.approx(log(3.0), abs=0.15)
    for center in range(N):
        assert other.service_ms(center) == pytest.approx(mine.service_ms(center), rel=0.1)


def test_vantages_beyond_the_table_stay_a_workers_own() -> None:
    merger, mine, other = learners()
    mine.network.learn(VANTAGES, 1, 3.0, 1.0)
    mine.learning.answered.append((VANTAGES, 1, "m"))
    share(merger, mine, other, now=1.1)
    assert other.network.measured(VANTAGES, 1) == (0.0, 0)


def test_of_two_models_in_one_place_the_later_is_not_shared() -> None:
    size = TableSize(N, 1, 1, 1)  # one place for all models
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    learner = Learner(shared, 0)
    learner.service.add_model("n", 1.0)
    for name in ("m", "n"):
        learner.service.learn(name, 0, 2.0, 1.0)
        learner.learning.answered.append((0, 0, name))
        learner.learning.share(1.0)
    assert shared["model_answers"].tolist() == [[1]]


def test_an_offered_path_is_not_overwritten() -> None:
    merger, mine, other = learners()
    mine.learn(1, 3.0, 2.0, 1.0, times=20)
    other.learn(1, 3.0, 2.0, 1.0, times=20)
    other.learn(1, 30.0, 2.0, 1.2, times=20)
    other.network.offer_due(10.0)
    assert (0, 1) in other.network.offers
    offered = other.rtt(1)
    share(merger, mine, other, now=10.1)
    assert other.rtt(1) == offered


def test_factors_multiply_as_logs_add() -> None:
    merger, mine, other = learners()
    mine.learn(0, 3.0, 2.0 * exp(0.2), 1.0, times=100)
    for step in range(100):
        mine.service.settle(1.1 + step / 10)
    share(merger, mine, other, now=11.2)
    assert other.service_ms(0) == pytest.approx(mine.service_ms(0), rel=0.05)
