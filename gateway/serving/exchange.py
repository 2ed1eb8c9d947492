"""One request through the gateway: a state machine without I/O and without coroutines.

Theory of operation. An ``Exchange`` is made for one ``Arrival`` and hears plain callbacks:
the lane calls ``begin`` once and ``cancel`` when the client has gone; centers call
``Try.hear``; timers call back through ``call_at``. It answers through an ``Answer`` sink.

    begin ─ decide ─ commit ─ start ──▶ WAITING ─ Head, Chunk ─▶ WAITING (bytes are held back)
                        ▲                  │ Failed, silent          │ Whole,          │ turn over
                        └── next, commit ◀─┘ (nothing sent yet,      ▼ Answered        ▼
                            attempts and time left)               (HELD) ─▶ DONE   STREAMING ─▶ DONE

* Between arrival, decision and charge nothing is awaited: ``decide`` and ``commit`` happen in
  one turn of the loop, and so do ``next`` and ``commit``.
* ``router.ended`` is called exactly once for every ``router.commit``: a ``Try`` is open from
  its commit until ``_close``, which is the only caller of ``ended``; a closed try is deaf.
* At most one try is open. The answer hears ``send_whole``; or ``send_head``, ``send_chunk``...,
  ``send_end``; or ``fail``, which may also follow a head when a center breaks off; nothing
  follows the last.
* Server-Timing stands in the head and needs what the center reports at the end. So the head
  is held until the answer is whole, or until the turn after its first bytes: then it is a
  stream, and its head carries no parts. Until the head is out another center may be tried.
* An outcome says what happened (answer, error with its reason, cancelled by the client); whom
  to blame for it, for a refused request or a short deadline, is the fleet's to judge.
* ``Deadlines`` watches the open try: silent for longer than ``attempt_timeout_ms`` grants, or
  the deadline, whichever is first. A try is cut off for its silence only when another may
  follow. When it is looked at late the loop was held up, and answers may lie there unread: the
  try is given as long again as that was late, once.
* A retry is paid from the budget all exchanges share, from its start to its end.

It never reads a body, never sleeps and knows no clock but the one it is given.
"""

from __future__ import annotations

from math import inf

from gateway.api import (
    CenterFailed,
    Decision,
    NearwayError,
    Report,
)
from gateway.api.outcome import Ending
from gateway.centers.port import Answered, Chunk, Event, Failed, Head, Whole
from gateway.routing.attempts import QUANTILE, TIMED_OUT, attempt_timeout_ms, may_retry
from gateway.serving.arrival import Answer, Arrival, Collaborators, Parts, Timer
from gateway.serving.held_answer import HeldAnswer
from gateway.serving.tries import (
    Try,
    budget_spent,
    deadline_error,
    in_a_list,
    nobody_answered,
    silent_error,
    too_late,
    waiting_for,
)

CLIENT_GONE_STATUS = 499
LATE_TIMER_S = 0.005


