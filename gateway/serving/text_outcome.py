"""What the router learns of an attempt that was answered with text: its time to the first token.

How long a text takes is mostly how long it is, which says nothing of the center. What centers can
be compared by, and what is predicted, is when the first token comes. Of a stream it is known: it is
what is left of the time until its head, when the way (all of the attempt less what the center says
of itself) and the queue are taken off. Of an answer in one piece nobody knows; there the center is
taken to have been as fast as expected, so that only the way is learned from it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.api import Outcome

if TYPE_CHECKING:
    from gateway.serving.tries import Try


def until_first_token(outcome: Outcome, this: Try, begun_s: float) -> None:
    """Make ``outcome``, of a whole text, that of its first token. ``begun_s`` 0: it was no stream.

    A center that reports nothing has no part that could be told apart.
    """
    report = outcome.report
    if report is None:
        return
    way_ms = max(0.0, outcome.attempt_ms - report.queue_ms - report.service_ms)
    if begun_s:
        service_ms = (begun_s - this.started_s) * 1e3 - way_ms - report.queue_ms
    else:
        service_ms = outcome.charged_ms
    service_ms = min(max(0.0, service_ms), report.service_ms)
    outcome.attempt_ms = way_ms + report.queue_ms + service_ms
    outcome.report = replace(report, service_ms=service_ms)
