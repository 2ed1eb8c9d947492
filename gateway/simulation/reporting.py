"""What gateways hear of centers beside answers: pushed reports, probes of policies, health.

A pushed report and a probe's answer show the center as it is when they set out, and arrive
half a round trip later. Probes are bounded: so many a decision, so many under way.
"""

from __future__ import annotations

import numpy as np

from gateway.simulation.agenda import Agenda, Event
from gateway.simulation.center_side import CenterSide
from gateway.simulation.gateway_sides import GatewaySide
from gateway.simulation.streams import stream
from gateway.simulation.world import World

HEALTH_EVERY_S = 0.05
PROBE_PATIENCE_S = 1.0
PROBES_A_DECISION_MAX = 16
PROBES_UNDER_WAY_MAX = 4096
LUCK = 1 << 16


class Reporting:
    """All reports and probes of a run. ``half_s`` is shared with the exchanges: [V][N]."""

    def __init__(
        self,
        world: World,
        agenda: Agenda,
        gateways: tuple[GatewaySide, ...],
        centers: CenterSide,
        half_s: list[list[float]],
        seed: int,
    ) -> None:
        reports = world.scenario.reports
        self._agenda = agenda
        self._gateways = gateways
        self._centers = centers
        self._half_s = half_s
        self._period_s = reports.period_ms / 1e3
        self._loss = [reports.loss] * len(world.centers)
        self._declared_loss = reports.loss
        self._home = [_home(world, g) for g in range(len(gateways))]
        self._luck: list[float] = stream(seed, "reports").random(LUCK).tolist()
        self._drawn = 0
        self._under_way = [0] * len(gateways)
        self.pushed = 0
        self.probes = 0
        n = len(world.centers)
        if self._period_s > 0.0:
            for center in range(n):
                agenda.plan(self._period_s * (center + 1) / n, self._push, center)
        for number in range(len(gateways)):
            agenda.plan(HEALTH_EVERY_S * (1 + number / len(gateways)), self._check_health, number)

    # ---- pushed reports -------------------------------------------------------------------

    def lose(self, report_loss: np.ndarray) -> None:
        """From now on reports are lost with these probabilities beside the scenario's."""
        kept = (1.0 - report_loss) * (1.0 - self._declared_loss)
        self._loss = (1.0 - kept).tolist()

    def _push(self, event: Event) -> None:
        """A center tells every gateway how it is."""
        now, _, _, center = event
        if self._centers.answers_probes(center):
            report = self._centers.report(center)
            for number, home in enumerate(self._home):
                if self._lucky() >= self._loss[center]:
                    self.pushed += 1
                    at_s = now + self._half_s[home][center]
                    self._agenda.plan(at_s, self._hear, number, center, report)
        self._agenda.plan(now + self._period_s, self._push, center)

    def _hear(self, event: Event) -> None:
        now, _, _, number, center, report = event
        self._gateways[number].router.reported(center, report, now)

    # ---- probes that policies ask for -----------------------------------------------------

    def probe(self, now: float, number: int, vantage: int) -> None:
        """After a commit: send what the policy wants to know."""
        for center in self._gateways[number].router.probes(now)[:PROBES_A_DECISION_MAX]:
            if self._under_way[number] >= PROBES_UNDER_WAY_MAX:
                return
            self._under_way[number] += 1
            self.probes += 1
            half_s = self._half_s[vantage][center]
            self._agenda.plan(now + half_s, self._at_center, number, center, half_s)

    def _at_center(self, event: Event) -> None:
        now, _, _, number, center, half_s = event
        if self._centers.answers_probes(center):
            report = self._centers.report(center)
            self._agenda.plan(now + half_s, self._back, number, center, report)
        else:
            self._under_way[number] -= 1

    def _back(self, event: Event) -> None:
        self._under_way[event[3]] -= 1
        self._hear(event)

    # ---- health ---------------------------------------------------------------------------

    def _check_health(self, event: Event) -> None:
        """Ask what the fleet wants probed, as the live gateway does every 50 ms."""
        now, _, _, number = event
        for center in self._gateways[number].fleet.to_probe(now):
            half_s = self._half_s[self._home[number]][center]
            self.probes += 1
            self._agenda.plan(now + half_s, self._knock, number, center, half_s)
        self._agenda.plan(now + HEALTH_EVERY_S, self._check_health, number)

    def _knock(self, event: Event) -> None:
        now, _, _, number, center, half_s = event
        alive = self._centers.answers_probes(center)
        report = self._centers.report(center) if alive else None
        at_s = now + (half_s if alive else PROBE_PATIENCE_S)
        self._agenda.plan(at_s, self._probed, number, center, report)

    def _probed(self, event: Event) -> None:
        now, _, _, number, center, report = event
        if report is not None:
            self._gateways[number].router.reported(center, report, now)
        self._gateways[number].fleet.probed(center, alive=report is not None, now=now)

    def _lucky(self) -> float:
        self._drawn = drawn = (self._drawn + 1) % LUCK
        return self._luck[drawn]


def _home(world: World, gateway: int) -> int:
    """The place a gateway's reports come to: where it stands, or its heaviest origin."""
    here = int(world.gateway_place[gateway])
    if here >= 0:
        return here
    return int(np.where(world.gateway_of == gateway, world.weights, -1.0).argmax())