class Exchange:
    """One request, from its arrival to its answer. ``decision`` is the latest one."""

    __slots__ = (
        "_answer",
        "_answered",
        "_arrival",
        "_done",
        "_failures",
        "_held",
        "_hold",
        "_kept",
        "_network_ms",
        "_timeouts",
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
        self._held = False
        self._hold: Timer | None = None
        self._try: Try | None = None
        self._tries = 0
        self._timeouts = 0
        self._failures: list[str] = []
        self._kept: HeldAnswer | None = None
        self._answered: Answered | Whole | None = None
        self._network_ms = 0.0
        self.decision: Decision | None = None

    @property
    def report(self) -> Report | None:
        """What the center that answered says of itself; None while there is no answer."""
        return None if self._answered is None else self._answered.report

    @property
    def drawn_ms(self) -> float | None:
        """The emulated delay of the answer; None where there is neither."""
        return None if self._answered is None else self._answered.drawn_ms

    @property
    def _heard(self) -> HeldAnswer:
        """What came in parts. Most answers come whole and need none."""
        if self._kept is None:
            self._kept = HeldAnswer(self._answer)
        return self._kept

    @property
    def _streaming(self) -> bool:
        return self._kept is not None and self._kept.streaming

    # ---- what the lane calls --------------------------------------------------------------

    def begin(self) -> None:
        """Decide, charge and start the first attempt, all in this turn."""
        with_, arrival = self._with, self._arrival
        now = with_.clock()
        if now >= arrival.deadline_s:
            self._fail(deadline_error(arrival, ()))
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
            self._try.call.cancel()
            self._close(self._try, "cancelled", None, "client_gone", self._with.clock())
        self._finish(CLIENT_GONE_STATUS)

    def pause(self) -> None:
        """The client reads slowly: no more chunks for now."""
        if self._try is not None:
            self._try.call.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self._try is not None:
            self._try.call.resume()

    # ---- attempts -------------------------------------------------------------------------

    def _start(self, decision: Decision, now: float, *, paid: bool = False) -> None:
        with_, arrival, center = self._with, self._arrival, decision.center
        with_.router.commit(decision, now)
        self.decision = decision
        self._tries += 1
        this = self._try = Try(self, decision, now, paid=paid)
        this.call = with_.ports[center].start(arrival, this.hear)
        with_.deadlines.add(self._look_s(this), this)
        with_.metrics.decided(center, (with_.clock() - now) * 1e3, self._tries)
        if with_.router.asks_probes and with_.probing is not None:
            with_.probing.ask(arrival.vantage, now)

    def _look_s(self, this: Try) -> float:
        """When the try is looked at first.

        With time enough for another one, no patience is shorter than the floor, and nearly all
        tries are over by then: how long it really is will be worked out when somebody looks.
        """
        floor_s = self._with.attempts.timeout_ms * 1e-3
        if this.decision.runner_up_ms == inf:
            return self._arrival.deadline_s  # nobody else to try
        look_s = this.started_s + floor_s
        if look_s + this.decision.runner_up_ms * 1e-3 < self._arrival.deadline_s:
            return look_s
        return self._due_s(this)

    def _patience_s(self, this: Try) -> float:
        """How long the attempt may be silent before another center is tried."""
        with_, decision = self._with, this.decision
        attempts = with_.attempts
        timeout_ms = attempt_timeout_ms(
            (self._arrival.deadline_s - this.started_s) * 1e3,
            decision.runner_up_ms if self._tries < attempts.max else inf,
            with_.router.quantile_ms(decision, QUANTILE),
            floor_ms=attempts.timeout_ms,
            timeouts=self._timeouts,
        )
        return timeout_ms / 1e3

    def _due_s(self, this: Try) -> float:
        """When the open try's time is over: silence or the deadline, whichever is first."""
        if this.patience_s is None:
            this.patience_s = self._patience_s(this)
        silent_s = this.heard_s + this.patience_s
        deadline_s = self._arrival.deadline_s
        return silent_s if silent_s < deadline_s else deadline_s

    def out_of_patience(self, this: Try) -> None:
        """The open try is due."""
        now = self._with.clock()
        due_s = self._due_s(this)
        if now >= self._arrival.deadline_s:
            name = self._with.centers[this.decision.center]
            error = deadline_error(self._arrival, self._failures, waiting_for(this, name, now))
            this.call.cancel()
            self._close(this, "error", None, error.reason, now)
            self._fail(error)
        elif now < due_s:
            self._wait_until(this, due_s)
        elif now - due_s > LATE_TIMER_S and not this.late_once:
            this.late_once = True
            self._wait_until(this, now + (now - due_s))
        elif not self._streaming and not self._with.retries.room(self._with.metrics.in_flight):
            self._with.metrics.retry_refused()
            this.patience_s = 2.0 * (this.patience_s or 0.0)
            self._wait_until(this, self._due_s(this))
        else:
            self._give_up(this, now)

    def _wait_until(self, this: Try, due_s: float) -> None:
        deadline_s = self._arrival.deadline_s
        self._with.deadlines.add(min(due_s, deadline_s), this)

    def _give_up(self, this: Try, now: float) -> None:
        """Cut off a silent try."""
        this.call.cancel()
        name = self._with.centers[this.decision.center]
        error = silent_error(name, (now - this.heard_s) * 1e3)
        self._timeouts += 1
        self._close(this, "error", None, TIMED_OUT, now)
        self._failed(this, error, now)

    def _close(
        self, this: Try, ending: Ending, report: Report | None, reason: str, now: float
    ) -> float:
        """The one place where a try ends; returns how long it took, ms."""
        this.open = False
        # Neither the center's side nor the deadlines keep this exchange and its body alive.
        del this.call, this.exchange
        if this.paid:
            self._with.retries.release()
        self._try = None
        outcome = this.outcome(ending, report, reason, now)
        self._with.router.ended(outcome)
        self._with.metrics.attempt_ended(ending, outcome.predicted_ms, outcome.attempt_ms)
        return outcome.attempt_ms

    # ---- what centers say -----------------------------------------------------------------

    def hear(self, this: Try, event: Event) -> None:
        """An event of the open try."""
        if isinstance(event, Chunk):
            self._hear_chunk(this, event.payload)
        elif isinstance(event, Head):
            this.heard_s = self._with.clock()
            self._heard.head = event
        elif isinstance(event, Answered):
            self._hear_end(this, event)
        elif isinstance(event, Failed):
            self._hear_failure(this, event)

    def _hear_chunk(self, this: Try, payload: bytes) -> None:
        this.heard_s = self._with.clock()
        heard = self._heard
        if not heard.streaming:
            if not heard.chunks:
                self._with.call_soon(self._turn_over)
            elif heard.full:
                self._turn_over()
        heard.add(payload)

    def hear_whole(self, this: Try, whole: Whole) -> None:
        """The open try is answered in one event."""
        now = self._with.clock()
        self._account(this, whole, now)
        if self._with.planted_delay_s <= 0.0:
            self._send_whole(whole, now)
        else:
            self._hold_back(now)

    def _hear_end(self, this: Try, answered: Answered) -> None:
        if self._heard.head is None:
            self._hear_failure(this, Failed(CenterFailed("answered without a head")))
            return
        now = self._with.clock()
        self._account(this, answered, now)
        if self._held:
            return
        if self._heard.streaming or self._with.planted_delay_s <= 0.0:
            self._send_rest(now)
        else:
            self._hold_back(now)

    def _account(self, this: Try, answered: Answered | Whole, now: float) -> None:
        """The try is answered: close it, and tell the network from the rest."""
        report = answered.report
        attempt_ms = self._close(this, "answer", report, "", now)
        self._answered = answered
        drawn_ms = answered.drawn_ms
        if drawn_ms is None:
            drawn_ms = attempt_ms - report.queue_ms - report.service_ms
        self._network_ms = drawn_ms if drawn_ms > 0.0 else 0.0

    def _hear_failure(self, this: Try, failed: Failed) -> None:
        now = self._with.clock()
        self._close(this, "error", failed.report, failed.error.reason, now)
        self._failed(this, failed.error, now)

    # ---- the answer -----------------------------------------------------------------------

    def _turn_over(self) -> None:
        """The answer was not whole in the turn of its first bytes: it is a stream."""
        heard = self._heard
        if self._done or self._held or heard.streaming or heard.head is None or not heard.chunks:
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
        this = self._try
        assert this is not None
        this.patience_s = self._with.attempts.silence_ms / 1e3
        self._heard.send(this.decision.center, None)

    def _send_rest(self, now: float) -> None:
        answered, decision = self._answered, self.decision
        assert answered is not None
        assert decision is not None
        if isinstance(answered, Whole):
            self._send_whole(answered, now)
            return
        heard, parts = self._heard, self._parts(answered.report, now)
        if not heard.streaming:
            heard.send(decision.center, parts)
        assert heard.head is not None
        self._finish(heard.head.status, parts)
        self._answer.send_end()

    def _send_whole(self, whole: Whole, now: float) -> None:
        parts = self._parts(whole.report, now)
        self._finish(whole.status, parts)
        assert self.decision is not None
        self._answer.send_whole(whole, self.decision.center, parts)

    def _parts(self, report: Report, now: float) -> Parts:
        """Where the time went; the gateway's own is what the other three leave."""
        network_ms, queue_ms, service_ms = self._network_ms, report.queue_ms, report.service_ms
        gateway_ms = (now - self._arrival.arrived_s) * 1e3 - network_ms - queue_ms - service_ms
        return Parts(gateway_ms if gateway_ms > 0.0 else 0.0, network_ms, queue_ms, service_ms)

    def _failed(self, this: Try, error: NearwayError, now: float) -> None:
        """Try another center when that may help and nothing has been sent."""
        if self._streaming or not error.another_center_may_help:
            self._fail(error)
            return
        self._failures.append(in_a_list(error))
        self._forget_answer()
        try:
            decision = self._retry(this.decision, now)
        except NearwayError as last:
            self._fail(last)
        else:
            self._start(decision, now, paid=True)

    def _forget_answer(self) -> None:
        self._kept = None
        if self._hold is not None:
            self._hold.cancel()
            self._hold, self._held = None, False

    def _retry(self, failed: Decision, now: float) -> Decision:
        """Another decision, paid from the budget. Raises what the client is told instead."""
        with_, failures = self._with, self._failures
        attempts = with_.attempts
        remaining_ms = (self._arrival.deadline_s - now) * 1e3
        another_ms = failed.runner_up_ms
        if another_ms == inf:
            another_ms = 0.0  # the router knows best whether and why nobody is left
        if not may_retry(
            another_may_help=True,
            bytes_sent=self._streaming,
            tries=self._tries,
            tries_max=attempts.max,
            remaining_ms=remaining_ms,
            predicted_ms=another_ms,
        ):
            if self._tries >= attempts.max and remaining_ms > 0.0:
                raise nobody_answered(self._tries, attempts.max, failures)
            late = too_late(remaining_ms, another_ms) if remaining_ms > 0.0 else None
            raise deadline_error(self._arrival, failures, late)
        try:
            decision = with_.router.next(failed, now)
        except NearwayError as error:
            failures.append(in_a_list(error))
            raise nobody_answered(self._tries, attempts.max, failures) from error
        if not with_.retries.take(with_.metrics.in_flight):
            with_.metrics.retry_refused()
            failures.append(budget_spent(with_.retries.in_flight))
            raise nobody_answered(self._tries, attempts.max, failures)
        return decision

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
