from math import inf

import pytest
from gateway_plugins.pickers.two_choices_least_request import TwoChoicesLeastRequest


def test_the_less_loaded_of_two_whatever_the_sums_say(at_work):
    work = at_work(TwoChoicesLeastRequest(), [5, 1, 3])
    assert TwoChoicesLeastRequest().sample == 2
    assert work.pick([1.0, 99.0], candidates=[0, 2]).position == 1
    assert work.pick([1.0, 99.0], candidates=[1, 2]).position == 0
    assert work.pick([1.0, 99.0], candidates=[1, 1]).position == 0, "the first wins a tie"


def test_one_left_is_taken(at_work):
    assert at_work(TwoChoicesLeastRequest()).pick([1.0], candidates=[2]).position == 0
    assert at_work(TwoChoicesLeastRequest(ring_ms=1.0)).picks(5, total_ms=[inf, 1.0, inf]) == {1}


def test_a_ring_is_drawn_from(at_work):
    work = at_work(TwoChoicesLeastRequest(ring_ms=1.0), [3, 2, 0, 3])
    picks = [work.pick([5.0, 5.5, 7.0, 5.2]) for _ in range(60)]
    assert {choice.position for choice in picks} == {0, 1, 3}
    assert all(len(set(choice.looked_at)) == 2 for choice in picks)
    loads = work.table.columns["in_flight"]
    assert all(loads[c.position] == min(loads[list(c.looked_at)]) for c in picks)


@pytest.mark.parametrize("parameters", [{"choice_count": 1}, {"ring_ms": 0.0}])
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        TwoChoicesLeastRequest(**parameters)
