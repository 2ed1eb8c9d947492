"""One request through the gateway: a state machine without I/O and without coroutines.

Theory of operation. An ``Exchange`` is made for one ``Arrival`` and hears plain callbacks:
the lane calls ``begin`` once and ``cancel`` when the client has gone; centers call
``_Try.hear``; timers call back through ``call_at``. It answers through an ``Answer`` sink.

    begin ─ decide ─ commit ─ start ──▶ WAITING ─ Head, Chunk ─▶ WAITING (bytes are held back)
                        ▲                  │ Failed, silent          │ Answered        │ turn over
                        └── next, commit ◀─┘ (nothing sent yet,      ▼                 ▼
                            attempts and time left)               (HELD) ─▶ DONE   STREAMING ─▶ DONE

* Between arrival, decision and charge nothing is awaited: ``decide`` and ``commit`` happen in
  one turn of the loop, and so do ``next`` and ``commit``.
* ``router.ended`` is called exactly once for every ``router.commit``: a ``_Try`` is open from
  its commit until ``_close``, which is the only caller of ``ended``; a closed try is deaf.
* At most one try is open. The answer hears ``send_head``, ``send_chunk``..., ``send_end``, or
  ``fail``, which may also follow a head when a center breaks off; nothing follows the last.
* Server-Timing stands in the head and needs what the center reports at the end. So the head
  is held until the answer is whole, or until the turn after its first bytes: then it is a
  stream, and its head carries no parts. Until the head is out another center may be tried.
* An outcome says what happened (answer, error with its reason, cancelled by the client); whom
  to blame for it, for a refused request or a short deadline, is the fleet's to judge.
* A timer watches the open try: silent for ``max(attempts.timeout_ms, 4 x predicted)``, or the
  deadline, whichever is first.

It never reads a body, never sleeps and knows no clock but the one it is given.
"""

from __future__ import annotations

from gateway.api import (
    CenterDown,
    CenterError,
    CenterFailed,
    DeadlineExceeded,
    Decision,
    NearwayError,
    Outcome,
    Report,
)
from gateway.api.outcome import Ending
from gateway.centers.port import Answered, Attempt, Cancel, Chunk, Event, Failed, Head
from gateway.serving.arrival import Answer, Arrival, Collaborators, Parts, Timer

HELD_BYTES_MAX = 64 * 1024
CLIENT_GONE_STATUS = 499
PATIENCE_FACTOR = 4.0


class _Try:
    """One attempt at one center, open from its commit to its outcome."""

    __slots__ = ("cancel_center", "decision", "exchange", "heard_s", "open", "started_s", "timer")

    cancel_center: Cancel
    timer: Timer

    def __init__(self, exchange: Exchange, decision: Decision, now: float) -> None:
        self.exchange = exchange
        self.decision = decision
        self.started_s = now
        self.heard_s = now
        self.open = True

    def hear(self, event: Event) -> None:
        """What the center calls; nothing is heard once the try is closed."""
        if self.open:
            self.exchange._hear(self, event)

    def on_timer(self) -> None:
        """Silent for too long, or the deadline."""
        if self.open:
            self.exchange._out_of_patience(self)


