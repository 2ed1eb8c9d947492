from math import inf

import pytest
from gateway_plugins.pickers.round_robin import RoundRobin


def turns(work, count, total_ms):
    taken = []
    for _ in range(count):
        center = work.pick(total_ms).position
        work.chosen(center)
        taken.append(center)
    return taken


def test_the_eligible_take_turns(at_work):
    work = at_work(RoundRobin(), [0] * 4)
    work.memory.last = 3
    assert turns(work, 5, [1.0, 9.0, inf, 1.0]) == [0, 1, 3, 0, 1]


def test_the_turn_moves_with_the_choice_not_with_the_question(at_work):
    work = at_work(RoundRobin())
    first = work.pick().position
    assert work.pick().position == first
    work.chosen(first)
    assert work.pick().position == (first + 1) % 3


def test_gateways_begin_at_places_of_their_own(at_work):
    from random import Random

    begins = {RoundRobin().memory(50, Random(seed)).last for seed in range(20)}
    assert len(begins) > 10


def test_a_ring_has_its_own_round(at_work):
    work = at_work(RoundRobin(ring_ms=1.0), [0] * 4)
    work.memory.last = 3
    assert turns(work, 4, [9.0, 2.0, 2.5, 8.0]) == [1, 2, 1, 2]


def test_a_ring_has_a_width():
    with pytest.raises(ValueError, match="ring_ms"):
        RoundRobin(ring_ms=0.0)
