"""Requests that are watched to their end, for traces and the access log.

Theory of operation. While neither is configured there is no ``Recorder``: a lane finds None among
the collaborators and makes a plain ``Exchange``. With one, a request that is traced, or any while
an access log is written, runs through a ``RecordedExchange``: the same exchange, which besides
notes instants and decisions in a ``RequestRecord`` and hands that on at its end. A traced
attempt is given to its center as a copy that bears its own span's ``traceparent``: two attempts
may be under way at once, and one that waits for a connection is written later. A request that
names a trace and is not traced here passes what it said on as it came.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from gateway.api import NearwayError, Report
from gateway.api.outcome import Ending
from gateway.serving.arrival import Answer, Arrival, Collaborators, Parts
from gateway.serving.exchange import CLIENT_GONE_STATUS, Exchange
from gateway.serving.tries import Try
from gateway.telemetry.access_log import AccessLog, TurnedAway
from gateway.telemetry.request_record import AttemptRecord, RequestRecord, Trace
from gateway.telemetry.tracer import Tracer, traceparent_of

ANSWERED = 200
GIVEN_UP = {CLIENT_GONE_STATUS: "client_gone", 500: "internal"}
"""The reasons of exchanges that end without an error of their own, by status."""


class Recorder:
    """Makes the exchanges of a process that traces or logs requests; at least one of both.

    ``scorers``: the names of the parts of a decision made now.
    """

    __slots__ = ("_clock", "access_log", "scorers", "tracer")

    def __init__(
        self,
        tracer: Tracer | None,
        access_log: AccessLog | None,
        scorers: Callable[[], tuple[str, ...]],
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self.tracer = tracer
        self.access_log = access_log
        self.scorers = scorers

    def exchange(self, with_: Collaborators, arrival: Arrival, answer: Answer) -> Exchange:
        """For one request: recorded if anybody wants to know of it."""
        trace = None
        if self.tracer is not None:
            trace = self.tracer.begin(arrival.traceparent)
        if trace is None and self.access_log is None:
            return Exchange(with_, arrival, answer)
        return RecordedExchange(with_, arrival, answer, self, trace)

    def turned_away(self, request_id: str, model: str, status: int, reason: str) -> None:
        """See ``Recording``."""
        if self.access_log is not None:
            told = TurnedAway(request_id, model, status, reason, self._clock())
            self.access_log.turned_away(told)

    def ended(self, record: RequestRecord) -> None:
        """A watched request is over."""
        if record.trace is not None and self.tracer is not None:
            self.tracer.ended(record)
        if self.access_log is not None:
            self.access_log.ended(record)


class RecordedExchange(Exchange):
    """An exchange that keeps a record of itself."""

    __slots__ = ("_open", "_record", "_recorder")

    def __init__(
        self,
        with_: Collaborators,
        arrival: Arrival,
        answer: Answer,
        recorder: Recorder,
        trace: Trace | None,
    ) -> None:
        super().__init__(with_, arrival, answer)
        query = arrival.query
        self._recorder = recorder
        self._open: dict[Try, AttemptRecord] = {}
        self._record = RequestRecord(
            arrival.request_id,
            query.model,
            arrival.version,
            arrival.route,
            arrival.vantage,
            query.tenant,
            arrival.arrived_s,
            query.body_bytes,
            trace,
        )

    def begin(self) -> None:
        """See ``Exchange``."""
        self._record.began_s = self._with.clock()
        super().begin()

    def _ask(self, this: Try) -> None:
        record, recorder, now = self._record, self._recorder, self._with.clock()
        if not record.attempts:
            record.decided_s = now
        attempt = AttemptRecord(this.decision, recorder.scorers(), now, hedge=this.hedges)
        record.attempts.append(attempt)
        self._open[this] = attempt
        if record.trace is None or recorder.tracer is None:
            super()._ask(this)
            return
        attempt.span_id = recorder.tracer.new_span_id()
        own = self._arrival
        self._arrival = copy.copy(own)
        self._arrival.traceparent = traceparent_of(record.trace, attempt.span_id)
        try:
            super()._ask(this)
        finally:
            self._arrival = own

    def _close(
        self, this: Try, ending: Ending, report: Report | None, reason: str, now: float
    ) -> float:
        attempt_ms = super()._close(this, ending, report, reason, now)
        attempt = self._open.pop(this, None)
        if attempt is not None:
            attempt.ended_s, attempt.attempt_ms = now, attempt_ms
            attempt.ending, attempt.reason, attempt.report = ending, reason, report
        return attempt_ms

    def _fail(self, error: NearwayError) -> None:
        self._record.reason = error.reason
        super()._fail(error)

    def _finish(self, status: int, parts: Parts | None = None, now: float = 0.0) -> None:
        super()._finish(status, parts, now)
        record = self._record
        record.ended_s = self._with.clock()
        record.served = self._arrival.model
        record.status, record.report = status, self.report
        if not record.reason and status in GIVEN_UP:
            record.reason = GIVEN_UP[status]
        if parts is not None:
            assert self.decision is not None
            record.center = self.decision.center
            record.parts_ms = (
                parts.gateway_ms,
                parts.network_ms,
                parts.queue_ms,
                parts.service_ms,
            )
            if record.trace is not None and status == ANSWERED:
                self._with.metrics.traced(record.trace.trace_id, record.parts_ms)
        self._recorder.ended(record)
