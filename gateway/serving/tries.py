"""One try of one request at one center, and the words for how tries failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.api import CenterDown, DeadlineExceeded, Decision, NearwayError, Outcome, Report
from gateway.api.outcome import Ending
from gateway.centers.port import Call, Event, Relay, Whole
from gateway.serving.arrival import Arrival

if TYPE_CHECKING:
    from gateway.serving.attempting import Attempting


class NotStarted:
    """The ``Call`` of an attempt that its center's port could not start."""

    def cancel(self) -> None:
        """Nothing is under way."""

    def pause(self) -> None:
        """See ``Call``."""

    def resume(self) -> None:
        """See ``Call``."""


class Try:
    """One attempt at one center, open from its commit to its outcome.

    ``call``: the attempt as the center has it. ``patience_s``: how long it may be silent since
    ``heard_s``, None while nobody had to know. ``late_once``: it was looked at late once
    already, ``hedge_late_once``: to see about a copy. ``hedge_at``: beyond which quantile of
    its predicted time a copy may be sent to another zone; 0: never. ``hedges``: it is such a
    copy. ``paid``: it is a retry that the budget wants back at the end. ``relay``: where chunks
    may pass ``hear`` by.
    """

    __slots__ = (
        "call",
        "decision",
        "exchange",
        "heard_s",
        "hedge_at",
        "hedge_late_once",
        "hedges",
        "late_once",
        "open",
        "paid",
        "patience_s",
        "relay",
        "started_s",
    )

    call: Call

    def __init__(
        self,
        exchange: Attempting,
        decision: Decision,
        now: float,
        *,
        paid: bool = False,
        hedges: bool = False,
    ) -> None:
        self.exchange = exchange
        self.decision = decision
        self.started_s = now
        self.heard_s = now
        self.patience_s: float | None = None
        self.relay: Relay | None = None
        self.late_once = False
        self.hedge_at = 0.0
        self.hedge_late_once = False
        self.hedges = hedges
        self.paid = paid
        self.open = True

    def hear(self, event: Event) -> None:
        """What the center calls; nothing is heard once the try is closed."""
        if self.open:
            if type(event) is Whole:
                self.exchange.hear_whole(self, event)
            else:
                self.exchange.hear(self, event)

    def on_timer(self) -> None:
        """Silent for too long, or the deadline."""
        if self.open:
            self.exchange.out_of_patience(self)

    def outcome(self, ending: Ending, report: Report | None, reason: str, now: float) -> Outcome:
        """How it ended, for the router."""
        decision, query = self.decision, self.decision.query
        return Outcome(
            decision.center,
            query.vantage,
            query.model,
            ending,
            (now - self.started_s) * 1e3,
            report,
            decision.predicted_ms,
            decision.charged_ms,
            now,
            reason,
            decision.token,
        )


def silent_error(center: str, silent_ms: float) -> CenterDown:
    """A center said nothing for longer than its attempt was given."""
    return CenterDown(f"center {center} was silent for {silent_ms:.0f} ms")


def nobody_answered(tries: int, tries_max: int, failures: Sequence[str]) -> CenterDown:
    """Every attempt failed and no other follows."""
    return CenterDown(
        f"no center answered in {tries} of {tries_max} attempts: {'; '.join(failures)}. "
        "GET /fleet at the admin door shows their health"
    )


def budget_spent(tries_in_flight: int) -> str:
    """Why another center was not tried although it might have helped."""
    return (
        f"{tries_in_flight} retries are in flight, the most the budget allows now "
        "(attempts.retry_budget, attempts.retries_min)"
    )


def too_late(remaining_ms: float, predicted_ms: float) -> str:
    """Why another center was not tried although it might have helped."""
    return f"{remaining_ms:.1f} ms are left and another center would take {predicted_ms:.1f}"


def deadline_error(
    arrival: Arrival, failures: Sequence[str], waiting: str | None = None
) -> DeadlineExceeded:
    """The budget is spent; ``waiting``: on what the last of it went."""
    budget_ms = (arrival.deadline_s - arrival.arrived_s) * 1e3
    spent = [*failures] if waiting is None else [*failures, waiting]
    return DeadlineExceeded(
        f"the budget of {budget_ms:.1f} ms is spent: "
        f"{'; '.join(spent) or 'nothing was left when the request had been read'}. "
        "Ask for more with x-request-timeout-ms, at most attempts.deadline_ms"
    )


def waiting_for(this: Try, center: str, now: float) -> str:
    """How long the open try has been waited for."""
    waited_ms = (now - this.started_s) * 1e3
    return (
        f"{waited_ms:.1f} ms waiting for center {center} "
        f"({this.decision.predicted_ms:.1f} predicted)"
    )


def in_a_list(error: NearwayError) -> str:
    """An error's message as one of several: without its full stop."""
    return str(error).rstrip(". ")
