"""A center's part of a trace: what it did for one request that came in a frame.

It stands between the center and what writes its frames, and passes every event on. When the
gateway calls the request back nothing is heard any more, and the trace ends at the gateway.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.api import Report
from gateway.centers.port import Answered, Attempt, Event, Failed, OnEvent, Whole
from gateway.telemetry.request_record import RequestRecord, Trace
from gateway.telemetry.tracer import Tracer


class ServedSpan:
    """Hears one request's events. ``row``: the center's, among those of the process."""

    __slots__ = ("_clock", "_pass", "_record", "_tracer")

    def __init__(
        self,
        tracer: Tracer,
        trace: Trace,
        attempt: Attempt,
        row: int,
        clock: Callable[[], float],
        pass_on: OnEvent,
    ) -> None:
        now = clock()
        self._tracer = tracer
        self._clock = clock
        self._pass = pass_on
        self._record = RequestRecord(
            attempt.request_id,
            attempt.model,
            attempt.version,
            attempt.route,
            attempt.vantage,
            "",
            now,
            len(attempt.body),
            trace,
            began_s=now,
            decided_s=now,
            center=row,
        )

    def hear(self, event: Event) -> None:
        """What the center calls."""
        self._pass(event)
        if isinstance(event, Whole):
            self._end(event.status, "", event.report)
        elif isinstance(event, Answered):
            self._end(200, "", event.report)
        elif isinstance(event, Failed):
            self._end(event.error.http_status, event.error.reason, event.report)

    def _end(self, status: int, reason: str, report: Report | None) -> None:
        record = self._record
        record.ended_s = self._clock()
        record.status, record.reason, record.report = status, reason, report
        self._tracer.ended(record)
