"""A request's record as spans: the request, the decision, every attempt, queue and compute.

    infer MODEL (server) ─┬─ decide
                          ├─ attempt (client) ─┬─ queue          when the center is in this
                          │                    └─ compute        process
                          └─ attempt ...

A center process continues the trace below the attempt: ``center`` (server), ``queue`` and
``compute``. Queue and compute are known as durations; they are placed one after the other in the
middle of what surrounds them, half of the rest before and half after. The attempt begins when it
is sent, so it may be shorter by the decision than ``nearway.attempt_ms``, which is what
predictions are held against.

Pure: the record in, spans out, in seconds of the clock the record was made by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

from gateway.api import Report
from gateway.telemetry.request_record import AttemptRecord, RequestRecord, Trace

Kind = Literal["server", "client", "internal"]
Value = str | int | float | bool
MS_DIGITS = 3
SERVER_ERROR = 500
"""OpenTelemetry's convention: what the client did wrong is no error of a server's span."""
GEN_AI_OPERATIONS = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
}
"""By OpenAI's route, the word of OpenTelemetry's conventions for generative AI."""


@dataclass(slots=True)
class Span:
    """``parent_id`` 0: a root. ``remote``: the parent is another process's. ``error``: why it
    failed, empty when it did not.
    """

    name: str
    kind: Kind
    trace_id: int
    span_id: int
    parent_id: int
    start_s: float
    end_s: float
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str = ""
    remote: bool = False


@dataclass(frozen=True, slots=True)
class SpanMaker:
    """``centers`` and ``origins``: names by row. ``here``: rows of centers in this process.

    ``center``: this is a center process, which continues traces and routes nothing.
    """

    centers: Sequence[str]
    origins: Sequence[str]
    new_span_id: Callable[[], int]
    here: Collection[int] = ()
    center: bool = False

    def spans(self, record: RequestRecord) -> list[Span]:
        """The spans of one traced request, parents first; none of one that is not traced."""
        trace = record.trace
        if trace is None:
            return []
        if self.center:
            return list(self._of_center(record, trace))
        return list(self._of_gateway(record, trace))

    def _of_gateway(self, record: RequestRecord, trace: Trace) -> Iterator[Span]:
        yield self._request(record, trace)
        if not record.attempts:
            return
        yield self._decide(record, trace)
        for number, attempt in enumerate(record.attempts, 1):
            span = self._attempt(attempt, number, trace)
            yield span
            if attempt.report is not None and attempt.decision.center in self.here:
                yield from self._inside(span, attempt.report)

    def _of_center(self, record: RequestRecord, trace: Trace) -> Iterator[Span]:
        whole = self._request(record, trace)
        whole.name = "center"
        yield whole
        if record.report is not None:
            yield from self._inside(whole, record.report)

    def _request(self, record: RequestRecord, trace: Trace) -> Span:
        attributes: dict[str, Value] = {
            "nearway.request_id": record.request_id,
            "nearway.model": record.model,
            "nearway.origin": self.origins[record.vantage],
            "http.response.status_code": record.status,
        }
        if not self.center:
            attributes["nearway.tenant"] = record.tenant
            attributes["nearway.attempts"] = len(record.attempts)
        if record.route in GEN_AI_OPERATIONS:
            attributes["gen_ai.operation.name"] = GEN_AI_OPERATIONS[record.route]
            attributes["gen_ai.request.model"] = record.model
        if record.version:
            attributes["nearway.version"] = record.version
        if record.served and record.served != record.model:
            attributes["nearway.degraded_to"] = record.served
        if record.center >= 0:
            attributes["nearway.center"] = self.centers[record.center]
        if record.parts_ms is not None:
            for part, ms in zip(("gateway", "network", "queue", "service"), record.parts_ms,
                                strict=True):  # fmt: skip
                attributes[f"nearway.{part}_ms"] = round(ms, MS_DIGITS)
        if record.reason:
            attributes["error.type"] = record.reason
        return Span(
            f"{record.route or 'infer'} {record.model}",
            "server",
            trace.trace_id,
            trace.span_id,
            trace.parent_id,
            record.arrived_s,
            record.ended_s,
            attributes,
            record.reason if record.status >= SERVER_ERROR else "",
            remote=trace.parent_id != 0,
        )

    def _decide(self, record: RequestRecord, trace: Trace) -> Span:
        first = record.attempts[0]
        return Span(
            "decide",
            "internal",
            trace.trace_id,
            self.new_span_id(),
            trace.span_id,
            record.began_s,
            record.decided_s,
            self._decision(first),
        )

    def _attempt(self, attempt: AttemptRecord, number: int, trace: Trace) -> Span:
        attributes = self._decision(attempt)
        attributes["nearway.attempt"] = number
        attributes["nearway.hedge"] = attempt.hedge
        attributes["nearway.ending"] = attempt.ending
        attributes["nearway.attempt_ms"] = round(attempt.attempt_ms, MS_DIGITS)
        if attempt.report is not None:
            attributes["nearway.network_ms"] = round(attempt.network_ms, MS_DIGITS)
            attributes["nearway.queue_ms"] = round(attempt.report.queue_ms, MS_DIGITS)
            attributes["nearway.service_ms"] = round(attempt.report.service_ms, MS_DIGITS)
        error = ""
        if attempt.reason:
            attributes["error.type"] = attempt.reason
        if attempt.ending == "error":
            error = attempt.reason
        return Span(
            "attempt",
            "client",
            trace.trace_id,
            attempt.span_id,
            trace.span_id,
            attempt.asked_s,
            attempt.ended_s,
            attributes,
            error,
        )

    def _decision(self, attempt: AttemptRecord) -> dict[str, Value]:
        decision = attempt.decision
        told: dict[str, Value] = {"nearway.center": self.centers[decision.center]}
        for scorer, ms in attempt.predicted().items():
            told[f"nearway.predicted.{scorer}_ms"] = round(float(ms), MS_DIGITS)
        if isfinite(decision.predicted_ms):
            told["nearway.predicted_ms"] = round(decision.predicted_ms, MS_DIGITS)
        if decision.runner_up >= 0:
            told["nearway.runner_up"] = self.centers[decision.runner_up]
            told["nearway.runner_up_ms"] = round(decision.runner_up_ms, MS_DIGITS)
        return told

    def _inside(self, around: Span, report: Report) -> Iterator[Span]:
        """Queue and compute, in the middle of ``around``."""
        queue_s, service_s = report.queue_ms * 1e-3, report.service_ms * 1e-3
        rest_s = max(0.0, around.end_s - around.start_s - queue_s - service_s)
        start_s = around.start_s + rest_s / 2
        for name, took_s in (("queue", queue_s), ("compute", service_s)):
            yield Span(
                name,
                "internal",
                around.trace_id,
                self.new_span_id(),
                around.span_id,
                start_s,
                start_s + took_s,
            )
            start_s += took_s
