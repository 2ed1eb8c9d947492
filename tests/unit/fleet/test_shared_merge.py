"""The merging half: health is decided once, estimates are joined, a seat that was left is clear."""

from random import Random

import numpy as np
import pytest

from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.shared_cells import CellsWriter
from gateway.fleet.shared_endings import Teller, What
from gateway.fleet.shared_merge import Merger
from gateway.fleet.shared_table import SharedTable, TableSize, model_place

N, SEATS, VANTAGES, MODELS = 6, 2, 3, 16
PLACES = [(f"r{row}", f"z{row}") for row in range(N)]


def made() -> tuple[SharedTable, Merger]:
    size = TableSize(N, SEATS, VANTAGES, MODELS)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    return shared, Merger(shared, PLACES, Random(1))


def test_a_fresh_table_says_that_everybody_is_healthy() -> None:
    shared, merger = made()
    assert shared["healthy"].tolist() == [1] * N
    assert merger.version == 1
    merger.round(0.0)
    assert merger.version == 1  # nothing moved


def test_one_refusal_told_by_one_worker_ejects_for_all() -> None:
    shared, merger = made()
    Teller(shared, 1).tell(What.ERRED, 4, "center_down")
    merger.round(1.0)
    assert shared["healthy"].tolist() == [1, 1, 1, 1, 0, 1]
    assert shared["troubled"][4] == 1
    assert merger.condition(4).stage == "ejected"


def test_silences_of_two_workers_add_up() -> None:
    shared, merger = made()
    tellers = [Teller(shared, seat) for seat in range(SEATS)]
    for number in range(2):
        tellers[number % 2].tell(What.SILENT, 0, proof=1.0)
    merger.round(1.0)
    assert shared["healthy"][0] == 1
    tellers[0].tell(What.SILENT, 0, proof=1.0)
    merger.round(1.01)
    assert shared["healthy"][0] == 0


def test_acknowledged_means_published() -> None:
    shared, merger = made()
    teller = Teller(shared, 0)
    told = teller.tell(What.ERRED, 2, "center_down")
    assert teller.heard < told
    merger.round(1.0)
    assert teller.heard == told
    assert shared["healthy"][2] == 0


def returning(shared: SharedTable, merger: Merger) -> float:
    """Center 3 is refused, probed and half open; returns the time."""
    Teller(shared, 0).tell(What.ERRED, 3, "center_down")
    merger.round(1.0)
    now = 1.0
    while shared["probe_asked"][3] == 0:
        now += 0.1
        merger.round(now)
    Teller(shared, 0).tell(What.PROBED_ALIVE, 3)
    merger.round(now)
    assert shared["on_trial"][3] == 1
    assert shared["healthy"][3] == 1
    return now


def test_an_ejected_center_is_probed_and_comes_back_by_rounds() -> None:
    shared, merger = made()
    now = returning(shared, merger)
    teller = Teller(shared, 1)
    for _ in range(1 + 2 + 4 + 8):
        teller.tell(What.CHARGED, 3)
        merger.round(now)
        teller.tell(What.ANSWERED, 3)
        merger.round(now)
    assert merger.condition(3).stage == "ok"
    assert shared["on_trial"][3] == 0


def test_a_trial_request_that_died_with_its_worker_is_owed_again() -> None:
    shared, merger = made()
    now = returning(shared, merger)
    Teller(shared, 1).tell(What.CHARGED, 3)
    merger.round(now)
    assert shared["healthy"][3] == 0  # one at a time
    merger.seat_left(1)
    assert shared["healthy"][3] == 1


def test_only_the_workers_own_word_ends_its_trial_request() -> None:
    shared, merger = made()
    now = returning(shared, merger)
    Teller(shared, 1).tell(What.CHARGED, 3)
    Teller(shared, 1).tell(What.UNJUDGED, 3)
    merger.round(now)
    merger.seat_left(1)
    assert merger.condition(3).waiting == 0
    assert shared["healthy"][3] == 1


def test_a_seat_that_was_left_holds_nothing() -> None:
    shared, merger = made()
    for name in ("work_ns", "in_flight", "rtt_samples", "pace_answers"):
        shared[name][1] = 5
    merger.seat_left(1)
    for name in ("work_ns", "in_flight", "rtt_samples", "pace_answers"):
        assert not shared[name][1].any(), name
    Teller(shared, 1).tell(What.ERRED, 5, "center_down")
    merger.round(2.0)
    assert shared["healthy"][5] == 0  # its successor is heard


