"""The least a ledger can do: charge the model's run time over the slots, and refund it."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import numpy as np

from gateway.api import F32N, Decision, Outcome, Report, Table

SLOTS = 8
TIE_MS = 1e-5
TIES = 10_000


class LightLedger:
    """Keeps ``queue_ms``: work in flight, and a term by which exact ties take turns."""

    def __init__(self, table: Table, service_ms: dict[str, float]) -> None:
        self.tick_at = inf
        self._charge_ms = {model: ms / SLOTS for model, ms in service_ms.items()}
        self._queue_ms = memoryview(table.columns["queue_ms"])
        self._work_ms = [0.0] * len(table)
        self._tie_ms = [0.0] * len(table)
        self._sequence = 0

    def charge(self, decision: Decision, now: float) -> None:  # noqa: ARG002 - contract
        """Add the work, and put the center behind its equals."""
        center = decision.center
        self._sequence = sequence = (self._sequence + 1) % TIES
        self._tie_ms[center] = tie_ms = sequence * TIE_MS
        decision.charged_ms = charged_ms = self._charge_ms[decision.query.model]
        self._work_ms[center] = work_ms = self._work_ms[center] + charged_ms
        self._queue_ms[center] = work_ms + tie_ms

    def ended(self, outcome: Outcome) -> None:
        """Refund the work."""
        center = outcome.center
        work_ms = self._work_ms[center] - outcome.charged_ms
        self._work_ms[center] = work_ms = work_ms if work_ms > 1e-9 else 0.0
        self._queue_ms[center] = work_ms + self._tie_ms[center]

    def reported(self, center: int, report: Report, now: float) -> None:
        """Reports are not kept."""

    def quantile_ms(self, decision: Decision, q: float) -> float:  # noqa: ARG002 - contract
        """Nothing is learned, so what is predicted is all there is to say."""
        return decision.predicted_ms

    def heard_since(self, _centers: Iterable[int], _since_s: float) -> bool:
        """Answers are not kept."""
        return False

    def in_service(self, _center: int) -> bool:
        """All are well."""
        return True

    def tick(self, now: float) -> None:
        """Nothing to tidy."""


def add_standard_columns(table: Table, rtt_ms: F32N, service_ms: dict[str, float]) -> None:
    """What the fleet fills: all healthy, all resident. ``rtt_ms`` is float32[vantages, N]."""
    centers = len(table)
    table.add_column("healthy", "i4", 1)
    table.add_column("slots", "i4", SLOTS)
    table.add_column("queue_ms", "f4")
    table.add_row_table("rtt_ms", "vantage", lambda vantage: rtt_ms[vantage])
    table.add_row_table(
        "service_ms", "model", lambda model: np.full(centers, service_ms[model], np.float32)
    )
    table.add_row_table("service_spread", "model", lambda _model: np.full(centers, 0.1, np.float32))
    table.add_row_table("resident", "model", lambda _model: np.ones(centers, np.int32))
