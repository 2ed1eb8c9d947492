"""What the doors are made of: the runtime fills it in, the doors read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from gateway import __version__
from gateway.api import Center, NoCenter, Place, Report, Table
from gateway.api.control import Control
from gateway.centers.port import CenterPort
from gateway.config.settings import Settings
from gateway.routing.attempts import RetryBudget
from gateway.routing.hedging import Hedging
from gateway.serving.admission import Admission
from gateway.serving.arrival import Collaborators, Deciding, Recording, Timer
from gateway.serving.dashboard.feed import Feed
from gateway.serving.deadlines import Deadlines
from gateway.serving.decisions import DecisionLog
from gateway.serving.intake import Headers, Intake
from gateway.serving.probing import Prober
from gateway.telemetry import Exposition, Metrics


def _next_turn(callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_soon(callback)


def _always(_center: int) -> bool:
    return True


@dataclass(slots=True)
class Front:
    """Everything the public and the admin door need.

    ``ports``, ``centers`` and the router share one row order. ``find_vantage`` takes a place's
    name or ``lat,lon`` and raises InvalidRequest for a place it does not know. ``clock`` is the
    process's monotonic clock in seconds, ``call_at`` calls back at an instant of it, ``call_about``
    a millisecond or two later and cheaper (None: ``call_at`` does). ``healthy`` says whether a
    center may be asked about its models. While ``ready`` says no, inference is
    refused with 503; what has entered ends normally. ``unready`` says why others had better be
    asked, empty when they need not; it is told, and refuses nobody. ``retiring``: another process
    has taken over, so every answer is its connection's last. ``whole_metrics``: the text of all
    workers' metrics, when this process is one of several. ``tells_drawn``: this is a center that
    emulates its paths, and answers say which delay was drawn; the aiohttp lane says it.
    ``probe_center``: what a center's own door answers a probe with, given the head; raises
    CenterDown.
    ``smaller``: by model, the one that may answer in its place; the runtime adds what models
    themselves declare. ``table``: what is known of the fleet, None where nothing is.
    ``places``: those of ``vantage_names``, in their order. ``feed``: what dashboards watch.
    ``about_model``: what is written beside a model, by name; reads files, raises NotFound.
    ``recorder``: watches requests for traces and the access log; None: neither is configured.
    """

    settings: Settings
    router: Deciding
    ports: Sequence[CenterPort]
    centers: Sequence[Center]
    find_vantage: Callable[[str], int]
    vantage_names: Sequence[str]
    clock: Callable[[], float]
    call_at: Callable[[float, Callable[[], None]], Timer]
    control: Control
    ready: Callable[[], bool]
    metrics: Metrics
    call_soon: Callable[[Callable[[], None]], object] = _next_turn
    call_about: Callable[[float, Callable[[], None]], object] | None = None
    healthy: Callable[[int], bool] = _always
    version: str = __version__
    retiring: bool = False
    whole_metrics: Callable[[], Awaitable[bytes]] | None = None
    tells_drawn: bool = False
    probe_center: Callable[[Headers], Awaitable[Report]] | None = None
    smaller: dict[str, str] = field(default_factory=dict)
    unready: Callable[[], str] = str
    table: Table | None = None
    places: Sequence[Place] = ()
    feed: Feed | None = None
    about_model: Callable[[str], dict[str, Any]] | None = None
    recorder: Recording | None = None
    center_ids: tuple[str, ...] = field(init=False)
    decisions: DecisionLog = field(init=False)
    intake: Intake = field(init=False)
    exposition: Exposition = field(init=False)
    prober: Prober = field(init=False)
    admission: Admission = field(init=False)
    collaborators: Collaborators = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.center_ids = tuple(center.id for center in self.centers)
        self.decisions = DecisionLog(settings.routing.explain_every)
        self.intake = Intake(settings, self.find_vantage)
        self.exposition = Exposition(self.metrics)
        self.prober = Prober(
            self.router,
            self.ports,
            self.metrics,
            self.clock,
            self.call_at,
            self.find_vantage(settings.origins.default),
        )
        self.admission = Admission(settings, self.metrics, self.router, len(self.ports), self.table)
        attempts = settings.attempts
        self.collaborators = Collaborators(
            self.router,
            self.ports,
            self.center_ids,
            self.clock,
            self.call_at,
            self.call_soon,
            Deadlines(self.clock, self.call_about or self.call_at),
            attempts,
            self.metrics,
            self.decisions,
            settings.planted.gateway_delay_ms / 1e3,
            RetryBudget(attempts.retry_budget, attempts.retries_min),
            Hedging(attempts.hedge_share, attempts.hedge_quantile, self.metrics.requests_begun),
            self.smaller,
            self.prober,
            self.admission,
            self.recorder,
        )

    def enter(self, body_bytes: int = 0) -> None:
        """One more inference request under way, with so many bytes of body; ``leave`` must follow.

        Raises NoCenter while starting or draining, NoCapacity at a bound.
        """
        if not self.ready():
            raise NoCenter("the gateway is starting or draining; ask another one, or again later")
        self.admission.enter(body_bytes)

    def leave(self, body_bytes: int = 0) -> None:
        """An inference request is over; ``body_bytes``: all that was taken for it."""
        self.admission.leave(body_bytes)

    def refused(self, request_id: str, model: str, status: int, reason: str) -> None:
        """A request was refused before there was an exchange: it is counted, and logged."""
        self.metrics.refused(model, status)
        if self.recorder is not None:
            self.recorder.turned_away(request_id, model, status, reason)

    def declaring(self, model: str) -> list[int]:
        """Rows of the centers that declare ``model``, healthy ones first."""
        rows = [
            row
            for row, center in enumerate(self.centers)
            if any(fnmatchcase(model, pattern) for pattern in center.models)
        ]
        return sorted(rows, key=lambda row: not self.healthy(row))
