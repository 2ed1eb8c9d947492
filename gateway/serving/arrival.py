"""What goes into an exchange and comes out of it: the seams of the serving room.

An ``Arrival`` is a request as a lane has read it; an ``Answer`` is where the lane takes the
reply; ``Collaborators`` is what all exchanges of a process share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

from gateway.api import Decision, Explanation, NearwayError, Outcome, Query, Report
from gateway.centers.port import Attempt, CenterPort, Head, Whole
from gateway.config.settings import Attempts
from gateway.routing.attempts import RetryBudget
from gateway.routing.hedging import Hedging
from gateway.serving.deadlines import Deadlines
from gateway.serving.decisions import DecisionLog
from gateway.telemetry import Metrics

if TYPE_CHECKING:
    from gateway.serving.exchange import Exchange


class Timer(Protocol):
    """What ``call_at`` returns."""

    def cancel(self) -> object:
        """The callback is not called any more."""


class Deciding(Protocol):
    """What an exchange asks of ``gateway.routing.Router``."""

    asks_probes: bool

    def decide(self, query: Query, now: float, tried: tuple[int, ...] = ()) -> Decision:
        """Raises NoCenter, or PluginError when a mandatory filter is broken."""

    def next(
        self, decision: Decision, now: float, *, silent: bool = False, within_ms: float = inf
    ) -> Decision:
        """A second decision on the current table. Raises NoCenter when nobody is left."""

    def elsewhere(self, decision: Decision, now: float) -> Decision:
        """A decision for another zone, at a center with a free slot. Raises NoCenter."""

    def commit(self, decision: Decision, now: float) -> None:
        """Charge the center."""

    def ended(self, outcome: Outcome) -> None:
        """Exactly once per commit."""

    def explain(self, query: Query, now: float) -> Explanation:
        """The whole table, without choosing."""

    def quantile_ms(self, decision: Decision, q: float) -> float:
        """What the attempt takes at most with probability ``q``."""

    def in_service(self, center: int) -> bool:
        """Whether health lets the center be chosen."""

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center answered a probe."""

    def probes(self, now: float) -> list[int]:
        """The centers the policy wants a report of."""


class Recording(Protocol):
    """What a lane asks instead of making an exchange by itself, when requests are watched."""

    def exchange(self, with_: Collaborators, arrival: Arrival, answer: Answer) -> Exchange:
        """For one request."""

    def turned_away(self, request_id: str, model: str, status: int, reason: str) -> None:
        """A request was refused before there was an exchange."""


class Admitting(Protocol):
    """What an exchange asks before it begins its first attempt."""

    def admit(self, decision: Decision, now: float) -> Decision:
        """The decision, or a better one; in the turn it was made. Raises Shed."""


class Probing(Protocol):
    """What an exchange does for a policy that asks for reports."""

    def ask(self, vantage: int, now: float) -> None:
        """After a commit: send the probes the policy wants, from this vantage."""


@dataclass(slots=True)
class Parts:
    """Where the time of an answered request went, ms."""

    gateway_ms: float
    network_ms: float
    queue_ms: float
    service_ms: float


class Answer(Protocol):
    """Where the answer goes: plain callbacks, at most one end."""

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        """The whole answer, and its end."""

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """The answer begins. With ``parts`` chunks and end follow at once."""

    def send_chunk(self, payload: bytes) -> None:
        """A part of the body."""

    def send_end(self) -> None:
        """The body is complete."""

    def fail(self, error: NearwayError) -> None:
        """There is no answer, or it broke off after its head."""


class Arrival(Attempt):
    """A request as a lane read it: the attempt every center is given, and what the rest needs.

    Instants are of this process's monotonic clock.
    """

    __slots__ = ("arrived_s", "query")

    def __init__(
        self,
        query: Query,
        body: bytes,
        head_bytes: int | None,
        version: str,
        request_id: str,
        arrived_s: float,
        deadline_s: float,
    ) -> None:
        # One object for all attempts, filled here alone: the parent's would be a second call.
        self.query = query
        self.vantage = query.vantage
        self.model = query.model
        self.body = body
        self.head_bytes = head_bytes
        self.version = version
        self.request_id = request_id
        self.arrived_s = arrived_s
        self.deadline_s = deadline_s
        self.route = ""
        self.traceparent = ""


class TextArrival(Arrival):
    """A request that is answered with text, token by token. Only one center at a time writes it.

    ``first_byte_s``: how long an attempt may be silent before anything came; ``silence_s``: how
    long afterwards. ``begun_s``: when a stream's head was heard, 0 for none.
    """

    __slots__ = ("begun_s", "first_byte_s", "silence_s")

    first_byte_s: float
    silence_s: float

    def __init__(
        self,
        query: Query,
        body: bytes,
        head_bytes: int | None,
        version: str,
        request_id: str,
        arrived_s: float,
        deadline_s: float,
    ) -> None:
        super().__init__(query, body, head_bytes, version, request_id, arrived_s, deadline_s)
        self.begun_s = 0.0
        self.first_byte_s = self.silence_s = deadline_s - arrived_s


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What every exchange of a process shares. ``centers`` are the ids in row order.

    ``smaller``: by model, the one that may answer in its place when time is short.
    ``recorder`` None: no request is traced or logged, and lanes make a plain ``Exchange``.
    """

    router: Deciding
    ports: Sequence[CenterPort]
    centers: Sequence[str]
    clock: Callable[[], float]
    call_at: Callable[[float, Callable[[], None]], Timer]
    call_soon: Callable[[Callable[[], None]], object]
    deadlines: Deadlines
    attempts: Attempts
    metrics: Metrics
    decisions: DecisionLog
    planted_delay_s: float = 0.0
    retries: RetryBudget = field(default_factory=RetryBudget)
    hedging: Hedging = field(default_factory=lambda: Hedging(0.0, 0.95))
    smaller: Mapping[str, str] = field(default_factory=dict)
    probing: Probing | None = None
    admission: Admitting | None = None
    recorder: Recording | None = None
