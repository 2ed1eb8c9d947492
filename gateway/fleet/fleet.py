"""The fleet: the standard columns and their estimators, behind the router's few calls.

Theory of operation. The router calls ``charge`` in the turn of the event loop in which it
chose, and ``ended`` exactly once for it; both are scalar updates in place (two microseconds
together at 88 centers) so that the next decision sees them. ``tick`` is called
when ``now >= tick_at`` and does what needs all centers at once. What a request must not miss
(health, drain, residency, the end of a revisit) bumps ``table.epoch``; estimates that moved
noticeably bump their row's version.

The fleet does no I/O and holds no clock: the runtime sends the probes it asks for. What an
error or a cancelled attempt took never teaches an estimate anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import numpy as np

from gateway.api import F32N, BoolN, Decision, Outcome, Report, Table
from gateway.fleet.cells import cells_of
from gateway.fleet.class_c import ClassC
from gateway.fleet.health import (
    OUTRUN,
    REQUEST_FAULTS,
    SILENT,
    Health,
    blames_center,
    silence_of,
)
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.network import Network
from gateway.fleet.residuals import Residuals
from gateway.fleet.service import Service
from gateway.fleet.shared_health import SharedHealth
from gateway.fleet.tuning import FleetTuning
from gateway.fleet.work import Work

ABSORBED_AT_ONCE = 256
DOUBTFUL_PROOF_MAX = 0.99
CONNECTION_LOST = "center_down"


class Fleet:
    """Owns the columns ``slots healthy queue_ms work_ms in_flight speed error_rate
    report_age_s`` and the rows ``rtt_ms`` (vantage), ``service_ms`` and ``resident`` (model).
    """

    def __init__(
        self,
        table: Table,
        *,
        rtt_prior: Callable[[int], F32N],
        random: Random,
        settings: FleetTuning | None = None,
    ) -> None:
        settings = settings or FleetTuning()
        self.tick_at = float("-inf")
        self._table = table
        self._settings = settings
        self._work = self._make_work(table, random, settings)
        self._network = Network(table, rtt_prior, settings)
        self._service = Service(table, settings)
        self._published = self._service.published
        self._class_c = ClassC([center.slots for center in table.centers], self._service.set_cold)
        self._of_class_c = self._class_c.models
        self._hears_again_s = settings.hears_again_s
        self._looked_at = self._service.slow
        self._path_offers = self._network.offers
        self._center_offers = self._service.offers
        self.residuals = Residuals(table.centers)
        self._to_account = self.residuals.ended.append
        self._health = self._make_health(table, random, settings)
        self._troubled = self._health.troubled
        self._on_trial = self._health.on_trial
        self._healthy = table.add_column("healthy", "i4", 1)
        self._error_rate = cells_of(table.add_column("error_rate", "f4"))
        self._report_age_s = table.add_column("report_age_s", "f8", np.inf)
        self._resident = table.add_row_table("resident", "model", self._service.unknown_model)
        self._reported_at = [float("-inf")] * len(table)
        self._answers = [0] * len(table)
        self._errors = [0] * len(table)
        self._cancelled = [0] * len(table)
        self._ticked_at: float | None = None
        self._slow_tick_at = float("-inf")
        self._settled_at: float | None = None
        self._now = 0.0

    def _make_work(self, table: Table, random: Random, settings: FleetTuning) -> Work:
        return Work(table, random, settings.work)

    def _make_health(
        self, table: Table, random: Random, settings: FleetTuning
    ) -> Health | SharedHealth:
        places = [(center.region, center.zone) for center in table.centers]
        return Health(places, random, settings.health)

    # ---- models ---------------------------------------------------------------------------

    def add_model(self, name: str, run_ms: float, declared: BoolN) -> None:
        """Make a model known. ``run_ms``: its profiled run time at a center of speed 1;
        ``declared``: bool[N], which centers serve it. Known already: begin anew with these.
        """
        declared = np.asarray(declared)
        if declared.shape != (len(self._table),):
            raise ValueError(
                f"model {name!r}: declared has shape {declared.shape}, "
                f"expected ({len(self._table)},): one flag a center"
            )
        self._service.add_model(name, run_ms)
        self.residuals.forget(name)
        row = self._resident.rows.get(name)
        if row is None:
            row = self._resident.rows[name] = np.zeros(len(self._table), dtype=np.int32)
            self._resident.versions.setdefault(name, 0)
        row[:] = declared
        self._table.touch_row("resident", name)
        self._table.epoch += 1

    def set_resident(self, name: str, center: int, *, resident: bool) -> None:
        """A model was loaded or unloaded at a center. Raises NotFound for an unknown model."""
        self._resident.row(name)[center] = int(resident)
        self._table.touch_row("resident", name)
        self._table.epoch += 1

    def set_cold(self, name: str, centers: Sequence[int], cold_ms: float, run_ms: float) -> None:
        """At these centers a request for the model waits ``cold_ms`` until it is loaded; 0: it is
        in memory. ``run_ms``: its run time as it is known now, which replaces a guess.
        """
        if not cold_ms and self._service.profile(name, run_ms):
            self.residuals.forget(name)
        if name in self._of_class_c:
            self._class_c.loads(name, centers, cold_ms)
        else:
            self._service.set_cold(name, centers, cold_ms)

    def set_class_c(self, name: str, *, class_c: bool) -> None:
        """Can the model's work wait? Then at every center its requests wait apart from others'."""
        if class_c:
            self._of_class_c.add(name)
        else:
            self._class_c.leaves(name)

    def remove_model(self, name: str) -> None:
        """Forget a model; its requests in flight still end normally."""
        self._service.remove_model(name)
        self._resident.rows.pop(name, None)
        self._table.epoch += 1

    def carry_over(self, before: Fleet, kept: KeptRows, now: float) -> None:
        """Begin with what another fleet has learned of the centers that stay; models are added
        first. Vantages must be the same. What ``before`` has under way ends there.
        """
        self._network.carry_over(before._network, kept, now)
        self._service.carry_over(before._service, kept, now)
        self._work.carry_over(before._work, kept)
        self.residuals.carry_over(before.residuals, kept)
        mine, its = self._health, before._health
        if isinstance(mine, Health) and isinstance(its, Health):
            mine.carry_over(its, kept)
        for old, new in kept.pairs:
            self._reported_at[new] = before._reported_at[old]
            self._answers[new] = before._answers[old]
            self._errors[new] = before._errors[old]
            self._cancelled[new] = before._cancelled[old]
            self._error_rate[new] = before._error_rate[old]
        self._ticked_at, self._now = before._ticked_at, before._now
        self._slow_tick_at, self._settled_at = before._slow_tick_at, before._settled_at
        self._healthy[:] = mine.in_service()
        for column in ("error_rate", "healthy"):
            self._table.touch(column)
        self._table.epoch += 1

    @property
    def in_flight(self) -> int:
        """Requests charged and not ended, at all centers."""
        others = sum(self._work.in_flight(center) for center in range(len(self._table)))
        return others + self._class_c.in_flight

    # ---- per request ----------------------------------------------------------------------

    def charge(self, decision: Decision, now: float) -> None:
        """Count a decision in flight; writes ``decision.charged_ms``."""
        self._now = now
        query, center = decision.query, decision.center
        cells = self._published.get(query.model)
        decision.charged_ms = charged_ms = cells[center] if cells is not None else 0.0
        if query.model in self._of_class_c:
            self._class_c.charge(center, charged_ms)
        else:
            self._work.charge(center, charged_ms)
        if self._path_offers:
            self._network.take(query.vantage, center)
        if self._center_offers and self._service.take(center):
            self._table.epoch += 1
        if self._on_trial and center in self._on_trial:
            self._health_changed(center, stage_changed=self._health.charged(center))

    def ended(self, outcome: Outcome) -> None:
        """Refund a decision and learn from how it ended; exactly once per charge."""
        center = outcome.center
        if outcome.model in self._of_class_c:
            self._class_c.refund(center, outcome.charged_ms)
        else:
            self._work.refund(center, outcome.charged_ms)
        if outcome.ending != "answer":
            self._not_answered(outcome)
            return
        now, report = outcome.now, outcome.report
        self._answers[center] += 1
        ran = report is None or report.service_ms > 0.0  # else the center had the answer already
        if ran:
            self._to_account((outcome.model, center, outcome.predicted_ms, outcome.attempt_ms))
        if report is None:
            # A center that reports nothing: network is what the predicted service leaves.
            rest_ms = max(0.0, outcome.attempt_ms - outcome.charged_ms)
            self._network.learn(outcome.vantage, center, rest_ms, now)
        else:
            service_ms = report.service_ms
            network_ms = outcome.attempt_ms - report.queue_ms - service_ms
            self._network.learn(
                outcome.vantage, center, network_ms if network_ms > 0.0 else 0.0, now
            )
            heard_s = self._reported_at[center]
            if now - heard_s >= self._hears_again_s or center in self._looked_at:
                self._reported_at[center] = now
                if ran:
                    self._service.learn(outcome.model, center, service_ms, now)
                self._work.reported(center, report, now)
        if self._troubled[center]:
            self._health_changed(center, stage_changed=self._health.answered(center, now))

    def reported(self, center: int, report: Report, now: float) -> None:
        """A center spoke of its load outside an answer (a probe, a pushed report)."""
        self._reported_at[center] = now
        self._work.reported(center, report, now)

    def heard_since(self, centers: Iterable[int], since_s: float) -> bool:
        """Whether any of these centers has answered anybody since ``since_s``."""
        reported_at = self._reported_at
        return any(reported_at[center] >= since_s for center in centers)

    def in_service(self, center: int) -> bool:
        """Whether the center may be chosen: not ejected, not draining."""
        return bool(self._healthy[center])

    def quantile_ms(self, decision: Decision, q: float) -> float:
        """How long the attempt may take, in ms: a share ``q`` of such attempts takes less.

        No less than a load, where one is needed: a policy need not have it in its sum.
        """
        model, center = decision.query.model, decision.center
        quantile_ms = decision.predicted_ms * self.residuals.quantile_ratio(center, model, q)
        return max(quantile_ms, self._service.cold_ms(model, center))

    # ---- time -----------------------------------------------------------------------------

    def tick(self, now: float, ahead_s: float = 0.0) -> None:
        """What needs all centers at once: each millisecond fading, each 100 ms the rest.

        ``ahead_s``: do the rest already when it is due within that time.
        """
        self.tick_at = now + self._settings.tick_s
        if self._ticked_at is not None:
            self._work.fade(now - self._ticked_at)
        self._ticked_at = now
        if len(self.residuals.ended) > ABSORBED_AT_ONCE:
            self.residuals.absorb()  # a tenth of a second's answers would hold the loop up
        if now + ahead_s < self._slow_tick_at:
            return
        self._slow_tick_at = now + self._settings.slow_tick_s
        elapsed_s = 0.0 if self._settled_at is None else now - self._settled_at
        self._settled_at = self._now = now
        self._service.settle(now)
        self.residuals.settle(now)
        self._network.offer_due(now)
        self._work.settle(self._service.mean_ms(), elapsed_s, now)
        np.subtract(now, self._reported_at, out=self._report_age_s)
        self._table.touch("report_age_s")

    # ---- health ---------------------------------------------------------------------------

    def drain(self, center: int, *, draining: bool) -> None:
        """Take a center out of the choice, or back."""
        self._health.drain(center, draining=draining)
        self._health_changed(center, stage_changed=True)

    def draining(self, center: int) -> bool:
        """Whether it was taken out of the choice by hand."""
        return self._health.conditions[center].draining

    def to_probe(self, now: float) -> list[int]:
        """Ejected centers whose probe is due; the caller sends it and calls ``probed``."""
        self._now = now
        return self._health.due(now)

    def probed(self, center: int, *, alive: bool, now: float) -> None:
        """How a probe ended."""
        self._now = now
        changed = self._health.probed(center, now, alive=alive)
        self._health_changed(center, stage_changed=changed)

    def reach_changed(self, center: int, *, reachable: bool, now: float) -> None:
        """The connection to a center was lost, or is there again; no attempt need tell.

        A lost one counts as a refusal, so nothing new is sent there until a probe is answered.
        """
        self._now = now
        if reachable:
            self._health.reached(center, now)
            return
        changed = self._health.erred(center, CONNECTION_LOST, now)
        self._health_changed(center, stage_changed=changed)

    def state(self, now: float | None = None) -> list[dict[str, Any]]:
        """A JSON-ready row a center; ``now`` None: as of the last event that told the time."""
        at = self._now if now is None else now
        return [self._state_of(center, at) for center in range(len(self._table))]

    def stages(self) -> list[str]:
        """Every center's health in a word, in row order."""
        stages = ["ok"] * len(self._table)
        for center in (*self._health.unwell(), *self._service.slow):
            stages[center] = self._stage(center)
        return stages

    def why(self, center: int) -> str:
        """Why a center's health is what it is; empty when there is nothing to say."""
        return self._why(center, self._now)

    # ---- its pieces -----------------------------------------------------------------------

    def _not_answered(self, outcome: Outcome) -> None:
        center, now = outcome.center, outcome.now
        self._network.not_measured(outcome.vantage, center, now)
        self._service.not_measured(center, now)
        if outcome.ending == "cancelled":
            self._cancelled[center] += 1
            if outcome.reason == OUTRUN:
                self._silent(outcome)
            else:
                self._unjudged(center)
            return
        self._errors[center] += 1
        if outcome.reason in REQUEST_FAULTS:
            self._unjudged(center)
            return
        # A fast error must not make its center look idle: what was predicted stays, fading.
        if outcome.model not in self._of_class_c:
            self._work.linger(center, outcome.charged_ms)
        self._now = now
        if outcome.reason in SILENT and outcome.report is None:
            self._silent(outcome)
        elif blames_center(outcome.reason):
            changed = self._health.erred(center, outcome.reason, now)
            self._health_changed(center, stage_changed=changed)
        else:
            self._unjudged(center)

    def _silent(self, outcome: Outcome) -> None:
        """An attempt ended without a word, by its patience or because another one was faster.

        One that was outrun might have answered yet, and a center that answers others meanwhile is
        slow with this request, not silent: neither is a whole proof. On trial either is enough: it
        took longer than the prediction and a copy's whole way, and to owe it another request each
        time would send it one after the other.
        """
        center, self._now = outcome.center, outcome.now
        proof = silence_of(outcome.attempt_ms, outcome.predicted_ms, self._settings.health)
        began_s = outcome.now - outcome.attempt_ms * 1e-3
        if outcome.reason == OUTRUN or self._reported_at[center] >= began_s:
            proof = min(proof, DOUBTFUL_PROOF_MAX)
        changed = self._health.silent(center, proof, outcome.now)
        self._health_changed(center, stage_changed=changed)

    def _unjudged(self, center: int) -> None:
        if self._on_trial and center in self._on_trial:
            self._health_changed(center, stage_changed=self._health.unjudged(center))

    def _health_changed(self, center: int, *, stage_changed: bool) -> None:
        """Bring the columns in line with the conditions; a change of health bumps the epoch."""
        self._error_rate[center] = self._health.conditions[center].error_rate
        self._table.touch("error_rate")
        if not stage_changed:
            return
        in_service = self._health.in_service()
        if np.array_equal(in_service, self._healthy):
            return
        self._healthy[:] = in_service
        self._table.touch("healthy")
        self._table.epoch += 1

    def _state_of(self, center: int, now: float) -> dict[str, Any]:
        it = self._health.conditions[center]
        heard_at = self._reported_at[center]
        return {
            "center": self._table.centers[center].id,
            "healthy": bool(self._healthy[center]),
            "health": self._stage(center),
            "reason": self._why(center, now),
            "since_s": max(0.0, now - it.since),
            "in_flight": self._work.in_flight(center),
            "in_flight_c": self._class_c.in_flight_at(center),
            "slots": int(self._table.columns["slots"][center]),
            "work_ms": self._work.own_ms(center),
            "foreign_ms": self._work.foreign_ms(center),
            "queue_ms": float(self._table.columns["queue_ms"][center]),
            "speed": float(self._table.columns["speed"][center]),
            "error_rate": it.error_rate,
            "report_age_s": None if heard_at == float("-inf") else max(0.0, now - heard_at),
            "answers": self._answers[center],
            "errors": self._errors[center],
            "cancelled": self._cancelled[center],
        }

    def _stage(self, center: int) -> str:
        it = self._health.conditions[center]
        if it.draining:
            return "draining"
        slow = it.stage == "ok" and self._service.slow_since(center)
        return "slow" if slow else it.stage

    def _why(self, center: int, now: float) -> str:
        paths = self._network.slow_paths(center)
        parts = (
            self._health.conditions[center].why(now),
            self._service.slow_since(center),
            f"{paths} paths slower than usual" if paths else "",
        )
        return "; ".join(part for part in parts if part)