def test_draining_is_published_at_once_and_seen_when_a_worker_says_so() -> None:
    shared, merger = made()
    version = merger.drain(2, draining=True)
    assert shared["healthy"][2] == 0
    assert not merger.has_seen(0, version)
    shared["health_seen"][0] = version
    assert merger.has_seen(0, version)
    assert merger.drain(2, draining=False) == version + 1
    assert shared["healthy"][2] == 1


def tell_rtt(
    shared: SharedTable, seat: int, vantage: int, center: int, ms: float, samples: int
) -> None:
    shared["rtt_ms"][seat, vantage, center] = ms
    shared["rtt_samples"][seat, vantage, center] += samples
    CellsWriter(shared["paths_told"][seat], shared["paths_told_count"][seat : seat + 1]).add(
        np.array([vantage * N + center])
    )


def test_round_trips_are_joined_by_weight_and_only_where_they_moved() -> None:
    shared, merger = made()
    tell_rtt(shared, 0, 1, 2, 4.0, samples=3)
    tell_rtt(shared, 1, 1, 2, 8.0, samples=1)
    merger.round(1.0)
    assert shared["rtt_merged"][1, 2] == pytest.approx(5.0)
    assert shared["rtt_known"][1, 2] == pytest.approx(4.0)
    assert shared["rtt_recent"][:, 1, 2].tolist() == [3.0, 1.0]
    assert shared["paths_merged"][: shared["paths_merged_count"][0]].tolist() == [1 * N + 2]
    assert np.count_nonzero(shared["rtt_known"]) == 1
    merger.round(1.01)
    assert shared["paths_merged_count"][0] == 1


def test_who_stopped_measuring_stops_counting() -> None:
    shared, merger = made()
    tell_rtt(shared, 0, 0, 0, 4.0, samples=100)
    merger.round(1.0)
    tell_rtt(shared, 1, 0, 0, 9.0, samples=10)
    merger.round(301.0)
    assert shared["rtt_merged"][0, 0] == pytest.approx(9.0)


def test_paces_and_factors_are_joined_by_answers() -> None:
    shared, merger = made()
    place, key = model_place("m", MODELS)
    for seat, (log_factor, answers) in enumerate([(0.2, 30), (0.6, 10)]):
        shared["pace"][seat, 1] = log_factor
        shared["pace_answers"][seat, 1] = answers
        shared["model_key"][seat, place] = key
        shared["model_factor"][seat, place] = log_factor
        shared["model_answers"][seat, place] = answers
    merger.round(1.0)
    assert shared["pace_merged"][1] == pytest.approx(0.3)
    assert shared["factor_merged"][place] == pytest.approx(0.3)
    assert shared["merged_key"][place] == key


def test_two_models_in_one_place_are_not_joined() -> None:
    shared, merger = made()
    for seat, (key, log_factor) in enumerate([(5, 0.1), (9, 0.9)]):
        shared["model_key"][seat, 3] = key
        shared["model_factor"][seat, 3] = log_factor
        shared["model_answers"][seat, 3] = 10
    merger.round(1.0)
    assert shared["merged_key"][3] == 9
    assert shared["factor_merged"][3] == pytest.approx(0.9)


def test_what_was_learned_is_carried_over() -> None:
    shared, merger = made()
    tell_rtt(shared, 0, 1, 2, 4.0, samples=3)
    merger.round(1.0)
    fresh, successor = made()
    moved = KeptRows(np.array([2]), np.array([0]))  # the others are gone
    successor.carry_over(shared, moved, 2)
    assert fresh["rtt_merged"][1, 0] == pytest.approx(4.0)
    assert fresh["rtt_known"][1, 0] == pytest.approx(3.0)
    assert not fresh["rtt_merged"][:, 1:].any()
    assert not fresh["rtt_recent"].any()
    other, successor = made()
    successor.carry_over(shared, moved, 1)  # the second vantage is another place now
    assert not other["rtt_merged"].any()


def test_a_word_about_a_center_that_is_none_is_passed_over() -> None:
    shared, merger = made()
    Teller(shared, 0).tell(What.ERRED, N + 7, "center_down")
    merger.round(1.0)
    assert shared["healthy"].tolist() == [1] * N
