"""What routing tells whoever keeps the books of the fleet: charged, ended, time to tidy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.api import Decision, Outcome, Report


class Ledger(Protocol):
    """Work in flight and what is learned from endings; the fleet keeps it."""

    tick_at: float
    """The instant, in seconds, from which ``tick`` wants to be called."""

    def charge(self, decision: Decision, now: float) -> None:
        """Add the work to ``decision.center`` and set ``decision.charged_ms``."""

    def ended(self, outcome: Outcome) -> None:
        """Refund exactly ``outcome.charged_ms``, and learn."""

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load outside an answer."""

    def heard_since(self, centers: Iterable[int], since_s: float) -> bool:
        """Whether any of these centers has answered anybody since ``since_s``."""

    def in_service(self, center: int) -> bool:
        """Whether the center may be chosen: not ejected, not draining."""

    def tick(self, now: float) -> None:
        """Periodic upkeep of whole columns; moves ``tick_at`` on."""

    def quantile_ms(self, decision: Decision, q: float) -> float:
        """How long the attempt may take, in ms: a share ``q`` of such attempts takes less."""
