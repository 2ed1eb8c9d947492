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
* At most two tries are open, the second a hedge (see ``hedges``); the first to be heard of wins
  and the other is called back.
* The answer hears ``send_whole``; or ``send_head``, ``send_chunk``..., ``send_end``; or ``fail``,
  which may also follow a head when a center breaks off; nothing follows the last.
* Server-Timing stands in the head and needs what the center reports at the end. So the head
  is held until the answer is whole, or until the turn after its first bytes: then it is a
  stream, and its head carries no parts. Until the head is out another center may be tried.
* An outcome says what happened (answer, error with its reason, cancelled by the client); whom
  to blame for it, for a refused request or a short deadline, is the fleet's to judge.
* What tries are begun, watched, hedged and given up by stands in ``attempting``.

It never reads a body, never sleeps and knows no clock but the one it is given.
"""

from __future__ import annotations

from gateway.api import (
    CenterFailed,
    NearwayError,
    Report,
)
from gateway.centers.port import Answered, Chunk, Event, Failed, Head, Whole
from gateway.serving.arrival import Answer, Arrival, Collaborators, Parts, TextArrival, Timer
from gateway.serving.attempting import Attempting
from gateway.serving.held_answer import HeldAnswer
from gateway.serving.in_time import in_time
from gateway.serving.measured import MeasuredAnswer
from gateway.serving.tries import Try, deadline_error

CLIENT_GONE_STATUS = 499


class Exchange(Attempting):
    """One request, from its arrival to its answer. ``decision`` is the latest one."""

    __slots__ = (
        "_answer",
        "_answered",
        "_done",
        "_held",
        "_hold",
        "_kept",
        "_network_ms",
    )

    def __init__(self, collaborators: Collaborators, arrival: Arrival, answer: Answer) -> None:
        super().__init__(collaborators, arrival)
        self._answer = answer
        self._done = False
        self._held = False
        self._hold: Timer | None = None
        self._kept: HeldAnswer | None = None
        self._answered: Answered | Whole | None = None
        self._network_ms = 0.0

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
        try:
            table = with_.router.explain(query, now) if with_.decisions.due() else None
            decision = with_.router.decide(query, now)
            if decision.predicted_ms > query.deadline_ms:
                decision = in_time(with_, arrival, decision, now)
            if with_.admission is not None:
                decision = with_.admission.admit(decision, now)
        except NearwayError as error:
            self._fail(error)
            return
        if table is not None:
            explained = with_.decisions.add(arrival.request_id, decision, table, now)
            self._answer = MeasuredAnswer(self._answer, explained)
        self._start(decision, now)

    def cancel(self, status: int = CLIENT_GONE_STATUS) -> None:
        """The client has gone: nothing is answered, the center is told. Harmless when done.

        ``status`` 500: the client is there, and something nobody foresaw went wrong here.
        """
        if self._done:
            return
        reason = "client_gone" if status == CLIENT_GONE_STATUS else "internal"
        while self._try is not None:
            self._call_back(self._try, reason, self._with.clock())
        self._finish(status)

    def pause(self) -> None:
        """The client reads slowly: no more chunks for now."""
        if self._try is not None:
            self._try.call.pause()

    def resume(self) -> None:
        """The client reads again."""
        if self._try is not None:
            self._try.call.resume()

    # ---- what centers say -----------------------------------------------------------------

    def hear(self, this: Try, event: Event) -> None:
        """An event of the open try."""
        if isinstance(event, Chunk):
            self._hear_chunk(this, event.payload)
        elif isinstance(event, Head):
            this.heard_s = self._with.clock()
            if self._hedge is not None:
                self._outrun(this, this.heard_s)
            this.relay = event.relay
            self._heard.head = event
            if isinstance(self._arrival, TextArrival):
                self._arrival.begun_s = this.heard_s
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
        if self._hedge is not None:
            self._outrun(this, now)
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
        self._failed(this, failed.error, failed.error.reason, now)

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
        arrival = self._arrival
        if isinstance(arrival, TextArrival):
            this.patience_s = arrival.silence_s
        else:
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
        self._finish(heard.head.status, parts, now)
        self._answer.send_end()

    def _send_whole(self, whole: Whole, now: float) -> None:
        parts = self._parts(whole.report, now)
        self._finish(whole.status, parts, now)
        assert self.decision is not None
        self._answer.send_whole(whole, self.decision.center, parts)

    def _parts(self, report: Report, now: float) -> Parts:
        """Where the time went; the gateway's own is what the other three leave."""
        network_ms, queue_ms, service_ms = self._network_ms, report.queue_ms, report.service_ms
        gateway_ms = (now - self._arrival.arrived_s) * 1e3 - network_ms - queue_ms - service_ms
        return Parts(gateway_ms if gateway_ms > 0.0 else 0.0, network_ms, queue_ms, service_ms)

    def _forget_answer(self) -> None:
        self._kept = None
        if self._hold is not None:
            self._hold.cancel()
            self._hold, self._held = None, False

    def _fail(self, error: NearwayError) -> None:
        self._finish(error.http_status)
        self._answer.fail(error)

    def _finish(self, status: int, parts: Parts | None = None, now: float = 0.0) -> None:
        self._done = True
        if self._hold is not None:
            self._hold.cancel()
        model, metrics = self._arrival.query.model, self._with.metrics
        if status == 200 and parts is not None:
            metrics.answered(
                model, parts.gateway_ms, parts.network_ms, parts.queue_ms, parts.service_ms
            )
            assert self.decision is not None
            metrics.recent.add(
                now,
                self._arrival.vantage,
                self.decision.center,
                parts.gateway_ms,
                parts.network_ms,
                parts.queue_ms,
                parts.service_ms,
            )
        else:
            metrics.refused(model, status)
