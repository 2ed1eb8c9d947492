"""What the dashboard of one process sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.serving.dashboard import Look
from gateway.serving.dashboard.frame import WINDOW_S

if TYPE_CHECKING:
    from gateway.runtime.gateway import Gateway

EVENTS_TOLD = 100


async def look_at(gateway: Gateway) -> Look:
    """The last minute's answers, the fleet and the gateway as the admin door tells them."""
    now = gateway.line.now()
    control = gateway.control
    faults: dict[str, list[dict[str, Any]]] = {}
    for fault in control.faults():
        faults.setdefault(fault["center"], []).append(fault)
    fleet = gateway.deciding.fleet.state(now)  # who they are was told once, as facts
    for row in fleet:
        row["faults"] = faults.get(row["center"], ())
    return Look(
        now,
        gateway.lasting.metrics.recent.since(now - WINDOW_S),
        fleet,
        control.gateway_state(),
        gateway.events.since(0)[-EVENTS_TOLD:],
    )
