"""What was seen of one request, from its arrival to its answer: for traces and the access log.

Made only for requests that are watched. Instants are of the process's monotonic clock, rows are
those of the config the request began under.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.api import Decision, Report


@dataclass(frozen=True, slots=True)
class Trace:
    """The span of a request. ``parent_id``: of the client's span; 0: the trace begins here."""

    trace_id: int
    span_id: int
    parent_id: int


@dataclass(slots=True)
class AttemptRecord:
    """One attempt. ``scorers``: the names of ``decision.parts_ms``; ``ending`` empty: open still.

    ``attempt_ms`` counts from the choice, as predictions do; ``asked_s`` is when it was sent.
    ``hedge``: it was a second copy beside the one before. ``span_id``: 0 when it is not traced.
    """

    decision: Decision
    scorers: tuple[str, ...]
    asked_s: float
    span_id: int = 0
    hedge: bool = False
    ended_s: float = 0.0
    attempt_ms: float = 0.0
    ending: str = ""
    reason: str = ""
    report: Report | None = None

    @property
    def network_ms(self) -> float:
        """What the center does not account for; the whole attempt when it reported nothing."""
        if self.report is None:
            return self.attempt_ms
        return max(0.0, self.attempt_ms - self.report.queue_ms - self.report.service_ms)

    def predicted(self) -> dict[str, float]:
        """By scorer, ms."""
        return dict(zip(self.scorers, self.decision.parts_ms, strict=False))


@dataclass(slots=True)
class RequestRecord:
    """One request. ``served``: the model that answered, a smaller one where time was short.

    ``center``: the row that answered, -1: none. ``parts_ms``: gateway, network, queue, service;
    None without an answer. ``report``: what the center said with the answer, or the failure.
    ``reason``: of the error, empty for an answer.
    """

    request_id: str
    model: str
    version: str
    route: str
    vantage: int
    tenant: str
    arrived_s: float
    body_bytes: int = 0
    trace: Trace | None = None
    began_s: float = 0.0
    decided_s: float = 0.0
    ended_s: float = 0.0
    served: str = ""
    status: int = 0
    reason: str = ""
    center: int = -1
    parts_ms: tuple[float, float, float, float] | None = None
    report: Report | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
