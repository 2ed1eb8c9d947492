"""The rules of attempts in a run: those of the live exchange, with a budget a gateway.

How long an attempt may take, whether another follows and what that costs are the pure
functions of ``gateway.routing.attempts``; here they meet a scenario's numbers.
"""

from __future__ import annotations

from math import inf

from gateway.api import Decision
from gateway.routing import Router
from gateway.routing.attempts import QUANTILE, RetryBudget, attempt_timeout_ms, may_retry
from gateway.simulation.scenario import AttemptsPlan


class AttemptRules:
    """One gateway's rules. ``in_flight`` counts its requests under way."""

    __slots__ = (
        "_budget",
        "_in_service",
        "_max",
        "_paid",
        "_quantile_ms",
        "_timeout_ms",
        "_timeouts",
        "in_flight",
    )

    def __init__(self, plan: AttemptsPlan, router: Router) -> None:
        self._max = plan.max
        self._timeout_ms = plan.timeout_ms
        self._budget = RetryBudget(plan.retry_budget, plan.retries_min)
        self._quantile_ms = router.quantile_ms
        self._in_service = router.in_service
        self._timeouts: dict[int, int] = {}
        self._paid: set[int] = set()
        self.in_flight = 0

    def patience_s(self, decision: Decision, request: int, attempt: int, left_s: float) -> float:
        """How long this attempt is waited for."""
        return (
            attempt_timeout_ms(
                left_s * 1e3,
                decision.runner_up_ms if attempt + 1 < self._max else inf,
                self._quantile_ms(decision, QUANTILE),
                floor_ms=self._timeout_ms,
                timeouts=self._timeouts.get(request, 0) if attempt else 0,
            )
            / 1e3
        )

    def may_pay(self, center: int) -> bool:
        """Whether a retry would be paid, or need not be; if not, this attempt is not cut off."""
        return self._budget.room(self.in_flight) or not self._in_service(center)

    def cut_off(self, request: int) -> None:
        """An attempt of this request was given up for its silence."""
        self._timeouts[request] = self._timeouts.get(request, 0) + 1

    def may_retry(self, failed: Decision, tries: int, left_s: float) -> bool:
        """Whether the rules allow another attempt; its price is asked for by ``pay``."""
        another_ms = failed.runner_up_ms
        return may_retry(
            another_may_help=True,
            bytes_sent=False,
            tries=tries,
            tries_max=self._max,
            remaining_ms=left_s * 1e3,
            predicted_ms=0.0 if another_ms == inf else another_ms,
        )

    def pay(self, request: int, center: int) -> bool:
        """Pay for a retry after ``center`` failed; False: the budget is spent."""
        if not self._in_service(center):
            return True
        if not self._budget.take(self.in_flight):
            return False
        self._paid.add(request)
        return True

    def closed(self, request: int) -> None:
        """A retry of this request ended; if it was paid its place in the budget is free again."""
        if request in self._paid:
            self._paid.remove(request)
            self._budget.release()

    def ended(self, request: int) -> None:
        """The request is over."""
        self.in_flight -= 1
        if self._timeouts:
            self._timeouts.pop(request, None)
