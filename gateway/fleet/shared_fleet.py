"""The fleet of one worker among several: ``Fleet`` at a seat of a shared table.

It decides as a fleet alone does, on columns that hold what all workers have under way, the
health that was published, and estimates that the others sharpen. What is added happens in
the ticks: each fast one gathers the siblings' work and looks at health, each hundredth of a
second shares what was learned. Whoever holds it should call ``tick`` even when nothing is asked
here, often while ``moved_at`` (when anything last moved, at any worker) is recent, so that an
idle worker is ready to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

from gateway.api import F32N, Outcome, Table
from gateway.fleet.fleet import Fleet
from gateway.fleet.health import Health
from gateway.fleet.shared_health import SharedHealth
from gateway.fleet.shared_learning import SHARE_S, SharedLearning
from gateway.fleet.shared_table import SharedTable
from gateway.fleet.shared_work import SharedWork
from gateway.fleet.tuning import FleetTuning
from gateway.fleet.work import Work


class SharedFleet(Fleet):
    """``Fleet`` at seat ``seat`` of ``shared``; the seat's rows must be clear.

    Raises ValueError when the table was laid for another number of centers.
    """

    def __init__(
        self,
        table: Table,
        *,
        rtt_prior: Callable[[int], F32N],
        random: Random,
        shared: SharedTable,
        seat: int,
        settings: FleetTuning | None = None,
    ) -> None:
        if shared.size.centers != len(table):
            raise ValueError(
                f"the shared table has {shared.size.centers} centers, the fleet {len(table)}; "
                "make both from the same fleet file"
            )
        self._shared = shared
        self._seat = seat
        super().__init__(table, rtt_prior=rtt_prior, random=random, settings=settings)
        self._learning = SharedLearning(shared, seat, self._network, self._service, self._settings)
        self._to_share = self._learning.answered.append
        self.moved_at = float("-inf")
        self._share_at = float("-inf")
        self._copy_error_rates()  # a worker may begin while centers are out
        self._copy_serving()

    def _make_work(self, table: Table, random: Random, settings: FleetTuning) -> Work:
        self._shared_work = SharedWork(table, random, settings.work, self._shared, self._seat)
        return self._shared_work

    def _make_health(
        self,
        table: Table,
        random: Random,  # noqa: ARG002 - as Fleet's
        settings: FleetTuning,  # noqa: ARG002 - as Fleet's
    ) -> Health | SharedHealth:
        places = [(center.region, center.zone) for center in table.centers]
        self._shared_health = SharedHealth(places, self._shared, self._seat)
        return self._shared_health

    def ended(self, outcome: Outcome) -> None:
        """As alone; an answer is remembered until it is shared.

        Ticks too, when one is due: then it is not the next decision that waits for it.
        """
        super().ended(outcome)
        if outcome.now >= self.tick_at:
            self.tick(outcome.now)
        if outcome.ending == "answer":
            self._to_share((outcome.vantage, outcome.center, outcome.model))

    def tick(self, now: float, ahead_s: float = 0.0) -> None:
        """As alone, and what the others did since the last one."""
        if self._shared_work.gather(now):
            self.moved_at = now
        self._refresh_health(now)
        super().tick(now, ahead_s)
        if now >= self._share_at:
            self._share_at = now + SHARE_S
            self._learning.share(now)

    def _refresh_health(self, now: float) -> None:
        health, before = self._shared_health, self._shared_health.adopted
        serving_changed = health.refresh(now)
        if health.adopted != before:
            self._copy_error_rates()
        if serving_changed:
            self._copy_serving()

    def _copy_error_rates(self) -> None:
        rates = [it.error_rate for it in self._shared_health.conditions]
        column = self._table.columns["error_rate"]
        if not np.array_equal(column, np.array(rates, dtype=column.dtype)):
            column[:] = rates
            self._table.touch("error_rate")

    def _copy_serving(self) -> None:
        self._healthy[:] = self._shared_health.in_service()
        self._table.touch("healthy")
        self._table.epoch += 1
