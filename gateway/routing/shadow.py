"""A shadow: a candidate policy that decides beside the live one, on live queries, for nobody.

Theory of operation. The shadow is a ``Listener`` of the policy in force. When a request's
first choice was made, and before it is charged, the candidate decides the same query on the
same state; what it would have chosen is compared and dropped. Nothing it says reaches a
center, and nothing it does reaches the table:

* It stands over a table *beside* the live one, which shares every column and row that the
  fleet fills, and holds of its own what the candidate's plugins declare and the rows that
  the live policy has not asked for.
* Its ledger keeps no books and never ticks.
* It has random streams of its own.

*Predicted regret* is what the live policy's own sums say of the two choices: the shadow's
minus the live one. It is a prediction about a prediction, never a measured gain: what the
candidate's traffic would have done to the queues nobody knows.

Plugins with a memory are told of the **live** choices and their endings, for these are what
happened; of ``looked_at`` and ``token`` only where the candidate chose the same center, else
there is none, and an ending has no token. Shadow probes are not sent. So a policy can be
shadowed meaningfully when it learns from endings or reports (Peak EWMA, C3, weighted round
robin) or reads columns only; one whose state is its own turn (round robin) or its own probes
(Prequal) is better simulated.

Deciding stops while the candidate has used more than its share of this thread's time; what a
memory is told can't be left out, and is paid from the same share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from random import Random
from typing import Any, TypeVar

from gateway.api import (
    BuiltPolicy,
    Decision,
    NearwayError,
    Outcome,
    Query,
    Report,
    RowTable,
    Table,
)
from gateway.routing.router import Router
from gateway.routing.watching import observes

BURST_S = 0.1
"""Unused share is kept for this long."""

K = TypeVar("K")
V = TypeVar("V")


class Shadow:
    """Compares one candidate with the policy in force. See the module's docstring.

    ``predict`` is the live policy's: (query, now, center) -> ms. ``clock`` gives seconds of
    this thread's CPU time; ``budget`` is the share of it allowed, ``sample`` that of queries
    looked at. ``router_over`` makes a router of the candidate over a table and a ledger.
    """

    def __init__(
        self,
        live: Table,
        policy: BuiltPolicy,
        router_over: Callable[[Table, BuiltPolicy, NoBooks], Router],
        *,
        predict: Callable[[Query, float, int], float],
        clock: Callable[[], float],
        budget: float,
        sample: float,
        random: Random,
    ) -> None:
        self._live = live
        self.router = router_over(table_beside(live, policy), policy, NoBooks())
        self._predict = predict
        self._clock = clock
        self._budget = budget
        self._sample = sample
        self._random = random
        self._left_s = BURST_S * budget
        self._filled_at = inf
        self._told = any(observes(named.plugin) for named in _asking(policy))
        self.compared = 0
        self.agreed = 0
        self.forbidden = 0
        self.failed = 0
        self.skipped = 0
        self.regret_ms = 0.0
        self.used_s = 0.0

    def chosen(self, decision: Decision, now: float) -> None:
        """The live policy chose; decide beside it, then tell the candidate what happened."""
        theirs = None
        if not decision.tried and (self._sample >= 1.0 or self._random.random() < self._sample):
            if self._may_spend(now):
                theirs = self._spend(self._compare, decision, now)
            else:
                self.skipped += 1
        if self._told:
            self._spend(self._tell, decision, theirs, now)

    def ended(self, outcome: Outcome) -> None:
        """A live attempt ended."""
        if self._told:
            self._spend(self.router.ended, _without_token(outcome))

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load outside an answer."""
        if self._told:
            self._spend(self.router.reported, center, report, now)

    def state(self) -> dict[str, Any]:
        """JSON-ready. ``predicted_regret_ms``: mean over the decisions compared."""
        judged = self.compared - self.forbidden
        return {
            "policy": self.router.policy.name,
            "compared": self.compared,
            "agreed": self.agreed,
            "agreement_share": self.agreed / self.compared if self.compared else None,
            "predicted_regret_ms": self.regret_ms / judged if judged else None,
            "forbidden": self.forbidden,
            "failed": self.failed,
            "skipped": self.skipped,
            "used_s": self.used_s,
            "budget": self._budget,
            "plugins": self.router.plugin_state(),
        }

    def _compare(self, decision: Decision, now: float) -> Decision | None:
        self.router.table.epoch = self._live.epoch
        try:
            theirs = self.router.decide(decision.query, now)
        except NearwayError:
            self.failed += 1
            return None
        self.compared += 1
        if theirs.center == decision.center:
            self.agreed += 1
            return theirs
        ms = self._predict(decision.query, now, theirs.center)
        if 0.0 <= ms < inf:
            self.regret_ms += ms - decision.predicted_ms
        else:
            self.forbidden += 1
        return theirs

    def _tell(self, decision: Decision, theirs: Decision | None, now: float) -> None:
        self.router.commit(as_happened(decision, theirs), now)

    def _may_spend(self, now: float) -> bool:
        passed_s = now - self._filled_at
        self._filled_at = now
        if passed_s > 0.0:
            self._left_s = min(self._left_s + passed_s * self._budget, BURST_S * self._budget)
        return self._left_s > 0.0

    def _spend(self, method: Callable[..., Any], *arguments: Any) -> Any:
        started_s = self._clock()
        try:
            return method(*arguments)
        finally:
            spent_s = self._clock() - started_s
            self._left_s -= spent_s
            self.used_s += spent_s