class Exchange:
    """One request, from its arrival to its answer. ``decision`` is the latest one."""

    __slots__ = (
        "_answer",
        "_answered",
        "_arrival",
        "_chunks",
        "_done",
        "_failures",
        "_head",
        "_held",
        "_held_bytes",
        "_hold",
        "_network_ms",
        "_streaming",
        "_tries",
        "_try",
        "_with",
        "decision",
    )

    def __init__(self, collaborators: Collaborators, arrival: Arrival, answer: Answer) -> None:
        self._with = collaborators
        self._arrival = arrival
        self._answer = answer
        self._done = False
        self._streaming = False
        self._held = False
        self._hold: Timer | None = None
        self._try: _Try | None = None
        self._tries = 0
        self._failures: list[str] = []
        self._head: Head | None = None
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._answered: Answered | None = None
        self._network_ms = 0.0
        self.decision: Decision | None = None

    # ---- what the lane calls --------------------------------------------------------------

    def begin(self) -> None:
        """Decide, charge and start the first attempt, all in this turn."""
        with_, arrival = self._with, self._arrival
        now = with_.clock()
        if now >= arrival.deadline_s:
            self._fail(self._deadline_error(now))
            return
        query = arrival.query
        table = with_.router.explain(query, now) if with_.decisions.due() else None
        try:
            decision = with_.router.decide(query, now)
        except NearwayError as error:
            self._fail(error)
            return
        if table is not None:
            with_.decisions.add(arrival.request_id, decision, table, now)
        self._start(decision, now)

    def cancel(self) -> None:
        """The client has gone: nothing is answered, the center is told. Harmless when done."""
        if self._done:
            return
        if self._try is not None:
            self._try.cancel_center()
            self._close(self._try, "cancelled", None, "client_gone", self._with.clock())
        self._finish(CLIENT_GONE_STATUS)

    # ---- attempts -------------------------------------------------------------------------

    def _start(self, decision: Decision, now: float) -> None:
        with_, arrival = self._with, self._arrival
        with_.router.commit(decision, now)
        self.decision = decision
        self._tries += 1
        this = self._try = _Try(self, decision, now)
        query = arrival.query
        attempt = Attempt(
            arrival.request_id,
            query.vantage,
            query.model,
            arrival.version,
            arrival.body,
            arrival.head_bytes,
            arrival.deadline_s,
        )
        this.cancel_center = with_.ports[decision.center].start(attempt, this.hear)
        this.timer = with_.call_at(self._due_s(this), this.on_timer)
        decision_ms = (with_.clock() - now) * 1e3
        with_.metrics.decided(decision.center, decision_ms, retry=self._tries > 1)

    def _due_s(self, this: _Try) -> float:
        """When the open try's time is over: silence or the deadline, whichever is first."""
        timeout_ms = self._with.attempts.timeout_ms
        patience_ms = this.decision.predicted_ms * PATIENCE_FACTOR
        if timeout_ms < patience_ms:
            timeout_ms = patience_ms
        silent_s = this.heard_s + timeout_ms / 1e3
        deadline_s = self._arrival.deadline_s
        return silent_s if silent_s < deadline_s else deadline_s

    def _out_of_patience(self, this: _Try) -> None:
        now = self._with.clock()
        due_s = self._due_s(this)
        if now < due_s:
            this.timer = self._with.call_at(due_s, this.on_timer)
            return
        this.cancel_center()
        if now >= self._arrival.deadline_s:
            error = self._deadline_error(now, waiting_for=this)
            self._close(this, "error", None, error.reason, now)
            self._fail(error)
            return
        silent_ms = (now - this.heard_s) * 1e3
        name = self._with.centers[this.decision.center]
        silent = CenterDown(f"center {name} was silent for {silent_ms:.0f} ms")
        self._close(this, "error", None, silent.reason, now)
        self._failed(this, silent, now)

    def _close(
        self, this: _Try, ending: Ending, report: Report | None, reason: str, now: float
    ) -> float:
        """The one place where a try ends; returns how long it took, ms."""
        this.open = False
        this.cancel_center = _nothing  # it holds the center's side, which holds this try's
        self._try = None
        this.timer.cancel()
        decision = this.decision
        attempt_ms = (now - this.started_s) * 1e3
        query = decision.query
        self._with.router.ended(
            Outcome(
                decision.center,
                query.vantage,
                query.model,
                ending,
                attempt_ms,
                report,
                decision.predicted_ms,
                decision.charged_ms,
                now,
                reason,
                decision.token,
            )
        )
        self._with.metrics.attempt_ended(ending, decision.predicted_ms, attempt_ms)
        return attempt_ms

    # ---- what centers say -----------------------------------------------------------------

    def _hear(self, this: _Try, event: Event) -> None:
        if isinstance(event, Head):
            this.heard_s = self._with.clock()
            self._head = event
        elif isinstance(event, Chunk):
            self._hear_chunk(this, event.payload)
        elif isinstance(event, Answered):
            self._hear_end(this, event)
        elif isinstance(event, Failed):
            self._hear_failure(this, event)

    def _hear_chunk(self, this: _Try, payload: bytes) -> None:
        this.heard_s = self._with.clock()
        if self._streaming:
            self._answer.send_chunk(payload)
            return
        if not self._chunks:
            self._with.call_soon(self._turn_over)
        elif self._held_bytes > HELD_BYTES_MAX:
            self._turn_over()
            if self._streaming:
                self._answer.send_chunk(payload)
                return
        self._chunks.append(payload)
        self._held_bytes += len(payload)

    def _hear_end(self, this: _Try, answered: Answered) -> None:
        if self._head is None:
            self._hear_failure(this, Failed(CenterFailed("answered without a head")))
            return
        now = self._with.clock()
        report = answered.report
        attempt_ms = self._close(this, "answer", report, "", now)
        self._answered = answered
        drawn_ms = answered.drawn_ms
        if drawn_ms is None:
            drawn_ms = max(0.0, attempt_ms - report.queue_ms - report.service_ms)
        self._network_ms = drawn_ms
        if self._held:
            return
        if self._streaming or self._with.planted_delay_s <= 0.0:
            self._send_rest(now)
        else:
            self._hold_back(now)

    def _hear_failure(self, this: _Try, failed: Failed) -> None:
        now = self._with.clock()
        self._close(this, "error", failed.report, failed.error.reason, now)
        self._failed(this, failed.error, now)

    # ---- the answer -----------------------------------------------------------------------

    def _turn_over(self) -> None:
        """The answer was not whole in the turn of its first bytes: it is a stream."""
        if self._done or self._held or self._streaming or self._head is None or not self._chunks:
            return
        if self._with.planted_delay_s > 0.0:
            self._hold_back(self._with.clock())
        else:
            self._send_first()

    def _hold_back(self, now: float) -> None:
        self._held = True
        self._hold = self._with.call_at(now + self._with.planted_delay_s, self._let_go)

    def _let_go(self) -> None:
        if self._done:
            return
        self._held = False
        if self._answered is not None:
            self._send_rest(self._with.clock())
        elif self._try is not None:
            self._send_first()

    def _send_first(self) -> None:
        head, this = self._head, self._try
        assert head is not None
        assert this is not None
        self._streaming = True
        self._answer.send_head(head, this.decision.center, None)
        for payload in self._chunks:
            self._answer.send_chunk(payload)
        self._chunks = []

    def _send_rest(self, now: float) -> None:
        answered, head, decision = self._answered, self._head, self.decision
        assert answered is not None
        assert head is not None
        assert decision is not None
        report, network_ms = answered.report, self._network_ms
        total_ms = (now - self._arrival.arrived_s) * 1e3
        others_ms = network_ms + report.queue_ms + report.service_ms
        parts = Parts(
            max(0.0, total_ms - others_ms), network_ms, report.queue_ms, report.service_ms
        )
        if not self._streaming:
            self._answer.send_head(head, decision.center, parts)
            for payload in self._chunks:
                self._answer.send_chunk(payload)
        self._finish(head.status, parts)
        self._answer.send_end()

    def _failed(self, this: _Try, error: NearwayError, now: float) -> None:
        """Try another center when that may help and nothing has been sent."""
        if self._streaming or not error.another_center_may_help:
            self._fail(error)
            return
        self._failures.append(_without_stop(str(error)))
        self._head = None
        self._chunks = []
        self._held_bytes = 0
        if self._hold is not None:
            self._hold.cancel()
            self._hold, self._held = None, False
        if now >= self._arrival.deadline_s:
            self._fail(self._deadline_error(now))
            return
        decision = self._next(this.decision, now) if self._tries < self._with.attempts.max else None
        if decision is None:
            self._fail(self._nobody_answered())
        else:
            self._start(decision, now)

    def _next(self, decision: Decision, now: float) -> Decision | None:
        try:
            return self._with.router.next(decision, now)
        except NearwayError as error:
            self._failures.append(_without_stop(str(error)))
            return None

    def _fail(self, error: NearwayError) -> None:
        self._finish(error.http_status)
        self._answer.fail(error)

    def _finish(self, status: int, parts: Parts | None = None) -> None:
        self._done = True
        if self._hold is not None:
            self._hold.cancel()
        model, metrics = self._arrival.query.model, self._with.metrics
        if status == 200 and parts is not None:
            metrics.answered(
                model, parts.gateway_ms, parts.network_ms, parts.queue_ms, parts.service_ms
            )
        else:
            metrics.refused(model, status)

    # ---- messages -------------------------------------------------------------------------

    def _nobody_answered(self) -> CenterError:
        return CenterDown(
            f"no center answered in {self._tries} of {self._with.attempts.max} attempts: "
            f"{'; '.join(self._failures)}. GET /fleet at the admin door shows their health"
        )

    def _deadline_error(self, now: float, *, waiting_for: _Try | None = None) -> DeadlineExceeded:
        arrival = self._arrival
        budget_ms = (arrival.deadline_s - arrival.arrived_s) * 1e3
        spent = list(self._failures)
        if waiting_for is not None:
            name = self._with.centers[waiting_for.decision.center]
            waited_ms = (now - waiting_for.started_s) * 1e3
            spent.append(
                f"{waited_ms:.1f} ms waiting for center {name} "
                f"({waiting_for.decision.predicted_ms:.1f} predicted)"
            )
        return DeadlineExceeded(
            f"the budget of {budget_ms:.1f} ms is spent: "
            f"{'; '.join(spent) or 'nothing was left when the request had been read'}. "
            "Ask for more with x-request-timeout-ms, at most attempts.deadline_ms"
        )


def _nothing() -> None:
    """Stands for the cancel of a try that is over: no cycle is left for the collector."""


def _without_stop(message: str) -> str:
    return message.rstrip(". ")
