"""What the doors are made of: the runtime fills it in, the doors read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gateway import __version__
from gateway.api import Center, NoCenter, Overloaded, Report
from gateway.api.control import Control
from gateway.centers.port import CenterPort
from gateway.config.settings import Settings
from gateway.routing.attempts import RetryBudget
from gateway.serving.arrival import Collaborators, Deciding, Timer
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
    process's monotonic clock in seconds, ``call_at`` calls back at an instant of it. ``healthy``
    says whether a center may be asked about its models. While ``ready`` says no, inference is
    refused with 503; what has entered ends normally. ``retiring``: another process has taken
    over, so every answer is its connection's last. ``whole_metrics``: the text of all workers'
    metrics, when this process is one of several. ``tells_drawn``: this is a center that emulates
    its paths, and answers say which delay was drawn; the aiohttp lane says it. ``probe_center``:
    what a center's own door answers a probe with, given the head; raises CenterDown.
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
    healthy: Callable[[int], bool] = _always
    version: str = __version__
    retiring: bool = False
    whole_metrics: Callable[[], Awaitable[bytes]] | None = None
    tells_drawn: bool = False
    probe_center: Callable[[Headers], Awaitable[Report]] | None = None
    center_ids: tuple[str, ...] = field(init=False)
    decisions: DecisionLog = field(init=False)
    intake: Intake = field(init=False)
    exposition: Exposition = field(init=False)
    prober: Prober = field(init=False)
    collaborators: Collaborators = field(init=False)
    in_flight_max: int = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        self.in_flight_max = settings.server.in_flight_max
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
        attempts = settings.attempts
        self.collaborators = Collaborators(
            self.router,
            self.ports,
            self.center_ids,
            self.clock,
            self.call_at,
            self.call_soon,
            Deadlines(self.clock, self.call_at),
            attempts,
            self.metrics,
            self.decisions,
            settings.planted.gateway_delay_ms / 1e3,
            RetryBudget(attempts.retry_budget, attempts.retries_min),
            self.prober,
        )

    def enter(self) -> None:
        """One more inference request under way; ``leave`` must follow.

        Raises NoCenter while starting or draining, Overloaded at the bound.
        """
        if not self.ready():
            raise NoCenter("the gateway is starting or draining; ask another one, or again later")
        if self.metrics.in_flight >= self.in_flight_max:
            raise Overloaded(
                f"{self.in_flight_max} requests are under way, the most this gateway takes; "
                "try again in a second or raise server.in_flight_max"
            )
        self.metrics.in_flight += 1

    def leave(self) -> None:
        """An inference request is over."""
        self.metrics.in_flight -= 1

    def declaring(self, model: str) -> list[int]:
        """Rows of the centers that declare ``model``, healthy ones first."""
        rows = [
            row
            for row, center in enumerate(self.centers)
            if any(fnmatchcase(model, pattern) for pattern in center.models)
        ]
        return sorted(rows, key=lambda row: not self.healthy(row))
