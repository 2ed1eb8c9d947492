"""The policy in force: the one configured, or a simpler one while its predictions are wrong.

Theory of operation. Two routers stand over one table and one ledger; ``PredictionWatch``
rules which of them decides. While the configured policy is trusted every call goes straight
to its router: the methods of ``InForce`` *are* that router's, put in their place when the
ruling changes, so that trust costs a request nothing.

* While doubted the fallback chooses, but ``predicted_ms`` stays the configured policy's sum
  for the center chosen: it is this prediction that has to become good again.
* A router hears of the endings of exactly what it committed: the fallback's choices carry a
  mark in their token until they end.
* The router that is not in force hears nothing; its columns and its memory stand still.

``Listener``s (a shadow, a decision log) are told of every choice, before it is charged, of
every ending and every report. With none of them there is no extra call.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, Protocol

from gateway.api import BuiltPolicy, Decision, Explanation, Outcome, Query, Report, Table
from gateway.routing.prediction_watch import PredictionWatch
from gateway.routing.router import Router

ROUTERS_OWN = frozenset(
    {
        "commit",
        "decide",
        "ended",
        "explain",
        "in_service",
        "next",
        "predict",
        "probes",
        "quantile_ms",
        "reported",
    }
)


class Listener(Protocol):
    """Somebody who follows what the policy in force does. Must not raise."""

    def chosen(self, decision: Decision, now: float) -> None:
        """A center was chosen; it is charged after this call, in the same loop turn."""

    def ended(self, outcome: Outcome) -> None:
        """Exactly one per chosen."""

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load outside an answer."""


@dataclass(frozen=True, slots=True)
class _Marked:
    """The token of a choice that the fallback made."""

    token: object


