"""Exchanges that send second copies: the rules of ``routing.hedging`` in virtual time.

Theory of operation. As in ``Exchanges`` one attempt of a request stands in ``current``, with its
decision and instant in the lists; while a copy races it the other of the two stands in
``copies``, its decision and instant in ``_others``. Which of them is the copy says ``_copy``.
Whatever comes back for the one in ``copies`` changes places with the other first (``_swap``),
so all that is done with answers and errors is that of ``Exchanges``. ``router.ended`` stays
exactly once for each commit: the loser's outcome is "cancelled", and its charge is refunded.

A loser that waits is passed over when its turn comes; one that runs is run to its end, for
nobody, as everything given up is here. With ``attempts.hedge_share`` 0 a run has none of this.
"""

from __future__ import annotations

from typing import Any

from gateway.api import Decision, NoCenter, Outcome
from gateway.routing.hedging import LAST_QUANTILE, OUTRUN, Hedging, can_help
from gateway.simulation.agenda import Event
from gateway.simulation.exchanges import TOO_LATE, Exchanges
from gateway.simulation.world import World

FIRST, COPY = 0, 1
"""The numbers of the two attempts: only the first of a request has a copy."""


class HedgedExchanges(Exchanges):
    """``copies``: of a request with two open attempts, the number of the one not in ``current``.

    ``hedging``: one budget a gateway; ``hedges``: copies sent, ``hedges_won``: that answered.
    """

    def __init__(self, world: World, *parts: Any) -> None:
        """As of ``Exchanges``."""
        super().__init__(world, *parts)
        plan = world.scenario.attempts
        self._max = plan.max
        self.hedging = [Hedging(plan.hedge_share, plan.hedge_quantile) for _ in self._routers]
        self._requests = [0] * len(self._routers)
        self.copies: dict[int, int] = {}
        self._others: dict[int, tuple[Decision, float]] = {}
        self._copy: set[int] = set()
        self._begun: dict[int, int] = {}
        self.hedges = 0
        self.hedges_won = 0

    # ---- a copy is sent -------------------------------------------------------------------

    def arrive(self, now: float, request: int) -> None:
        """A request comes in, and earns its share of a copy."""
        self._requests[self._gateway[request]] += 1
        super().arrive(now, request)

    def _send(
        self, now: float, request: int, attempt: int, gateway: int, decision: Decision
    ) -> None:
        super()._send(now, request, attempt, gateway, decision)
        if attempt == FIRST and decision.runner_up >= 0 and self._max > 1:
            at_s = now + decision.predicted_ms / 1e3
            quantile = self.hedging[gateway].quantile
            self._agenda.plan(at_s, self._look_at_hedge, request, quantile)

    def _look_at_hedge(self, event: Event) -> None:
        """(…, request, quantile): its first attempt may be slower than nearly all."""
        now, _, _, request, quantile = event
        if self.current[request] != FIRST:
            return
        decision = self._decisions[request]
        assert decision is not None
        gateway, sent_s = self._gateway[request], self._sent_s[request]
        hedging, quantile_ms = self.hedging[gateway], self._routers[gateway].quantile_ms
        delay_ms = late_ms = quantile_ms(decision, hedging.late)
        if quantile < hedging.late:
            delay_ms = hedging.delay_ms(quantile_ms(decision, quantile), late_ms)
        at_s = sent_s + delay_ms / 1e3
        if at_s >= sent_s + self._patience_s(sent_s, request, FIRST):
            return  # another attempt follows it before that
        if now < at_s:
            self._agenda.plan(at_s, self._look_at_hedge, request, quantile)
            return
        late = delay_ms >= late_ms
        copy = self._copy_for(now, request, decision, late=late)
        if copy is not None:
            self._send_copy(now, request, copy)
        elif not late:
            self._agenda.plan(now, self._look_at_hedge, request, hedging.late)

    def _copy_for(
        self, now: float, request: int, first: Decision, *, late: bool
    ) -> Decision | None:
        """Where it goes; None: no slot is free, it cannot help, or nobody pays."""
        gateway = self._gateway[request]
        router = self._routers[gateway]
        try:
            decision = router.elsewhere(first, now)
        except NoCenter:
            return None
        helps = can_help(
            (now - self._sent_s[request]) * 1e3,
            decision.predicted_ms,
            (self.arrival_s[request] + self._deadline_s - now) * 1e3,
            router.quantile_ms(first, LAST_QUANTILE),
            late=late,
        )
        if helps and self.hedging[gateway].take(self._requests[gateway], late=late):
            return decision
        return None

    def _send_copy(self, now: float, request: int, decision: Decision) -> None:
        gateway, center = self._gateway[request], decision.center
        self._commit[gateway](decision, now)
        self.copies[request] = COPY
        self._others[request] = (decision, now)
        self._copy.add(request)
        self._begun[request] = COPY + 1
        self.hedges += 1
        half_s = self.half_s[self._vantage[request]][center] + self._jitter_half_s[COPY][request]
        self._agenda.plan(now + half_s, self._reach, request, COPY, center, half_s)
        left_s = self.arrival_s[request] + self._deadline_s - now
        patience_s = self._rules[gateway].patience_s(decision, request, COPY, left_s)
        self._agenda.plan(now + patience_s, self._late, request, COPY, patience_s)

    # ---- two are open ---------------------------------------------------------------------

    def _swap(self, request: int) -> None:
        """The two change places."""
        decision = self._decisions[request]
        assert decision is not None
        other, sent_s = self._others[request]
        self._others[request] = (decision, self._sent_s[request])
        self._decisions[request], self._sent_s[request] = other, sent_s
        current = self.current[request]
        self.current[request], self.copies[request] = self.copies[request], current

    def _judge(self, request: int, attempt: int, *, won: bool) -> None:
        """If ``attempt`` was the copy, its budget is told how it fared."""
        if attempt == COPY and request in self._copy:
            self._copy.remove(request)
            self.hedging[self._gateway[request]].ended(won=won)
            self.hedges_won += won

    def _call_back(self, now: float, request: int) -> None:
        """The one in ``copies`` was outrun: refund it."""
        attempt = self.copies.pop(request)
        decision, sent_s = self._others.pop(request)
        self._judge(request, attempt, won=False)
        query = decision.query
        self._ended[self._gateway[request]](
            Outcome(
                decision.center,
                query.vantage,
                query.model,
                "cancelled",
                (now - sent_s) * 1e3,
                None,
                decision.predicted_ms,
                decision.charged_ms,
                now,
                OUTRUN,
                decision.token,
            )
        )

    # ---- what comes back ------------------------------------------------------------------

    def answered(self, event: Event) -> None:
        """(…, request, attempt, center, report): the first to be back counts."""
        request, attempt = event[3], event[4]
        if self.copies.get(request) == attempt:
            self._swap(request)
        if self.current[request] != attempt:
            return
        if request not in self._begun:
            super().answered(event)
            return
        if request in self.copies:
            self._call_back(event[0], request)
        self._judge(request, attempt, won=True)
        super().answered(event)
        self.attempts[request] = max(attempt + 1, self._begun.pop(request))

    def failed(self, event: Event) -> None:
        """(…, request, attempt, reason): an attempt was refused, reset or answered an error."""
        request, attempt = event[3], event[4]
        if self.copies.get(request) == attempt:
            self._swap(request)
        super().failed(event)

    def _late(self, event: Event) -> None:
        """(…, request, attempt, patience_s): its time is up, or it was the last there is."""
        now, _, _, request, attempt, patience_s = event
        first = self.current[request]
        if self.copies.get(request) == attempt:
            self._swap(request)
        if self.current[request] != attempt:
            return
        deadline_s = self.arrival_s[request] + self._deadline_s
        if now < deadline_s and self._begun.get(request, 0) >= self._max:
            self._agenda.plan(deadline_s, self._late, request, attempt, patience_s)
        else:
            super()._late(event)
        if self.copies.get(request) == first:  # both are waited for longer
            self._swap(request)

    def _fail(self, now: float, request: int, attempt: int, reason: str) -> None:
        """Close an attempt; the other goes on alone, or the next is begun."""
        if request not in self.copies:
            self._judge(request, attempt, won=False)
            begun = self._begun.get(request, 0)
            super()._fail(now, request, max(attempt, begun - 1), reason)
            return
        failed, sent_s = self._decisions[request], self._sent_s[request]
        assert failed is not None
        other = self.copies.pop(request)
        decision, other_sent_s = self._others.pop(request)
        self._judge(request, attempt, won=False)
        self._error(now, self._gateway[request], failed, (now - sent_s) * 1e3, reason)
        decision.tried = (*decision.tried, failed.center)
        self.current[request] = other
        self._decisions[request], self._sent_s[request] = decision, other_sent_s
        if reason == TOO_LATE:
            self.wasted += 1
            self._fail(now, request, other, reason)

    def _lose(self, request: int, reason: str) -> None:
        self._begun.pop(request, None)
        super()._lose(request, reason)
