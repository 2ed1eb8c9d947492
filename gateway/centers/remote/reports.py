"""What a remote center says of itself with an answer, as a ``Report``.

From ``endpoint-load-metrics`` (ORCA); its queue and service times from ``Server-Timing`` where
the load report has none. A report that cannot be read is as good as none: a center is not ill
because it counts badly.
"""

from __future__ import annotations

from gateway.api import InvalidRequest, Report
from gateway.centers.remote.answer_head import AnswerHead
from gateway.wire import orca, parse_server_timing

NOTHING_RAN = "service;dur=0.0000"
"""How our own ``Server-Timing`` ends for an answer that the center had already."""
SERVICE_MS_MIN = 1e-3
"""Of a center that does not tell it: 0 would say that nothing ran."""


def told_report(head: AnswerHead) -> Report | None:
    """None when it tells nothing; ``service_ms`` is 0 when it tells its load alone."""
    report = None
    if head.load:
        try:
            report = orca.parse(head.load)
        except InvalidRequest:
            report = None
    if head.timing and (report is None or not report.service_ms):
        parts = parse_server_timing(head.timing)
        if "service" in parts:
            report = report or Report(0.0, 0.0)
            report.queue_ms, report.service_ms = parts.get("queue", 0.0), parts["service"]
    return report


def answer_report(head: AnswerHead, attempt_ms: float, waited_ms: float, path_ms: float) -> Report:
    """The report of an answered attempt.

    ``attempt_ms``: from sending to the last byte, ``waited_ms``: before that, for a
    connection; ``path_ms``: the round trip, for a center that does not tell its service time.
    """
    report = told_report(head) if head.load or head.timing else None
    if report is None or not (report.service_ms or head.timing.endswith(NOTHING_RAN)):
        rest_ms = attempt_ms - path_ms
        service_ms = rest_ms if rest_ms > SERVICE_MS_MIN else SERVICE_MS_MIN
        if report is None:
            return Report(waited_ms, service_ms)
        report.service_ms = max(SERVICE_MS_MIN, service_ms - report.queue_ms)
    report.queue_ms += waited_ms
    return report
