"""What a client is told when tries failed, and what the router is told of one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.api import CenterDown, Decision, Query
from gateway.serving.tries import (
    Try,
    budget_spent,
    deadline_error,
    in_a_list,
    nobody_answered,
    silent_error,
    waiting_for,
)


def a_try() -> Try:
    decision = Decision(Query(3, "mlp"), 2, 5.0, 0, 6.0, (), 1.5, token="mine")
    return Try(SimpleNamespace(), decision, 100.0, paid=False)  # type: ignore[arg-type]  # deaf


def test_the_outcome_says_what_was_charged_predicted_and_left_by_the_picker() -> None:
    outcome = a_try().outcome("error", None, "timed_out", 100.25)
    assert (outcome.center, outcome.vantage, outcome.model) == (2, 3, "mlp")
    assert outcome.attempt_ms == pytest.approx(250.0)
    assert (outcome.predicted_ms, outcome.charged_ms, outcome.token) == (5.0, 1.5, "mine")
    assert (outcome.ending, outcome.reason, outcome.now) == ("error", "timed_out", 100.25)


def test_a_closed_try_is_deaf() -> None:
    this = a_try()
    this.open = False
    this.hear(SimpleNamespace())  # type: ignore[arg-type]  # it must not be looked at
    this.on_timer()


def test_the_messages_name_what_to_mend() -> None:
    failures = [in_a_list(CenterDown("center a refused.")), str(silent_error("b", 45.4))]
    message = str(nobody_answered(2, 3, [*failures, budget_spent(12)]))
    assert "center a refused; center b was silent for 45 ms" in message
    assert "2 of 3 attempts" in message
    assert "attempts.retry_budget" in message
    arrival = SimpleNamespace(deadline_s=100.5, arrived_s=100.0)
    waiting = waiting_for(a_try(), "c", 100.4)
    message = str(deadline_error(arrival, failures, waiting))  # type: ignore[arg-type]  # enough
    assert "500.0 ms is spent" in message
    assert "400.0 ms waiting for center c (5.0 predicted)" in message