class InForce:
    """Decides, commits and hears endings as a ``Router`` does; see there.

    ``asks_probes``: whether the policy that decides now may want probes.
    ``fallback`` None: the configured policy decides whatever its predictions are worth.
    """

    def __init__(
        self,
        router: Router,
        *,
        fallback: Router | None = None,
        watch: PredictionWatch | None = None,
    ) -> None:
        self.configured = router
        self.fallback = fallback
        self.watch = watch if fallback is not None else None
        self.fallbacks = 0
        self._now_in_force = router
        self._listeners: tuple[Listener, ...] = ()
        self.asks_probes = router.asks_probes
        self._bind()

    # ---- what a request needs; put in place by _bind ---------------------------------------

    def decide(self, query: Query, now: float, tried: tuple[int, ...] = ()) -> Decision:
        """Choose a center that is not in ``tried``. Raises NoCenter, which says why."""
        decision = self._now_in_force.decide(query, now, tried)
        return self._as_predicted(decision, now)

    def next(
        self, decision: Decision, now: float, *, silent: bool = False, within_ms: float = inf
    ) -> Decision:
        """Decide again, without the centers tried. Raises NoCenter."""
        again = self._now_in_force.next(decision, now, silent=silent, within_ms=within_ms)
        return self._as_predicted(again, now)

    def elsewhere(self, decision: Decision, now: float) -> Decision:
        """Another zone, and a free slot, beside a choice under way. Raises NoCenter."""
        return self._as_predicted(self._now_in_force.elsewhere(decision, now), now)

    def commit(self, decision: Decision, now: float) -> None:
        """Charge the choice and tell everybody, in the same loop turn as the decision."""
        for listener in self._listeners:
            listener.chosen(decision, now)
        self._now_in_force.commit(decision, now)
        if self._now_in_force is not self.configured:
            decision.token = _Marked(decision.token)

    def ended(self, outcome: Outcome) -> None:
        """Exactly once per commit: refund, learn, tell everybody."""
        router = self.configured
        token = outcome.token
        if isinstance(token, _Marked) and self.fallback is not None:
            router, outcome.token = self.fallback, token.token
        router.ended(outcome)
        for listener in self._listeners:
            listener.ended(outcome)

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load outside an answer."""
        self._now_in_force.reported(center, report, now)
        for listener in self._listeners:
            listener.reported(center, report, now)

    def probes(self, now: float) -> list[int]:
        """The centers the policy wants a report of; to be asked after each ``commit``."""
        return self._now_in_force.probes(now)

    def quantile_ms(self, decision: Decision, q: float) -> float:
        """What the attempt takes at most with probability ``q``, in ms."""
        return self.configured.quantile_ms(decision, q)

    def in_service(self, center: int) -> bool:
        """Whether health lets the center be chosen."""
        return self.configured.in_service(center)

    def predict(self, query: Query, now: float, center: int) -> float:
        """What the configured policy predicts for ``center``, in ms; inf where it forbids."""
        return self.configured.predict(query, now, center)

    # ---- now and then ----------------------------------------------------------------------

    def look(self, answers: int, error_log_sum: float, now: float) -> bool:
        """Let the watch see the sums over all answers; True when the policy changed."""
        if self.watch is None or not self.watch.look(answers, error_log_sum, now):
            return False
        doubted = self.watch.doubted
        assert self.fallback is not None
        self._now_in_force = self.fallback if doubted else self.configured
        self.fallbacks += int(doubted)
        self._bind()
        return True

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` from now on; of endings also those of earlier choices."""
        self._listeners = (*self._listeners, listener)
        self._bind()

    def explain(self, query: Query, now: float) -> Explanation:
        """The whole table behind the decision ``decide`` would make. Commits nothing."""
        told = self._now_in_force.explain(query, now)
        return told if not self.doubted else replace(told, notes=(*told.notes, self.why()))

    def why(self) -> str:
        """Which policy decides and, while doubted, why it is not the one configured."""
        if self.watch is None or not self.doubted:
            return f"{self.policy.name} decides"
        return (
            f"{self.policy.name} decides in place of {self.configured.policy.name}, whose "
            f"predictions are off by {self.watch.error_share:.0%} (bound "
            f"{self.watch.error_share_max:.0%}); back below {self.watch.error_share_max / 2:.0%}"
        )

    def state(self) -> dict[str, Any]:
        """JSON-ready: which policy decides, the prediction's error and its bound."""
        watch = self.watch
        return {
            "in_force": self.policy.name,
            "configured": self.configured.policy.name,
            "fallback": None if self.fallback is None else self.fallback.policy.name,
            "doubted": self.doubted,
            "fallbacks": self.fallbacks,
            "error_share": None if watch is None else watch.error_share,
            "error_share_max": None if watch is None else watch.error_share_max,
            "why": self.why(),
        }

    # ---- as a router ----------------------------------------------------------------------

    @property
    def doubted(self) -> bool:
        """True while the fallback decides."""
        return self._now_in_force is not self.configured

    @property
    def table(self) -> Table:
        """What both decide on."""
        return self.configured.table

    @property
    def policy(self) -> BuiltPolicy:
        """The policy that decides now."""
        return self._now_in_force.policy

    @property
    def decisions(self) -> int:
        """How many were made, by either."""
        return self.configured.decisions + (self.fallback.decisions if self.fallback else 0)

    def plugin_state(self) -> list[dict[str, Any]]:
        """A record a plugin of the policy that decides now."""
        return self._now_in_force.plugin_state()

    def cache_state(self) -> dict[str, Any]:
        """Of the router that decides now."""
        return self._now_in_force.cache_state()

    # ---- its pieces -----------------------------------------------------------------------

    def _as_predicted(self, decision: Decision, now: float) -> Decision:
        if self._now_in_force is not self.configured:
            predicted_ms = self.configured.predict(decision.query, now, decision.center)
            if 0.0 <= predicted_ms < inf:
                decision.predicted_ms = predicted_ms
        return decision

    def _bind(self) -> None:
        """Put the router's own methods in place of ours where ours would add nothing."""
        self.asks_probes = self._now_in_force.asks_probes
        straight = {"in_service", "predict", "quantile_ms"}
        if not self.doubted:
            straight |= {"decide", "next", "probes", "explain"}
        if not self.doubted and not self._listeners:
            straight |= {"commit", "reported"} if self.fallbacks else ROUTERS_OWN
        for name in ROUTERS_OWN:
            self.__dict__.pop(name, None)
            if name in straight:
                setattr(self, name, getattr(self.configured, name))
