from __future__ import annotations

from math import inf
from typing import Any

import pytest

from gateway.api import Decision, Query
from gateway.simulation.attempt_rules import AttemptRules
from gateway.simulation.scenario import AttemptsPlan

OUT = 9


class Knows:
    """A router that knows how long attempts take, and that one center is out."""

    def quantile_ms(self, decision: Decision, q: float) -> float:
        return 10.0

    def in_service(self, center: int) -> bool:
        return center != OUT


def decision(runner_up_ms: float = 5.0) -> Decision:
    return Decision(Query(0, "m"), 0, 4.0, 1, runner_up_ms, (), 0.0)


def rules(**plan: Any) -> AttemptRules:
    return AttemptRules(AttemptsPlan(**plan), Knows())  # type: ignore[arg-type]  # a stand-in


def test_an_attempt_is_given_three_times_what_it_may_take() -> None:
    assert rules().patience_s(decision(), 0, 0, 9.0) == pytest.approx(0.030)
    assert rules(timeout_ms=50.0).patience_s(decision(), 0, 0, 9.0) == pytest.approx(0.050)


def test_the_last_attempt_has_all_that_is_left() -> None:
    assert rules().patience_s(decision(), 0, 2, 9.0) == pytest.approx(9.0)


def test_each_time_it_was_cut_off_a_request_is_waited_for_longer() -> None:
    it = rules()
    it.cut_off(7)
    assert it.patience_s(decision(), 7, 1, 9.0) == pytest.approx(0.120)
    assert it.patience_s(decision(), 8, 1, 9.0) == pytest.approx(0.030)
    it.ended(7)
    assert it.patience_s(decision(), 7, 1, 9.0) == pytest.approx(0.030)


def test_no_more_attempts_than_allowed_and_none_without_time() -> None:
    it = rules()
    assert it.may_retry(decision(), 2, 1.0)
    assert not it.may_retry(decision(), 3, 1.0)
    assert not it.may_retry(decision(), 1, 0.001)
    assert it.may_retry(decision(inf), 1, 0.001)


def test_retries_are_paid_from_a_budget_and_give_back_their_place() -> None:
    it = rules(retries_min=1, retry_budget=0.0)
    assert it.pay(7, 0)
    assert not it.may_pay(0)
    assert not it.pay(8, 0)
    it.closed(8)
    assert not it.may_pay(0)
    it.closed(7)
    assert it.may_pay(0)


def test_leaving_a_center_that_is_out_needs_no_budget() -> None:
    it = rules(retries_min=1, retry_budget=0.0)
    assert it.pay(7, OUT)
    assert it.pay(8, OUT)
    it.closed(7)
    assert it.pay(9, 0)
    assert not it.may_pay(0)
    assert it.may_pay(OUT)


def test_the_budget_grows_with_what_is_in_flight() -> None:
    it = rules(retries_min=0)
    assert not it.may_pay(0)
    it.in_flight = 5
    assert it.may_pay(0)
