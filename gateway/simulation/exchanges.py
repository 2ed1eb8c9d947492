"""The gateways' half of a run: arrivals, attempts, answers, failures and second tries.

Theory of operation. A request is a number; what is known of it stands in lists at its place.
At most one attempt of a request is open: ``current[request]`` is its number k, -1 when none
is. Everything that comes back says which attempt it belongs to, and is deaf-eared when that
one is closed. ``router.ended`` is called exactly once for every ``router.commit``.

Decision and charge happen in the same event.
"""

from __future__ import annotations

from array import array
from collections import Counter
from heapq import heappush
from math import inf, nan

from gateway.api import Decision, NoCenter, Outcome, Query
from gateway.routing.attempts import TIMED_OUT
from gateway.simulation.agenda import Agenda, Event
from gateway.simulation.attempt_rules import AttemptRules
from gateway.simulation.attempt_watch import WATCH_S, AttemptWatch
from gateway.simulation.center_side import CenterSide
from gateway.simulation.draws import Draws
from gateway.simulation.gateway_sides import GatewaySide
from gateway.simulation.reporting import Reporting
from gateway.simulation.world import World

CLOSED = -1
TOO_LATE = "deadline_exceeded"


class Exchanges:
    """Every request from its arrival to its answer or failure."""

    def __init__(
        self,
        world: World,
        draws: Draws,
        agenda: Agenda,
        gateways: tuple[GatewaySide, ...],
        centers: CenterSide,
        reporting: Reporting,
        current: list[int],
    ) -> None:
        scenario, count = world.scenario, len(draws)
        self._agenda = agenda
        self._heap = agenda.heap
        self._number = agenda.next_number
        self._centers = centers
        self._reach = centers.reach
        self._reporting = reporting
        self.current = current
        self.arrival_s: list[float] = draws.arrival_s.tolist()
        self._gateway: list[int] = draws.gateway.tolist()
        self._vantage: list[int] = draws.vantage.tolist()
        self._queries = _queries(world, draws)
        self._jitter_half_s: list[list[float]] = (draws.jitter_ms / 2e3).tolist()
        self.half_s: list[list[float]] = (world.base_ms / 2e3).tolist()
        self._decide = [side.router.decide for side in gateways]
        self._commit = [side.router.commit for side in gateways]
        self._ended = [side.router.ended for side in gateways]
        self._routers = [side.router for side in gateways]
        self._asks_probes = any(side.router.asks_probes for side in gateways)
        self._rules = [AttemptRules(scenario.attempts, side.router) for side in gateways]
        self._deadline_s = scenario.deadline_ms / 1e3
        self._watch = AttemptWatch(agenda, current, self._late, self._patience_s)
        self._watched = self._watch.first
        self._watch_all = scenario.attempts.timeout_ms / 1e3 < WATCH_S
        self._sent_s = [0.0] * count
        self._decisions: list[Decision | None] = [None] * count
        self.open = 0
        self.attempts = array("i", [0]) * count
        self.wasted = 0
        self.failures: Counter[str] = Counter()
        self.latency_s = array("d", [inf]) * count
        self.answered_by = array("i", [-1]) * count
        self.predicted_ms = array("d", [nan]) * count
        self.network_ms = array("d", [nan]) * count
        self.queue_ms = array("d", [nan]) * count
        self.service_ms = array("d", [nan]) * count

    # ---- requests -------------------------------------------------------------------------

    def arrive(self, now: float, request: int) -> None:
        """A request comes in: decide, charge, send."""
        self.open += 1
        gateway = self._gateway[request]
        self._rules[gateway].in_flight += 1
        try:
            decision = self._decide[gateway](self._queries[request], now)
        except NoCenter:
            self._lose(request, "no_center")
            return
        self._send(now, request, 0, gateway, decision)

    def _send(
        self, now: float, request: int, attempt: int, gateway: int, decision: Decision
    ) -> None:
        """Commit, and set one attempt on its way."""
        self._commit[gateway](decision, now)
        center = decision.center
        half_s = self.half_s[self._vantage[request]][center] + self._jitter_half_s[attempt][request]
        self.current[request] = attempt
        self._decisions[request] = decision
        self._sent_s[request] = now
        heappush(
            self._heap,
            (now + half_s, self._number(), self._reach, request, attempt, center, half_s),
        )
        room_s = self.arrival_s[request] + self._deadline_s - now - decision.runner_up_ms / 1e3
        if self._watch_all or -inf < room_s < WATCH_S:
            self._watch.plan(now, request, attempt)
        else:
            self._watched.append((now, request, attempt))
        if self._asks_probes:
            self._reporting.probe(now, gateway, self._vantage[request])

    def answered(self, event: Event) -> None:
        """(…, request, attempt, center, report): an answer is back."""
        now, _, _, request, attempt, center, report = event
        if self.current[request] != attempt:
            return
        self.current[request] = CLOSED
        self.open -= 1
        decision = self._decisions[request]
        assert decision is not None
        self._decisions[request] = None
        gateway = self._gateway[request]
        rules = self._rules[gateway]
        if attempt:
            rules.closed(request)
        rules.in_flight -= 1
        attempt_ms = (now - self._sent_s[request]) * 1e3
        query, predicted_ms = decision.query, decision.predicted_ms
        self._ended[gateway](
            Outcome(
                center,
                query.vantage,
                query.model,
                "answer",
                attempt_ms,
                report,
                predicted_ms,
                decision.charged_ms,
                now,
                "",
                decision.token,
            )
        )
        queue_ms, service_ms = report.queue_ms, report.service_ms
        self.attempts[request] = attempt + 1
        self.latency_s[request] = now - self.arrival_s[request]
        self.answered_by[request] = center
        self.predicted_ms[request] = predicted_ms
        self.queue_ms[request] = queue_ms
        self.service_ms[request] = service_ms
        self.network_ms[request] = attempt_ms - queue_ms - service_ms

    def failed(self, event: Event) -> None:
        """(…, request, attempt, reason): an attempt was refused, reset or answered an error."""
        now, _, _, request, attempt, reason = event
        if self.current[request] == attempt:
            self._fail(now, request, attempt, reason)

    def _late(self, event: Event) -> None:
        """(…, request, attempt, patience_s): its time is up."""
        now, _, _, request, attempt, patience_s = event
        if self.current[request] != attempt:
            return
        rules = self._rules[self._gateway[request]]
        deadline_s = self.arrival_s[request] + self._deadline_s
        if now < deadline_s:
            decision = self._decisions[request]
            assert decision is not None
            if not rules.may_pay(decision.center):
                at_s = min(now + patience_s, deadline_s)
                self._agenda.plan(at_s, self._late, request, attempt, 2.0 * patience_s)
                return
            rules.cut_off(request)
        self.wasted += 1
        self._fail(now, request, attempt, TIMED_OUT if now < deadline_s else TOO_LATE)

    def _fail(self, now: float, request: int, attempt: int, reason: str) -> None:
        """Close an attempt with an error, and try elsewhere if the rules allow."""
        decision = self._decisions[request]
        assert decision is not None
        gateway = self._gateway[request]
        rules = self._rules[gateway]
        self.current[request] = CLOSED
        self.attempts[request] = attempt + 1
        attempt_ms = (now - self._sent_s[request]) * 1e3
        rules.closed(request)
        self._error(now, gateway, decision, attempt_ms, reason)
        left_s = self.arrival_s[request] + self._deadline_s - now
        if not rules.may_retry(decision, attempt + 1, left_s):
            self._lose(request, reason)
            return
        try:
            again = self._routers[gateway].next(
                decision, now, silent=reason == TIMED_OUT, within_ms=left_s * 1e3
            )
        except NoCenter:
            self._lose(request, reason)
            return
        if not rules.pay(request, decision.center):
            self._lose(request, "retry_budget")
            return
        self._send(now, request, attempt + 1, gateway, again)

    def _lose(self, request: int, reason: str) -> None:
        self.open -= 1
        self._rules[self._gateway[request]].ended(request)
        self.failures[reason] += 1

    def _error(
        self, now: float, gateway: int, decision: Decision, attempt_ms: float, reason: str
    ) -> None:
        query = decision.query
        self._ended[gateway](
            Outcome(
                decision.center,
                query.vantage,
                query.model,
                "error",
                attempt_ms,
                None,
                decision.predicted_ms,
                decision.charged_ms,
                now,
                reason,
                decision.token,
            )
        )

    def _patience_s(self, began_s: float, request: int, attempt: int) -> float:
        """How long the open attempt of a request, begun at ``began_s``, is waited for."""
        decision = self._decisions[request]
        assert decision is not None
        left_s = self.arrival_s[request] + self._deadline_s - began_s
        rules = self._rules[self._gateway[request]]
        return rules.patience_s(decision, request, attempt, left_s)


def _queries(world: World, draws: Draws) -> list[Query]:
    """A query a request; equal ones are one object, which nobody writes to."""
    names = [model.name for model in world.models]
    deadline_ms = world.scenario.deadline_ms
    sessions = world.scenario.arrivals.sessions
    known: dict[tuple[int, int, int], Query] = {}
    queries = []
    for key in zip(
        draws.vantage.tolist(), draws.model.tolist(), draws.session.tolist(), strict=True
    ):
        query = known.get(key)
        if query is None:
            vantage, model, session = key
            name = f"s{session}" if sessions else ""
            query = Query(vantage, names[model], deadline_ms=deadline_ms, session=name)
            known[key] = query
        queries.append(query)
    return queries
