"""Planted bugs in attempts: whom to ask, how often, how long, and what to make of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from gateway_plugins.filters.healthy import Healthy

from gateway.api import CenterError, DeadlineExceeded, NearwayError
from gateway.centers.port import Failed
from gateway.fleet import Fleet
from gateway.fleet.health import Health
from gateway.routing import InForce, Router
from gateway.routing.attempts import RetryBudget
from gateway.routing.guard import Guard
from gateway.routing.hedging import Hedging
from gateway.serving import attempting
from gateway.serving.attempting import Attempting
from gateway.serving.deadlines import Deadlines
from gateway.serving.exchange import Exchange
from gateway.serving.hot_lane import turn
from gateway.serving.intake import Intake
from gateway.serving.models import ModelDoor
from gateway.serving.tries import Try
from gateway.testing.adversary.planting import Planted, does_nothing, returns


def _ended_twice(original: Any) -> Any:
    def close(self: Any, this: Try, ending: Any, report: Any, reason: str, now: float) -> float:
        took_ms: float = original(self, this, ending, report, reason, now)
        self._with.router.ended(this.outcome(ending, report, reason, now))
        return took_ms

    return close


def _not_cancelled(_original: Any) -> Any:
    def call_back(self: Any, this: Try, reason: str, now: float) -> None:
        self._close(this, "cancelled", None, reason, now)

    return call_back


def _deaf_to_failures(original: Any) -> Any:
    def hear(self: Try, event: Any) -> None:
        if not isinstance(event, Failed):
            original(self, event)

    return hear


def _more_time(original: Any) -> Any:
    def arrival_of(self: Intake, *given: Any) -> Any:
        arrival = original(self, *given)
        arrival.deadline_s += 10.0
        return arrival

    return arrival_of


def _takes_anyway(_original: Any) -> Any:
    def take(self: RetryBudget, _requests: int) -> bool:
        self.in_flight += 1
        return True

    return take


def _any_number(original: Any) -> Any:
    def may_retry(**rules: Any) -> bool:
        return bool(original(**{**rules, "tries": 1}))

    return may_retry


def _forgets_the_tried(_original: Any) -> Any:
    def next_(self: Router, decision: Any, now: float, **_hints: Any) -> Any:
        again = self.decide(decision.query, now)
        again.tried = (*decision.tried, decision.center)
        return again

    return next_


def _same_again(_original: Any) -> Any:
    def elsewhere(self: InForce, decision: Any, now: float) -> Any:
        return replace(self.decide(decision.query, now), tried=(decision.center,))

    return elsewhere


def _all_of_them(_original: Any) -> Any:
    def keep(_self: Healthy, _query: Any, centers: Any, _now: float) -> Any:
        return np.ones(len(centers), dtype=np.bool_)

    return keep


def _drains_are_nothing(original: Any) -> Any:
    def refresh(self: Health, center: int) -> bool:
        it = self.conditions[center]
        draining, it.draining = it.draining, False
        changed = bool(original(self, center))
        it.draining = draining
        return changed

    return refresh


def _unguarded(_original: Any) -> Any:
    def call(_self: Guard, method: Any, *given: Any) -> Any:
        return method(*given)

    return call


def _unbounded(_original: Any) -> Any:
    async def closer_error(self: ModelDoor, error: Any, _decision: Any, arrival: Any) -> Any:
        try:
            await self.check_ready(arrival.query.model, arrival.version)
        except NearwayError as closer:
            return closer
        return error

    return closer_error


def _vaguer(_original: Any) -> Any:
    """Seldom is nobody eligible from the start."""

    def is_vague(error: Any, _decision: Any) -> bool:
        return isinstance(error, CenterError | DeadlineExceeded)

    return is_vague


def _late(original: Any) -> Any:
    def add(self: Deadlines, due_s: float, watched: Any) -> None:
        original(self, due_s + 0.02, watched)

    return add


def _every_time(_original: Any) -> Any:
    def hedge_of(with_: Any, this: Any, _deadline_s: float, now: float, **_looks: Any) -> Any:
        try:
            return with_.router.elsewhere(this.decision, now)
        except Exception:  # noqa: BLE001  # a planted bug is not to fall over others
            return None

    return hedge_of


ATTEMPTS: tuple[Planted, ...] = (
    ("ends an attempt twice", ("ended once",), ((Attempting, "_close", _ended_twice),)),
    ("does not cancel the loser", ("ended once", "for nobody"),
     ((Attempting, "_call_back", _not_cancelled),)),
    ("swallows failures", ("ended once",), ((Try, "hear", _deaf_to_failures),)),
    ("retries after the first byte", ("after the first byte", "one answer"),
     ((Exchange, "_streaming", lambda _: property(lambda _self: False)),)),
    ("drops the timer", ("deadline", "one answer", "in flight"),
     ((Deadlines, "add", does_nothing),)),
    ("looks at deadlines late", ("deadline",), ((Deadlines, "add", _late),)),
    ("loses the deadline", ("deadline",), ((Intake, "arrival_of", _more_time),)),
    ("retries without a budget", ("retry budget",),
     ((RetryBudget, "take", _takes_anyway), (RetryBudget, "room", returns(value=True)))),
    ("pays for no retry", ("retry budget",), ((InForce, "in_service", returns(value=False)),
     (Router, "in_service", returns(value=False)))),
    ("tries without end", ("tries",), ((attempting, "may_retry", _any_number),)),
    ("tries the same center again", ("tries", "ejection"), ((Router, "next", _forgets_the_tried),)),
    ("hedges at the same center", ("tries",), ((Router, "elsewhere", _same_again),)),
    ("hedges without a budget", ("hedge share",),
     ((Hedging, "take", returns(value=True)),
      (Hedging, "delay_ms", returns(value=0.0)),
      (attempting, "hedge_of", _every_time))),
    ("ignores the ejection", ("ejection",), ((Healthy, "keep", _all_of_them),)),
    ("does not tell of a lost connection", ("ejection",),
     ((Fleet, "reach_changed", does_nothing),)),
    ("chooses who drains", ("ejection",), ((Health, "_refresh", _drains_are_nothing),)),
    ("lets a plugin's error through", ("honest", "no surprise"),
     ((Guard, "call", _unguarded),)),
    ("asks the centers why for as long as they like", ("deadline", "one answer", "in flight"),
     ((ModelDoor, "closer_error", _unbounded), (turn, "is_vague", _vaguer))),
)  # fmt: skip
