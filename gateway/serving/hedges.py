"""Which copy is sent, and whether: what an exchange asks when a try is slower than nearly all."""

from __future__ import annotations

from gateway.api import Decision, NoCenter
from gateway.routing.hedging import LAST_QUANTILE, can_help
from gateway.serving.arrival import Collaborators
from gateway.serving.tries import Try


def hedge_of(
    with_: Collaborators, this: Try, deadline_s: float, now: float, *, late: bool
) -> Decision | None:
    """Where a second copy goes; None: nobody has a slot to spare, it cannot help, or nobody pays.

    ``late``: this is the late look. The budget is asked last, so what it refuses would have been
    sent.
    """
    router = with_.router
    try:
        decision = router.elsewhere(this.decision, now)
    except NoCenter:
        return None
    helps = can_help(
        (now - this.started_s) * 1e3,
        decision.predicted_ms,
        (deadline_s - now) * 1e3,
        router.quantile_ms(this.decision, LAST_QUANTILE),
        late=late,
    )
    if helps and with_.hedging.take(with_.metrics.requests_begun, late=late):
        return decision
    return None