class NoBooks:
    """A ledger that keeps nothing and never ticks."""

    tick_at = inf

    def charge(self, decision: Decision, now: float) -> None:
        """Nothing is charged."""

    def ended(self, outcome: Outcome) -> None:
        """Nothing is refunded."""

    def reported(self, center: int, report: Report, now: float) -> None:
        """Nothing is learned."""

    def tick(self, now: float) -> None:
        """Never called."""

    def heard_since(self, _centers: Iterable[int], _since_s: float) -> bool:
        """Nobody is asked, so nobody answers."""
        return False

    def in_service(self, _center: int) -> bool:
        """Health is the live policy's to judge."""
        return True

    def quantile_ms(self, decision: Decision, q: float) -> float:
        """The prediction itself, for nobody waits for a shadow; inf for certainty."""
        return decision.predicted_ms if q < 1.0 else inf


class _Beside(dict[K, V]):
    """Reads through to ``theirs``, except what is hidden; writes to itself only."""

    def __init__(self, theirs: dict[K, V], hidden: frozenset[K] = frozenset()) -> None:
        super().__init__()
        self._theirs = theirs
        self._hidden = hidden

    def __getitem__(self, key: K) -> V:
        if key in self._theirs and key not in self._hidden:
            return self._theirs[key]
        return super().__getitem__(key)

    def get(self, key: K, default: Any = None) -> Any:
        """As of a dict."""
        if key in self._theirs and key not in self._hidden:
            return self._theirs[key]
        return super().get(key, default)


def table_beside(live: Table, policy: BuiltPolicy) -> Table:
    """A table that reads ``live`` and never writes it: what ``policy`` declares is its own."""
    own = frozenset(
        f"{named.name}.{column}"
        for named in _asking(policy)
        for column in getattr(named.plugin, "columns", {})
    )
    table = Table(live.centers)
    table.columns = {name: column for name, column in live.columns.items() if name not in own}
    table.versions = _Beside(live.versions, own)
    table.row_tables = {
        name: RowTable(rows.keyed_by, rows.make, _Beside(rows.rows), _Beside(rows.versions))
        for name, rows in live.row_tables.items()
    }
    table.epoch = live.epoch
    return table


def as_happened(decision: Decision, theirs: Decision | None) -> Decision:
    """The live decision as the candidate is told of it: its own token where both agree."""
    agree = theirs is not None and theirs.center == decision.center
    return Decision(
        decision.query,
        decision.center,
        decision.predicted_ms,
        decision.runner_up,
        decision.runner_up_ms,
        decision.parts_ms,
        decision.charged_ms,
        decision.tried,
        theirs.looked_at if theirs is not None and agree else (),
        theirs.token if theirs is not None and agree else None,
        decision.now,
    )


def _without_token(outcome: Outcome) -> Outcome:
    return Outcome(
        outcome.center,
        outcome.vantage,
        outcome.model,
        outcome.ending,
        outcome.attempt_ms,
        outcome.report,
        outcome.predicted_ms,
        outcome.charged_ms,
        outcome.now,
        outcome.reason,
        None,
    )


def _asking(policy: BuiltPolicy) -> tuple[Any, ...]:
    """Everything of a policy but its sources, which are fed from outside."""
    return (*policy.filters, *policy.scorers, policy.picker, *policy.observers)
