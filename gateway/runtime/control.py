"""The levers of a running gateway, as the admin door pulls them."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import gateway as package
from gateway.api import Explanation, InvalidRequest, Query, Unsupported
from gateway.api.control import FaultKind
from gateway.fleet.accountability import account_figures
from gateway.runtime.fault_takers import takers

if TYPE_CHECKING:
    from gateway.runtime.gateway import Gateway


class RunningControl:
    """Implements ``gateway.api.control.Control`` over the parts of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started_s = time.monotonic()

    def fleet_state(self) -> list[dict[str, Any]]:
        """A row a center: who it is, what is known of it, what is done to it."""
        gateway = self._gateway
        faults: dict[str, list[dict[str, Any]]] = {}
        for fault in self.faults():
            faults.setdefault(fault["center"], []).append(fault)
        accounts = gateway.deciding.fleet.residuals.by_center()
        rows = []
        for row, (center, known) in enumerate(
            zip(
                gateway.deciding.centers,
                gateway.deciding.fleet.state(gateway.line.now()),
                strict=True,
            )
        ):
            who = {
                "center": center.id,
                "region": center.region,
                "city": center.city,
                "core": center.core,
                "zone_assumed": center.zone_assumed,
                "slots": center.slots,
            }
            told = {
                "prediction": account_figures(accounts[row]),
                "faults": faults.get(center.id, []),
            }
            rows.append({**who, **known, "row": row, **told})
        return rows

    def gateway_state(self) -> dict[str, Any]:
        """What an operator or a verdict wants to know of the process."""
        gateway = self._gateway
        unready = gateway.generation.why_unready()
        router, log = gateway.deciding.router, gateway.generation.decision_log
        over_p50_ms, over_p99_ms = gateway.lasting.overshoot.percentiles_ms()
        return {
            "version": package.__version__,
            "uptime_s": time.monotonic() - self._started_s,
            "ready": gateway.ready and not unready,
            "unready": unready if gateway.ready else "the gateway is starting or draining",
            "policy": router.policy.name,
            "policy_in_force": router.state(),
            "prediction": self._prediction(),
            "shadow": None if gateway.deciding.shadow is None else gateway.deciding.shadow.state(),
            "decision_log": None if log is None else log.state(),
            "models": {
                name: {"run_ms": run_ms}
                for name, (run_ms, _) in sorted(gateway.generation.residents.by_model.items())
            },
            "engine": gateway.engine.state(),
            "admission": self._admission(),
            "plugins": router.plugin_state(),
            "cache": router.cache_state(),
            "sources": dict(gateway.generation.sources.errors),
            "reload": None if gateway.reloader is None else gateway.reloader.state(),
            "loop": {
                **(gateway.watch.state() if gateway.watch is not None else {}),
                "inline_over_count": gateway.runner.blocked_count,
                "inline_over_ms_max": gateway.runner.blocked_ms_max,
            },
            "delay_line": {
                "over_p50_ms": over_p50_ms,
                "over_p99_ms": over_p99_ms,
                "count": gateway.lasting.overshoot.count,
            },
        }

    def _admission(self) -> dict[str, Any]:
        """Every bound and how much of it is taken."""
        gateway = self._gateway
        return {
            **gateway.front.admission.state(gateway.line.now()),
            "connections": gateway.door.connections,
            "connections_max": gateway.door.connections_max,
            "connections_refused": gateway.front.metrics.connections_refused,
        }

    def _prediction(self) -> dict[str, Any]:
        """Sums over all answers so far, so that a reader can take differences."""
        residuals = self._gateway.deciding.fleet.residuals
        by_center = zip(self._gateway.deciding.centers, residuals.by_center(), strict=True)
        return {
            "by_model": {model: asdict(sums) for model, sums in residuals.by_model().items()},
            "by_center": {center.id: asdict(sums) for center, sums in by_center if sums.answers},
        }

    def explain(self, query: Query) -> Explanation:
        """Decide without choosing."""
        return self._gateway.deciding.router.explain(query, self._gateway.line.now())

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force, by center id and vantage name."""
        deciding = self._gateway.deciding
        return [
            {
                "center": deciding.centers[fault.center].id,
                "kind": fault.kind,
                "value": fault.value,
                "vantage": None
                if fault.vantage is None
                else deciding.gazetteer.places[fault.vantage].name,
            }
            for fault in self._gateway.faults.active()
        ]

    def set_fault(self, center: str, kind: FaultKind, value: float, vantage: str | None) -> None:
        """Inject at a center, or at every center of a region."""
        at = None if vantage is None else self._gateway.deciding.gazetteer.find(vantage)
        for row in takers(self._gateway.ports, self._find(center), kind, center):
            self._gateway.faults.set(row, kind, value, at)

    def clear_faults(self, center: str | None) -> int:
        """Returns how many were removed."""
        if center is None:
            return self._gateway.faults.clear(None)
        return sum(self._gateway.faults.clear(row) for row in self._find(center))

    def drain(self, center: str, *, draining: bool) -> None:
        """Out of the choice, or back."""
        for row in self._find(center):
            self._gateway.deciding.fleet.drain(row, draining=draining)

    async def reload(self) -> dict[str, Any]:
        """Read the config again; what changed. Raises NearwayError when it is not taken over."""
        reloader = self._gateway.reloader
        if reloader is None:
            raise Unsupported("this process does not read its config again; whoever leads it does")
        return (await reloader.reload()).told()

    def _find(self, name: str) -> list[int]:
        centers = self._gateway.deciding.centers
        rows = [row for row, center in enumerate(centers) if center.id == name]
        rows = rows or [row for row, center in enumerate(centers) if center.region == name]
        if not rows:
            raise InvalidRequest(
                f"center: {name!r} is neither a center nor a region of this fleet; "
                "GET /fleet lists them"
            )
        return rows
