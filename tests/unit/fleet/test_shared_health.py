"""Health as one worker goes by it: published, less what it put out itself until it is heard."""

from random import Random

import pytest

from gateway.fleet.shared_endings import Teller, What
from gateway.fleet.shared_health import LOCAL_S_MAX, READ_AGAIN_S, SharedHealth
from gateway.fleet.shared_merge import Merger
from gateway.fleet.shared_table import SharedTable, TableSize

N = 6
PLACES = [(f"r{row}", f"z{row}") for row in range(N)]


class Two:
    """Two workers' health and the merging half, on one clock."""

    def __init__(self) -> None:
        size = TableSize(N, 2, 1, 1)
        self.shared = SharedTable(memoryview(bytearray(size.bytes)), size)
        self.merger = Merger(self.shared, PLACES, Random(1))
        self.mine, self.other = (SharedHealth(PLACES, self.shared, seat) for seat in range(2))

    def round(self, now: float) -> None:
        self.merger.round(now)
        self.mine.refresh(now)
        self.other.refresh(now)


def test_a_refusal_is_out_at_once_here_and_after_a_round_everywhere() -> None:
    two = Two()
    assert two.mine.erred(2, "center_down", 1.0)
    assert two.mine.in_service().tolist() == [1, 1, 0, 1, 1, 1]
    assert two.other.in_service().tolist() == [1] * N
    two.round(1.01)
    assert two.mine.in_service().tolist() == two.other.in_service().tolist()
    assert two.other.in_service()[2] == 0


def test_what_was_heard_rules_again() -> None:
    """In a panic a refusal of one center among many bad ones may be overruled by the others."""
    two = Two()
    two.mine.erred(2, "center_down", 1.0)
    two.round(1.01)
    assert two.mine.in_service()[2] == 0
    while two.shared["probe_asked"][2] == 0:
        two.round(3.0)
    Teller(two.shared, 0)  # seats keep their rings
    two.mine.probed(2, 3.0, alive=True)
    two.round(3.01)
    assert two.mine.in_service()[2] == 1


def test_a_connection_that_is_back_is_probed_before_its_penalty_is_over() -> None:
    two = Two()
    two.mine.erred(2, "center_down", 1.0)
    two.round(1.01)
    two.round(1.1)
    assert two.shared["probe_asked"][2] == 0
    two.mine.reached(2, 1.1)
    two.round(1.11)
    assert two.shared["probe_asked"][2] == 1


def test_one_error_ejects_nobody() -> None:
    two = Two()
    assert not two.mine.erred(1, "center_failed", 1.0)
    two.round(1.01)
    assert two.mine.in_service()[1] == 1
    assert two.mine.troubled[1] == two.other.troubled[1] == 1
    assert two.other.conditions[1].error_rate > 0.0


def test_answers_heal_whoever_had_the_errors() -> None:
    two = Two()
    two.mine.erred(1, "center_failed", 1.0)
    two.round(1.01)
    for number in range(200):
        two.other.answered(1, 1.02)
        if number % 50 == 49:
            two.round(1.02 + number / 1e3)
    assert two.merger.condition(1).cusum == 0.0
    assert two.mine.troubled[1] == two.other.troubled[1] == 0
    assert two.mine.conditions[1].error_rate == 0.0


def test_a_returning_center_gets_one_request_a_worker_and_round() -> None:
    two = Two()
    two.mine.erred(3, "center_down", 1.0)
    two.round(1.01)
    while two.shared["probe_asked"][3] == 0:
        two.round(3.0)
    two.mine.probed(3, 3.0, alive=True)
    two.round(3.01)
    assert 3 in two.mine.on_trial
    assert two.mine.in_service()[3] == two.other.in_service()[3] == 1
    assert two.mine.charged(3)
    assert two.mine.in_service()[3] == 0  # for this worker at once
    two.round(3.02)
    assert two.other.in_service()[3] == 0  # for the others after a round
    two.mine.answered(3, 3.03)
    two.round(3.03)
    assert two.mine.in_service()[3] == two.other.in_service()[3] == 1  # the next round: two


def test_nobody_listens_and_the_local_ejection_ends_by_itself() -> None:
    two = Two()
    two.mine.erred(2, "center_down", 1.0)
    two.mine.refresh(1.0 + 0.9 * LOCAL_S_MAX)
    assert two.mine.in_service()[2] == 0
    assert two.mine.refresh(1.1 + LOCAL_S_MAX)
    assert two.mine.in_service()[2] == 1


def test_one_worker_is_asked_to_probe() -> None:
    two = Two()
    two.merger.let_probe(1)
    two.mine.erred(2, "center_down", 1.0)
    now = 1.0
    while two.shared["probe_asked"][2] == 0:
        now += 0.1
        two.round(now)
    assert two.mine.due(now) == []
    assert two.other.due(now) == [2]
    assert two.other.due(now) == []  # once


def test_a_worker_shows_the_version_it_goes_by() -> None:
    two = Two()
    version = two.merger.drain(4, draining=True)
    assert not two.merger.has_seen(0, version)
    two.mine.refresh(1.0)
    assert two.merger.has_seen(0, version)
    assert two.mine.in_service()[4] == 0


def test_a_silence_without_patience_is_no_error() -> None:
    two = Two()
    assert not two.mine.silent(1, 0.0, 1.0)
    two.round(1.01)
    assert two.mine.troubled[1] == 0


def test_the_columns_are_read_again_even_if_no_version_came() -> None:
    two = Two()
    two.round(1.0)
    two.shared["healthy"][5] = 0  # as if the version had been seen before the value
    two.mine.refresh(1.0 + 0.5 * READ_AGAIN_S)
    assert two.mine.in_service()[5] == 1
    two.mine.refresh(1.0 + 1.5 * READ_AGAIN_S)
    assert two.mine.in_service()[5] == 0


def test_a_worker_does_not_drain_alone() -> None:
    with pytest.raises(ValueError, match="admin door"):
        Two().mine.drain(1, draining=True)


def test_events_are_told_as_what_they_are() -> None:
    two = Two()
    two.mine.erred(0, "timed_out", 1.0)
    two.mine.silent(1, 0.5, 1.0)
    two.mine.unjudged(2)
    two.mine.answered(3, 1.0)
    two.mine.probed(4, 1.0, alive=False)
    heard = [(told.what, told.center) for told in two.merger._listeners[0].hear()]
    assert heard == [
        (What.ERRED, 0),
        (What.SILENT, 1),
        (What.UNJUDGED, 2),
        (What.ANSWERED, 3),
        (What.PROBED_DEAD, 4),
    ]


def test_in_a_panic_nobody_on_trial_is_put_out_here() -> None:
    """Else a fleet that fell silent as a whole would refuse requests on its way back."""
    two = Two()
    for center in range(N):
        for _ in range(3):
            two.mine.silent(center, 1.0, 1.0)
    two.round(1.01)
    assert two.mine.in_service().all()
    for center in range(N):
        two.mine.probed(center, 1.1, alive=True)
    two.round(1.11)
    assert two.mine.on_trial == set(range(N))
    for center in range(N):
        assert not two.mine.charged(center)
        assert not two.mine.erred(center, "center_failed", 1.12)
    assert two.mine.in_service().all()
    assert two.mine.erred(0, "center_down", 1.13)
    assert two.mine.in_service().tolist() == [0] + [1] * (N - 1)
