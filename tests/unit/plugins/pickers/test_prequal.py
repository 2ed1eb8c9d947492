from math import inf
from random import Random

import pytest
from gateway_plugins.pickers.prequal import Prequal

from gateway.api import Report


def answered(work, center, rif, latency_ms, now=0.0):
    work.reported(center, Report(0.0, 0.0, in_flight=rif, latency_ms=latency_ms), now)


def probed(work, *answers, now=0.0):
    for center, (rif, latency_ms) in enumerate(answers):
        answered(work, center, rif, latency_ms, now)


def keeping(**parameters):
    """Nothing is removed and every answer may be used often."""
    return Prequal(r_remove=0.0, reuse=100.0, **parameters)


def test_the_fastest_of_the_cold(at_work):
    work = at_work(keeping(q_rif=0.5), [0] * 4)
    probed(work, (1, 9.0), (2, 3.0), (7, 1.0), (9, 1.0))
    assert work.pick().position == 1, "RIF 7 and 9 are above the median, 2"


def test_if_all_that_may_be_used_are_hot_the_least_in_flight(at_work):
    work = at_work(keeping(q_rif=0.5), [0] * 4)
    probed(work, (1, 9.0), (2, 3.0), (7, 5.0), (9, 1.0))
    assert work.pick([inf, inf, 1.0, 1.0]).position == 2


@pytest.mark.parametrize("answers", [[], [(0, 1.0)]])
def test_with_fewer_than_two_answers_any_eligible_center(at_work, answers):
    work = at_work(keeping())
    probed(work, *answers)
    assert work.picks(60, total_ms=[1.0, inf, 1.0]) == {0, 2}


def test_an_answer_is_too_old_after_a_second(at_work):
    work = at_work(keeping(age_s=1.0))
    probed(work, (0, 1.0), (0, 2.0), (0, 3.0), now=5.0)
    assert work.picks(9, now=6.0) == {0}
    assert work.picks(60, now=6.001) == {0, 1, 2}
    work.chosen(0, now=6.001)
    assert not work.memory.answers


def test_being_chosen_adds_to_the_rif_and_takes_a_use(at_work):
    work = at_work(Prequal(r_remove=0.0, reuse=2.0))
    probed(work, (0, 1.0), (0, 2.0), (3, 3.0))
    work.chosen(0)
    assert (work.memory.answers[0].rif, work.memory.answers[0].uses) == (1, 1)
    work.chosen(0)
    assert 0 not in work.memory.answers


def test_it_removes_the_oldest_and_the_worst_in_turn(at_work):
    work = at_work(Prequal(r_remove=1.0, reuse=100.0, q_rif=0.5), [0] * 6)
    probed(work, (1, 1.0), (1, 9.0), (8, 1.0), (9, 1.0), (1, 3.0), (1, 2.0))
    removed = []
    for _ in range(5):
        before = set(work.memory.answers)
        work.chosen(5)
        removed += before - set(work.memory.answers)
    assert removed == [0, 3, 1, 2, 4], "oldest, most in flight of the hot, oldest, hot, oldest"


def test_the_newest_answer_of_a_center_stands_and_the_pool_is_bounded(at_work):
    work = at_work(keeping(pool=2))
    probed(work, (0, 1.0), (0, 2.0))
    answered(work, 0, 5, 7.0)
    assert work.memory.answers[0].rif == 5
    answered(work, 2, 0, 1.0)
    assert list(work.memory.answers) == [0, 2], "1 was the oldest"


def test_a_report_with_an_answer_to_a_request_is_no_probe(at_work):
    work = at_work(Prequal())
    work.reported(0, Report(0.0, 2.0, in_flight=1))
    assert not work.memory.answers


def test_hot_is_told_from_the_last_rifs_only(at_work):
    work = at_work(keeping(rifs=3, q_rif=1.0))
    probed(work, (50, 1.0), (1, 1.0), (2, 1.0))
    answered(work, 0, 3, 1.0)
    assert work.memory.by_size == [1, 2, 3]


@pytest.mark.parametrize(
    ("centers", "parameters", "uses"),
    [
        (100, {}, 2 / (0.84 * 3 - 1)),
        (1000, {}, max(1.0, 2 / (0.984 * 3 - 1))),
        (100, {"r_probe": 1.0, "r_remove": 0.25}, 2 / (0.84 - 0.25)),
        (24, {}, 16.0),
        (8, {"reuse_max": 5.0}, 5.0),
        (100, {"r_probe": 9.0}, 1.0),
        (100, {"reuse": 3.0}, 3.0),
    ],
)
def test_the_reuse_budget(centers, parameters, uses):
    assert Prequal(**parameters).memory(centers, Random(1)).uses == pytest.approx(uses)


def test_a_broken_budget_is_rounded_at_random(at_work):
    work = at_work(Prequal(reuse=1.25, r_remove=0.0))
    uses = []
    for _ in range(400):
        answered(work, 0, 0, 1.0)
        uses.append(work.memory.answers[0].uses)
    assert set(uses) == {1, 2}
    assert sum(uses) / 400 == pytest.approx(1.25, abs=0.08)


def test_probes_go_to_different_centers_that_could_have_been_chosen(at_work):
    work = at_work(Prequal(), [0] * 6)
    work.chosen(0, work.pick([1.0, inf, 1.0, 1.0, 1.0, inf]))
    asked = [work.picker.probes(0.0, work.random, {}, work.memory) for _ in range(50)]
    assert all(len(set(rows)) == 3 for rows in asked)
    assert {row for rows in asked for row in rows} == {0, 2, 3, 4}
    work.chosen(0, work.pick([1.0, inf, 1.0, inf, inf, inf]))
    assert sorted(work.picker.probes(0.0, work.random, {}, work.memory)) == [0, 2]


def test_a_ring_adds_the_modelled_way(at_work):
    work = at_work(keeping(ring_ms=2.0))
    probed(work, (0, 3.0), (0, 1.5), (0, 0.1))
    assert work.pick([5.0, 6.0, 30.0]).position == 1
    choice = work.pick([5.0, 6.9, 30.0])
    assert (choice.position, choice.token) == (0, [0, 1])


@pytest.mark.parametrize(
    "parameters",
    [
        {"r_probe": -1.0},
        {"r_remove": -1.0},
        {"delta": 0.0},
        {"age_s": 0.0},
        {"pool": 1},
        {"rifs": 0},
        {"q_rif": 1.1},
        {"reuse": 0.5},
        {"reuse_max": 0.0},
        {"ring_ms": 0.0},
    ],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        Prequal(**parameters)
