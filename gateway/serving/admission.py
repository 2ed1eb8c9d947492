"""Admission: who is let in when there is no room for all, and what the others are told.

Theory of operation. One object for a process, behind both lanes. It bounds

* requests and body bytes under way: ``enter`` and ``hold``, ``leave`` gives back both;
* work: ``admit``, between the router's choice and its charge, for one request at a time.

``admit`` costs two comparisons while the chosen center has a slot to spare, since then nobody
has to wait for anybody. Otherwise the predicted wait there is held against what the request may
wait (``gateway.routing.shedding``), given how many stand before it: each higher class that is
about, and one more when its tenant has had its fair share of this center
(``gateway.routing.fairness``). Nothing is kept of an admitted request, so nothing has to be given
back but what ``enter`` and ``hold`` took.

429 says that the same request of another tenant would have been begun; 503 that the class has no
room. The reason is one word:

    fair_share            429  its tenant, or origin, has had its part of a busy center
    waiting               503  the wait would be longer than this class may wait now
    requests_in_flight    503  server.in_flight_max, or its last quarter for a lower class
    bodies_in_flight      503  server.bodies_bytes_max
    center_limits         503  every center that could answer is at its learned limit

Only the first attempt of a request is asked for here; retries and hedges have budgets.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from gateway.api import (
    Array,
    ConfigError,
    Decision,
    NoCapacity,
    NoCenter,
    Query,
    Shed,
    Table,
)
from gateway.config.settings import Settings
from gateway.routing.components import scalars
from gateway.routing.concurrency import GradientLimits
from gateway.routing.fairness import PRESENT_S, FairShares
from gateway.routing.shedding import (
    CALM_MS,
    GRACE_S,
    ROOMY_SHARE,
    Standing,
    first_wait_ms,
    rank_of,
    second_wait_ms,
)
from gateway.serving.arrival import Deciding
from gateway.serving.shed_errors import behind_others, no_place, over_share, too_long
from gateway.telemetry import Metrics

NOBODY = "anonymous"
UNLIMITED = 2**62
WINDOW_S = 0.25
"""A learned limit moves once in so long a time."""
WATCHED_S = 1.0
"""Fairness looks at every request of a center where somebody had to wait so short a time ago."""


class Admission:
    """Of ``centers`` centers; ``table`` None: nothing is known of them, and only requests and
    bytes are bounded.
    """

    __slots__ = (
        "_allowed",
        "_busy_s",
        "_bytes_max",
        "_calm_ms",
        "_classes",
        "_columns",
        "_default",
        "_in_flight",
        "_in_flight_max",
        "_learned",
        "_learns_at",
        "_limits",
        "_metrics",
        "_nothing_ms",
        "_queue_ms",
        "_roomy",
        "_router",
        "_rules",
        "_seen_s",
        "_shares",
        "_standing",
        "_table",
    )

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        router: Deciding,
        centers: int,
        table: Table | None = None,
    ) -> None:
        """Raises ConfigError when the default class is none of the classes."""
        rules, server = settings.admission, settings.server
        if rules.default_class > rules.classes:
            raise ConfigError(
                f"admission.default_class is {rules.default_class}, but there are only "
                f"{rules.classes} classes; lower it or raise admission.classes"
            )
        self._rules = rules
        self._metrics = metrics
        self._router = router
        self._table = table
        self._columns = _columns(table, centers)
        self._queue_ms = scalars(self._columns["queue_ms"])
        self._in_flight = scalars(self._columns["in_flight"])
        self._limits = (
            GradientLimits(self._columns["slots"], rules.limit_min) if rules.adaptive else None
        )
        unlimited = np.full(centers, UNLIMITED, dtype=np.int64)
        self._allowed = scalars(unlimited if self._limits is None else self._limits.allowed)
        self._in_flight_max = server.in_flight_max
        self._roomy = int(ROOMY_SHARE * server.in_flight_max)
        self._bytes_max = server.bodies_bytes_max
        self._default = rules.default_class
        self._classes = rules.classes
        self._seen_s = [-inf] * (rules.classes + 1)
        self._shares: dict[tuple[int, int], FairShares] = {}
        self._standing = Standing(centers)
        self._calm_ms = [CALM_MS] * centers
        self._busy_s = [-inf] * centers
        self._learns_at = -inf
        self._learned: tuple[Array, Array] | None = None
        self._nothing_ms = np.zeros(centers, dtype=np.float32)

    # ---- requests and bytes ---------------------------------------------------------------

    def enter(self, body_bytes: int) -> None:
        """One more request under way, and its body as far as its size is known.

        ``leave`` must follow. Raises NoCapacity, and nothing is taken.
        """
        metrics = self._metrics
        if metrics.in_flight >= self._in_flight_max:
            raise self._refusal(
                NoCapacity(
                    f"{self._in_flight_max} requests are under way, the most this gateway takes; "
                    "try again in a second or raise server.in_flight_max",
                    word="requests_in_flight",
                )
            )
        self.hold(body_bytes)
        metrics.in_flight += 1

    def hold(self, body_bytes: int) -> None:
        """So many bytes more of a body are held. Raises NoCapacity, and they are not."""
        held = self._metrics.bodies_bytes
        if held + body_bytes > self._bytes_max:
            raise self._refusal(
                NoCapacity(
                    f"bodies under way hold {held} bytes, and {body_bytes} more are "
                    f"over the {self._bytes_max} this gateway holds; "
                    "try again in a second or raise server.bodies_bytes_max",
                    word="bodies_in_flight",
                )
            )
        self._metrics.bodies_bytes = held + body_bytes

    def leave(self, body_bytes: int) -> None:
        """A request is over, and its body gone: all that ``enter`` and ``hold`` took for it."""
        self._metrics.in_flight -= 1
        self._metrics.bodies_bytes -= body_bytes

    # ---- work -----------------------------------------------------------------------------

    def admit(self, decision: Decision, now: float) -> Decision:
        """``decision``, or another when its center is at its limit; nothing is charged yet.

        Raises Overloaded or NoCapacity: the request is not begun.
        """
        center = decision.center
        self._seen_s[decision.query.priority] = now
        if (
            self._queue_ms[center] < self._calm_ms[center]
            and self._metrics.in_flight <= self._roomy
            and self._in_flight[center] < self._allowed[center]
        ):
            return decision
        return self._weigh(decision, now)

    def _weigh(self, decision: Decision, now: float) -> Decision:
        query = decision.query
        number = query.priority or self._default
        if self._limits is not None:
            decision = self._below_limit(decision, now, number)
        rank = self._rank(number, now)
        key = query.vantage if query.tenant == NOBODY else query.tenant
        work_ms = self._service_ms(query.model, decision)
        over = self._shares_of(decision.center, number, now).ask(key, work_ms, now)
        begun: Decision | None = decision
        if self._metrics.in_flight > self._roomy or not self._has_slot(decision.center, now):
            if rank + over:
                begun = self._second(decision, rank + over, now)
            elif self._queue_ms[decision.center] > self._first_ms(decision):
                begun = None
        if begun is None:
            raise self._refusal(self._why_not(decision, number, rank, over), number)
        self._shares_of(begun.center, number, now).give(key, work_ms, now)
        return begun

    def _has_slot(self, center: int, now: float) -> bool:
        """Nobody waits there. While that was otherwise a moment ago, all are accounted for."""
        if self._queue_ms[center] >= CALM_MS:
            self._busy_s[center] = now
            self._calm_ms[center] = -inf
            return False
        if now - self._busy_s[center] > WATCHED_S:
            self._calm_ms[center] = CALM_MS
        return True

    def _first_ms(self, decision: Decision) -> float:
        """How long who stands first may wait."""
        return first_wait_ms(self._alone_ms(decision), self._rules.wait_ms_max)

    def _second(self, decision: Decision, rank: int, now: float) -> Decision | None:
        """Where one with others before it is begun: there, elsewhere, or (None) nowhere."""
        if self._metrics.in_flight > self._roomy:
            return None
        query, center = decision.query, decision.center
        service_ms, network_ms = self._parts_ms(query, decision)
        allowed_ms = second_wait_ms(
            rank, network_ms, service_ms, self._columns["slots"], self._rules.yield_share
        )
        wait_ms, here_ms = self._queue_ms[center], float(allowed_ms[center])
        if wait_ms <= here_ms:
            return decision
        full = np.flatnonzero(self._columns["queue_ms"] > allowed_ms)
        try:
            elsewhere = self._router.decide(query, now, tuple(full.tolist()))
        except NoCenter:
            pass
        else:
            if elsewhere.predicted_ms <= query.deadline_ms:
                elsewhere.tried = ()
                return elsewhere
        alone_ms = self._alone_ms(decision)
        stands = self._standing.is_over(full, center, now, max(GRACE_S, 2e-3 * alone_ms))
        return decision if not stands and wait_ms <= here_ms + alone_ms else None

    def _below_limit(self, decision: Decision, now: float, number: int) -> Decision:
        """Another center's when this one is at its limit."""
        limits = self._limits
        assert limits is not None
        if self._in_flight[decision.center] < self._allowed[decision.center]:
            return decision
        full = tuple(limits.full(self._columns["in_flight"]).tolist())
        try:
            elsewhere = self._router.decide(decision.query, now, full)
        except NoCenter:
            error = NoCapacity(
                "every center that could answer has as much under way as it answers well "
                "(admission.adaptive); try again in a second",
                word="center_limits",
            )
            raise self._refusal(error, number) from None
        elsewhere.tried = ()
        return elsewhere

    def _alone_ms(self, decision: Decision) -> float:
        """What the answer takes without waiting."""
        return max(decision.predicted_ms - self._queue_ms[decision.center], CALM_MS)

    def _parts_ms(self, query: Query, decision: Decision) -> tuple[Array, Array]:
        """float32[N] each: service and round trip, as the fleet predicts them everywhere."""
        tables = {} if self._table is None else self._table.row_tables
        service, network = tables.get("service_ms"), tables.get("rtt_ms")
        service_ms = None if service is None else service.rows.get(query.model)
        network_ms = None if network is None else network.rows.get(query.vantage)
        nothing = self._nothing_ms
        if service_ms is None:
            service_ms = nothing + self._alone_ms(decision)
        return service_ms, nothing if network_ms is None else network_ms

    def _rank(self, number: int, now: float) -> int:
        seen_s, default = self._seen_s, self._default
        if seen_s[0] > seen_s[default]:
            seen_s[default] = seen_s[0]
        return rank_of(number, seen_s, now, self._rules.presence_s)

    def _service_ms(self, model: str, decision: Decision) -> float:
        """What the model runs there, as the fleet predicts it."""
        if self._table is not None:
            rows = self._table.row_tables.get("service_ms")
            row = None if rows is None else rows.rows.get(model)
            if row is not None and row[decision.center] > 0.0:
                return float(row[decision.center])
        return self._alone_ms(decision)

    def _shares_of(self, center: int, number: int, now: float) -> FairShares:
        """Fairness is among those of one class; centers long calm are forgotten."""
        shares = self._shares.get((center, number))
        if shares is None:
            since_s = now - PRESENT_S
            calm = [key for key in self._shares if self._busy_s[key[0]] < since_s]
            for key in calm:
                del self._shares[key]
            shares = self._shares[center, number] = FairShares(self._rules.tenants_max)
        return shares

    # ---- refusals -------------------------------------------------------------------------

    def _refusal(self, error: Shed, number: int | None = None) -> Shed:
        """Count it."""
        self._metrics.shed(error.reason, "" if number is None else str(number))
        return error

    def _why_not(self, decision: Decision, number: int, rank: int, over: bool) -> Shed:
        """The error for a request that is not begun."""
        wait_ms, allowed_ms = self._queue_ms[decision.center], self._first_ms(decision)
        if over and (rank or wait_ms <= allowed_ms):
            tenant = decision.query.tenant
            return over_share(None if tenant == NOBODY else tenant, wait_ms)
        in_flight = self._metrics.in_flight
        if in_flight > self._roomy and rank + over:
            return no_place(number, in_flight, self._in_flight_max)
        return behind_others(number, wait_ms) if rank else too_long(wait_ms, allowed_ms)

    # ---- now and then ---------------------------------------------------------------------

    def learn(self, answers: Array, attempts_ms: Array, now: float) -> None:
        """Of each center, so far: int[N] answers, float64[N] the sum of their attempt times.

        Called a few times a second or more often; nothing is learned unless ``adaptive``.
        """
        if self._limits is None or now < self._learns_at:
            return
        self._learns_at = now + WINDOW_S
        before, self._learned = self._learned, (answers, attempts_ms)
        if before is not None:
            in_flight = self._columns["in_flight"]
            self._limits.learn(answers - before[0], attempts_ms - before[1], in_flight)

    @property
    def adaptive(self) -> bool:
        """Whether ``learn`` is of use."""
        return self._limits is not None

    def state(self, now: float) -> dict[str, Any]:
        """JSON-ready: the bounds and how much of each is taken, who is about, what was refused."""
        seen_s = list(self._seen_s)
        seen_s[self._default] = max(seen_s[0], seen_s[self._default])
        since_s = now - self._rules.presence_s
        limits = self._limits
        return {
            "in_flight": self._metrics.in_flight,
            "in_flight_max": self._in_flight_max,
            "bodies_bytes": self._metrics.bodies_bytes,
            "bodies_bytes_max": self._bytes_max,
            "classes_about": [n for n in range(1, self._classes + 1) if seen_s[n] >= since_s],
            "keys_told_apart": sum(len(shares) for shares in self._shares.values()),
            "limits": None if limits is None else limits.allowed.tolist(),
            "refused": self._metrics.shed_counts(),
        }


def _columns(table: Table | None, centers: int) -> dict[str, Array]:
    """What admission reads of the fleet; without a fleet, or a column of it, nothing is busy."""
    known = {} if table is None else table.columns
    nothing = {
        "queue_ms": np.zeros(centers, dtype=np.float32),
        "in_flight": np.zeros(centers, dtype=np.int32),
        "slots": np.ones(centers, dtype=np.int32),
    }
    return {name: known.get(name, column) for name, column in nothing.items()}
