from math import inf

import pytest
from gateway_plugins.pickers.join_idle_queue import JoinIdleQueue

from gateway.api import Choice, Report


def idle(work, center, in_flight=0, slots=1):
    work.reported(center, Report(0.0, 1.0, in_flight=in_flight, slots=slots))


def test_the_first_idle_center_gets_the_request_and_its_token_is_spent(at_work):
    work = at_work(JoinIdleQueue())
    idle(work, 2)
    idle(work, 1)
    choice = work.pick()
    assert choice == Choice(2, token=2)
    work.chosen(2, choice)
    assert work.pick() == Choice(1, token=1)


def test_an_empty_queue_is_random(at_work):
    work = at_work(JoinIdleQueue())
    assert work.picks(60, total_ms=[1.0, inf, 1.0]) == {0, 2}
    work.chosen(0, work.pick())
    assert work.memory.held == [0, 0, 0]


def test_a_center_that_may_not_be_used_keeps_its_token(at_work):
    work = at_work(JoinIdleQueue())
    idle(work, 0)
    idle(work, 1)
    assert work.pick([inf, 1.0, 1.0]).position == 1
    assert work.memory.queue == [0, 1]


def test_a_busy_center_gives_none_and_one_with_slots_one_each(at_work):
    work = at_work(JoinIdleQueue())
    idle(work, 0, in_flight=1, slots=1)
    for _ in range(5):
        idle(work, 1, in_flight=2, slots=4)
    assert work.memory.queue == [1, 1]


def test_a_ring_takes_its_own_tokens(at_work):
    work = at_work(JoinIdleQueue(ring_ms=1.0))
    idle(work, 2)
    assert work.picks(40, total_ms=[5.0, 5.5, 9.0]) == {0, 1}
    idle(work, 1)
    assert work.picks(20, total_ms=[5.0, 5.5, 9.0]) == {1}


def test_a_ring_has_a_width():
    with pytest.raises(ValueError, match="ring_ms"):
        JoinIdleQueue(ring_ms=0.0)
