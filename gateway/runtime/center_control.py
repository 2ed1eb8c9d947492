"""The levers of a center process: its faults; what it does not decide it does not answer."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import gateway as package
from gateway.api import Explanation, InvalidRequest, Query, Unsupported
from gateway.api.control import FaultKind
from gateway.runtime.fault_takers import takers

if TYPE_CHECKING:
    from gateway.runtime.center import CenterProcess


class CenterControl:
    """Implements ``gateway.api.control.Control`` over the centers of one process."""

    def __init__(self, process: CenterProcess) -> None:
        self._process = process
        self._started_s = time.monotonic()
        self._rows = {center.id: row for row, center in enumerate(process.centers)}

    def fleet_state(self) -> list[dict[str, Any]]:
        """A row a center of this process, and the faults in force there."""
        faults = self.faults()
        return [
            {
                "center": center.id,
                "region": center.region,
                "city": center.city,
                "slots": center.slots,
                "row": row,
                "faults": [fault for fault in faults if fault["center"] == center.id],
            }
            for row, center in enumerate(self._process.centers)
        ]

    def gateway_state(self) -> dict[str, Any]:
        """What an operator or a verdict wants to know of the process."""
        process = self._process
        over_p50_ms, over_p99_ms = process.overshoot.percentiles_ms()
        return {
            "version": package.__version__,
            "pid": os.getpid(),
            "uptime_s": time.monotonic() - self._started_s,
            "ready": process.ready,
            "emulates": process.emulates,
            "connections": process.frames.connections,
            "in_flight": process.in_flight,
            "models": {
                name: {"run_ms": model.run_ms}
                for name, model in sorted(process.engine.repository.present().items())
            },
            "engine": process.engine.state(),
            "loop": {} if process.watch is None else process.watch.state(),
            "delay_line": {
                "over_p50_ms": over_p50_ms,
                "over_p99_ms": over_p99_ms,
                "count": process.overshoot.count,
            },
        }

    def explain(self, _query: Query) -> Explanation:
        """Raises Unsupported."""
        raise Unsupported("a center decides nothing; ask the gateway's admin door")

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, by center id and vantage name."""
        process = self._process
        return [
            {
                "center": process.centers[fault.center].id,
                "kind": fault.kind,
                "value": fault.value,
                "vantage": None
                if fault.vantage is None
                else process.gazetteer.places[fault.vantage].name,
            }
            for fault in process.faults.active()
        ]

    def set_fault(self, center: str, kind: FaultKind, value: float, vantage: str | None) -> None:
        """Inject at a center, or at every center of a region."""
        process = self._process
        at = None if vantage is None else process.gazetteer.find(vantage)
        for row in takers(process.reach.all, self._find(center), kind, center):
            process.faults.set(row, kind, value, at)

    def clear_faults(self, center: str | None) -> int:
        """Returns how many were removed."""
        faults = self._process.faults
        if center is None:
            return faults.clear(None)
        return sum(faults.clear(row) for row in self._find(center))

    def drain(self, center: str, *, draining: bool) -> None:
        """Raises Unsupported."""
        raise Unsupported(
            f"center {center}, draining = {draining}: a center is drained at the gateway's admin "
            "door; this process drains at SIGTERM"
        )

    async def reload(self) -> dict[str, Any]:
        """Raises Unsupported."""
        raise Unsupported("a center process reads its config at its start; start it anew")

    def _find(self, name: str) -> list[int]:
        if name in self._rows:
            return [self._rows[name]]
        rows = [r for r, center in enumerate(self._process.centers) if center.region == name]
        if not rows:
            raise InvalidRequest(
                f"center: {name!r} is neither a center nor a region of this process; "
                "GET /fleet lists them"
            )
        return rows
