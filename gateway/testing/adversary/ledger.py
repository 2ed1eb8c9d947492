"""A second pair of books, kept at the two seams of an exchange: the router and the ports.

Theory of operation. ``WatchedRouter`` stands before the router in force, a ``WatchedPort``
before each port. Both pass everything through and write down what they see; what they see must
fit together at once, and by the end of every turn of the loop:

* a commit is followed by one start at the committed center, and a start follows a commit
* every commit is ended exactly once, every started call ends once, and both sides of an attempt
  in the same turn
* what the fleet has charged is the sum over what is open
* only who is in service is chosen (in panic also who is out for other causes than refusals);
  who refused a connection is out of service, and no request begins at one that was lost
* attempts of a request: within their number, each at another center, none after its answer
  has begun or its deadline is over; hedges, and retries that leave a center in service, within
  their shares
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from gateway.api import Decision, Outcome
from gateway.centers.framed import FramedCenter
from gateway.centers.port import (
    Answered,
    Attempt,
    Call,
    CenterPort,
    Chunk,
    Event,
    Failed,
    Head,
    OnEvent,
    OnReport,
    Sent,
    Whole,
)
from gateway.fleet import Fleet
from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.trace import Trace

REFUSED = "center_down"
LATE_START_S = 0.001
CHARGE_SLACK_MS = 1e-6


@dataclass(slots=True, eq=False)
class Told:
    """What is known of one request. ``answer_began``: bytes of its answer are on the wire;
    ``gone``: the gateway has lost its connection; ``pays``: the center of its last attempt was
    in service when that had ended.
    """

    number: int
    model: str
    body: bytes
    budget_s: float
    request_id: str = ""
    delivered_s: float = inf
    answer_began: bool = False
    answered: bool = False
    gone: bool = False
    starts: int = 0
    hedges: int = 0
    open: int = 0
    pays: bool = True
    centers: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class OpenCall:
    """An attempt under way. ``kind``: first, retry or hedge. ``paid``: a retry that leaves a
    center in service.
    """

    told: Told
    decision: Decision
    kind: str
    started_s: float
    paid: bool
    call: Call | None = None
    over: bool = False
    ended: bool = False
    head: bool = False


@dataclass(slots=True)
class Limits:
    """The bounds that are held against, from the settings."""

    tries_max: int
    retry_share: float
    retries_min: int
    hedge_share: float


class Ledger:
    """The books. ``clock``: virtual, in seconds; ``requests``: by body, what was delivered."""

    def __init__(self, trace: Trace, clock: Callable[[], float], limits: Limits) -> None:
        self.requests: dict[bytes, Told] = {}
        self.open: dict[OpenCall, None] = {}
        self.starts = 0
        self.retries = 0
        self.hedges = 0
        self.begun = 0
        self.probes = 0
        self.endings = {"answer": 0, "error": 0, "cancelled": 0}
        self.moved = True
        self.trace = trace
        self.clock = clock
        self.limits = limits
        self.requests_in_flight: Callable[[], int] = lambda: 0
        self._committed: Decision | None = None
        self._copy: Decision | None = None

    # ---- what the router does ---------------------------------------------------------------

    def copied(self, decision: Decision) -> None:
        """A decision for a hedge."""
        self._copy = decision

    def committed(self, decision: Decision) -> None:
        """Charged; a start must follow."""
        if self._committed is not None:
            raise InvariantBroken("commit", "two commits, and no attempt started between them")
        self._committed = decision
        self.moved = True

    def ended(self, outcome: Outcome) -> Told:
        """The router was told of an ending; returns of which request."""
        self.moved = True
        self.endings[outcome.ending] += 1
        for each in self.open:
            if not each.ended and _is_of(outcome, each.decision):
                each.ended = True
                self.trace.note("ended", each.told.number, outcome.ending, outcome.reason)
                self._close(each)
                return each.told
        raise InvariantBroken(
            "ended once", f"an ending at center {outcome.center} that belongs to no open attempt"
        )

    # ---- what the ports see -----------------------------------------------------------------

    def started(self, row: int, attempt: Attempt) -> OpenCall:
        """An attempt begins."""
        decision, self._committed = self._committed, None
        if decision is None or decision.center != row:
            raise InvariantBroken("commit", f"an attempt at center {row} that nobody committed")
        told = self.requests.get(attempt.body)
        if told is None:
            raise InvariantBroken("cross-talk", f"nobody asked {attempt.body[:60]!r}")
        kind = "retry" if decision.tried else "first"
        if decision is self._copy:
            kind = "hedge"
        self._copy = None
        now = self.clock()
        self.trace.note("start", told.number, kind, row)
        self._check_start(told, decision, kind, attempt, now)
        paid = kind == "retry" and told.pays
        call = OpenCall(told, decision, kind, now, paid)
        self.open[call] = None
        told.starts += 1
        told.open += 1
        told.hedges += kind == "hedge"
        told.centers.append(row)
        self.starts += 1
        self.begun += told.starts == 1
        self.retries += kind == "retry"
        self.hedges += kind == "hedge"
        self.moved = True
        if paid:
            self._check_retries()
        if kind == "hedge" and self.hedges > 1.0 + self.limits.hedge_share * (self.begun + 1.0):
            raise InvariantBroken("hedge share", f"{self.hedges} hedges of {self.begun} requests")
        return call

    def _check_start(
        self, told: Told, decision: Decision, kind: str, attempt: Attempt, now: float
    ) -> None:
        row, limits = decision.center, self.limits
        if told.gone:
            raise InvariantBroken("for nobody", f"{told.number} is tried, its client is gone")
        if told.answered or told.answer_began:
            raise InvariantBroken(
                "after the first byte", f"request {told.number} is tried again at {row}"
            )
        if told.starts >= limits.tries_max:
            raise InvariantBroken("tries", f"request {told.number}: over {limits.tries_max}")
        if row in told.centers:
            raise InvariantBroken("tries", f"request {told.number}: twice at center {row}")
        if told.open and kind != "hedge":
            raise InvariantBroken("tries", f"request {told.number}: two at once, none a hedge")
        if told.hedges and kind == "hedge":
            raise InvariantBroken("hedge share", f"request {told.number}: hedged twice")
        if now > attempt.deadline_s + LATE_START_S:
            raise InvariantBroken("deadline", f"request {told.number}: begun after its deadline")
        if attempt.deadline_s > now + told.budget_s + LATE_START_S:
            raise InvariantBroken(
                "deadline", f"request {told.number}: more than its {told.budget_s} s are allowed"
            )

    def _check_retries(self) -> None:
        limits = self.limits
        open_now = sum(1 for call in self.open if call.paid)
        allowed = max(limits.retries_min, int(limits.retry_share * self.requests_in_flight()))
        if open_now > allowed:
            raise InvariantBroken("retry budget", f"{open_now} paid retries, {allowed} allowed")

    def heard(self, call: OpenCall, event: Event) -> None:
        """The center speaks."""
        if isinstance(event, Sent):
            return
        if call.over:
            raise InvariantBroken("port", f"center {call.decision.center} speaks after its end")
        if isinstance(event, Head):
            call.head = True
        elif isinstance(event, Chunk | Answered) and not call.head:
            raise InvariantBroken("port", f"{type(event).__name__} without a head")
        if isinstance(event, Whole | Answered | Failed):
            word = "" if not isinstance(event, Failed) else event.error.reason
            self.trace.note("heard", call.told.number, type(event).__name__, word)
            self.over(call)

    def over(self, call: OpenCall) -> None:
        """The last event, or called back."""
        if not call.over:
            call.over = True
            self.moved = True
            self._close(call)

    def _close(self, call: OpenCall) -> None:
        if call.over and call.ended:
            del self.open[call]
            call.told.open -= 1

    # ---- between two turns ------------------------------------------------------------------

    def check(self, fleet: Fleet) -> None:
        """Both books agree. Raises InvariantBroken."""
        if self._committed is not None:
            raise InvariantBroken("commit", "a center was charged and no attempt started")
        self.moved = False
        rows = range(len(fleet_counts(fleet)))
        counts, work_ms = [0 for _ in rows], [0.0 for _ in rows]
        for call in self.open:
            if call.over or call.ended:
                what = "is over and not ended" if call.over else "is ended and not over"
                raise InvariantBroken("ended once", f"attempt of {call.told.number} {what}")
            if call.told.gone:
                raise InvariantBroken("for nobody", f"{call.told.number} runs, its client is gone")
            counts[call.decision.center] += 1
            work_ms[call.decision.center] += call.decision.charged_ms
        column = fleet_counts(fleet)
        for row in rows:
            if not column[row] == fleet._work.in_flight(row) == counts[row]:
                raise InvariantBroken(
                    "charged",
                    f"center {row}: {counts[row]} attempts are open, the fleet counts "
                    f"{fleet._work.in_flight(row)}, its column says {column[row]}",
                )
            own_ms = own_ms_of(fleet, row)
            if abs(own_ms - work_ms[row]) > CHARGE_SLACK_MS * (1.0 + own_ms):
                raise InvariantBroken(
                    "charged", f"center {row}: {own_ms} ms charged, {work_ms[row]} open"
                )


def fleet_counts(fleet: Fleet) -> Sequence[int]:
    """The column ``in_flight``."""
    column: list[int] = fleet._table.columns["in_flight"].tolist()
    return column


def own_ms_of(fleet: Fleet, row: int) -> float:
    """What is charged there."""
    return fleet._work.own_ms(row)


def _is_of(outcome: Outcome, decision: Decision) -> bool:
    return (
        outcome.center == decision.center
        and outcome.charged_ms == decision.charged_ms
        and outcome.predicted_ms == decision.predicted_ms
        and outcome.model == decision.query.model
    )


class WatchedRouter:
    """Stands before the router in force."""

    def __init__(self, router: Any, fleet: Fleet, ledger: Ledger) -> None:
        self._router = router
        self._fleet = fleet
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router, name)

    def elsewhere(self, decision: Decision, now: float) -> Decision:
        """For a hedge."""
        found: Decision = self._router.elsewhere(decision, now)
        self._ledger.copied(found)
        return found

    def commit(self, decision: Decision, now: float) -> None:
        """Only who is in service is chosen."""
        check_in_service(self._fleet, decision.center)
        self._ledger.committed(decision)
        self._router.commit(decision, now)

    def ended(self, outcome: Outcome) -> None:
        """Who refuses is out of service."""
        told = self._ledger.ended(outcome)
        token = outcome.token
        self._router.ended(outcome)
        outcome.token = token
        told.pays = bool(self._fleet._table.columns["healthy"][outcome.center])
        if outcome.ending == "error" and outcome.reason == REFUSED:
            condition = self._fleet._health.conditions[outcome.center]
            if condition.stage != "ejected" and not condition.draining:
                raise InvariantBroken(
                    "ejection", f"center {outcome.center} refused and is {condition.stage}"
                )


def check_in_service(fleet: Fleet, row: int) -> None:
    """Raises InvariantBroken for a center that may not be chosen now."""
    health = fleet._health
    condition = health.conditions[row]
    if condition.draining:
        raise InvariantBroken("ejection", f"center {row} is chosen, and drains")
    if condition.stage == "ejected":
        asked = [it for it in health.conditions if not it.draining]
        standing = sum(it.stage != "ejected" for it in asked)
        panic = 2 * standing < len(asked) or not any(it.stage == "ok" for it in asked)
        if condition.cause == "refused" or not panic:
            raise InvariantBroken(
                "ejection", f"center {row} is chosen, and was ejected ({condition.cause})"
            )


class WatchedCall:
    """Stands before a ``Call``."""

    __slots__ = ("_call", "_ledger", "_open")

    def __init__(self, ledger: Ledger, opened: OpenCall, call: Call) -> None:
        self._ledger = ledger
        self._open = opened
        self._call = call

    def cancel(self) -> None:
        """Not wanted any more."""
        self._ledger.over(self._open)
        self._call.cancel()

    def pause(self) -> None:
        """See ``Call``."""
        self._call.pause()

    def resume(self) -> None:
        """See ``Call``."""
        self._call.resume()


class WatchedPort:
    """Stands before a port."""

    def __init__(self, row: int, port: CenterPort, ledger: Ledger) -> None:
        self.row = row
        self.port = port
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """See ``CenterPort``."""
        ledger = self._ledger
        opened = ledger.started(self.row, attempt)
        if opened.kind == "first":  # a config that ends is not told any more
            self._check_connected()
        starting = True

        def hear(event: Event) -> None:
            if starting:
                raise InvariantBroken("port", f"center {self.row} speaks from within start")
            ledger.heard(opened, event)
            on_event(event)

        call = WatchedCall(ledger, opened, self.port.start(attempt, hear))
        starting = False
        return call

    def _check_connected(self) -> None:
        """No request begins where a connection was and is no more."""
        if not isinstance(self.port, FramedCenter):
            return
        connection = self.port.connection
        link, was_there = connection._link, connection.emulates is not None
        if was_there and (link is None or not link.taking):
            raise InvariantBroken("ejection", f"center {self.row} is chosen, and its link lost")

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """See ``CenterPort``."""
        self._ledger.probes += 1
        self.port.probe(vantage, on_result)
