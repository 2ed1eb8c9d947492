"""A bucket of tokens: full at first, refilled by time and by what was earned, never over full."""

from __future__ import annotations

from gateway.serving.grpc_door.http2.budget import Budget


def test_as_many_at_once_as_there_are() -> None:
    budget = Budget(3.0, 1.0, 0.0)
    assert [budget.spend(0.0) for _ in range(4)] == [True, True, True, False]


def test_time_refills_it_up_to_its_bound() -> None:
    budget = Budget(2.0, 10.0, 0.0)
    assert budget.spend(0.0)
    assert budget.spend(0.0)
    assert budget.spend(0.1)
    assert not budget.spend(0.1)
    assert [budget.spend(1000.0) for _ in range(3)] == [True, True, False]


def test_what_was_earned_counts_too() -> None:
    budget = Budget(1.0, 0.0, 0.0)
    assert all(budget.spend(0.0, earned=1) for _ in range(100))
    assert not budget.spend(0.0)
