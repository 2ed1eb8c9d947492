"""What the admin door may ask of the running gateway; the runtime answers."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from gateway.api.query import Explanation, Query

FaultKind = Literal["down", "slow", "delay", "loss", "error", "black_hole"]
FAULT_KINDS: tuple[FaultKind, ...] = ("down", "slow", "delay", "loss", "error", "black_hole")


class Control(Protocol):
    """The levers of a running gateway. Every method raises InvalidRequest on a bad argument."""

    def fleet_state(self) -> list[dict[str, Any]]:
        """A row a center: identity, health and why, columns, faults in force."""

    def gateway_state(self) -> dict[str, Any]:
        """Version, uptime, policy, plugins with time used and errors, loop lateness."""

    def explain(self, query: Query) -> Explanation:
        """Decide without choosing: the whole table."""

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force: center, kind, value, vantage (None: every path)."""

    def set_fault(self, center: str, kind: FaultKind, value: float, vantage: str | None) -> None:
        """Inject a fault at a center (or a region), or on one path when ``vantage`` is given."""

    def clear_faults(self, center: str | None) -> int:
        """Remove the faults of one center (None: of all); returns how many."""

    def drain(self, center: str, *, draining: bool) -> None:
        """Take a center out of the choice, or back; in-flight requests end normally."""

    async def reload(self) -> dict[str, Any]:
        """Read config, fleet, policies and models again; returns what changed, JSON-ready.

        Raises NearwayError when something is wrong: then nothing has changed.
        """
