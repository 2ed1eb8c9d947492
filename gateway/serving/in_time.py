"""What is done with a request that is predicted to be late: nobody starts what nobody waits for.

A smaller model answers in its place, where one is declared and would be in time; else the
request is refused at once, unless its time is short but not hopeless: predictions err, so
it is tried while one attempt in twenty would make it. One hopeless request in ``TRIED_EVERY``
is tried all the same: when all are refused nothing would be learned of how long they take.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.api import DeadlineExceeded, Decision, NearwayError
from gateway.serving.arrival import Arrival, Collaborators

HOPE_QUANTILE = 0.05
TRIED_EVERY = 32


def in_time(with_: Collaborators, arrival: Arrival, decision: Decision, now: float) -> Decision:
    """``decision``, or one for a smaller model. Raises DeadlineExceeded with the reason."""
    left_ms = (arrival.deadline_s - now) * 1e3
    smaller = _smaller(with_, decision, left_ms, now)
    if smaller is not None:
        arrival.model = smaller.query.model
        with_.metrics.degraded()
        return smaller
    if with_.router.quantile_ms(decision, HOPE_QUANTILE) <= left_ms:
        return decision
    if with_.metrics.hopeless() % TRIED_EVERY == 0:
        return decision
    raise DeadlineExceeded(
        f"{left_ms:.1f} ms are left and {with_.centers[decision.center]}, the soonest center for "
        f"{decision.query.model}, is predicted to take {decision.predicted_ms:.1f}; nothing was "
        "sent. Allow more with x-request-timeout-ms, or name a faster model in models.smaller"
    )


def _smaller(
    with_: Collaborators, decision: Decision, left_ms: float, now: float
) -> Decision | None:
    """The choice for the largest of the smaller models that would be in time."""
    query, seen = decision.query, {decision.query.model}
    while (name := with_.smaller.get(query.model)) is not None and name not in seen:
        seen.add(name)
        query = replace(query, model=name)
        try:
            found = with_.router.decide(query, now)
        except NearwayError:
            continue
        if found.predicted_ms <= left_ms:
            return found
    return None
