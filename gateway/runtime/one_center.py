"""Deciding where there is nothing to decide: a center's own HTTP door asks the one center."""

from __future__ import annotations

from math import inf

import numpy as np

from gateway.api import Decision, Explanation, NoCenter, Outcome, Query, Report


class OneCenter:
    """Implements ``gateway.serving.arrival.Deciding`` over row 0; it learns nothing.

    The gateway in front judges this center's health and times, and retries elsewhere.
    """

    asks_probes = False

    def decide(self, query: Query, now: float, tried: tuple[int, ...] = ()) -> Decision:
        """The one there is. Raises NoCenter when it was tried."""
        if tried:
            raise NoCenter("this process is one center; there is no other to try")
        return Decision(query, 0, 0.0, -1, inf, (), 0.0, now=now)

    def next(
        self,
        _decision: Decision,
        _now: float,
        *,
        silent: bool = False,  # noqa: ARG002 - as Deciding's
        within_ms: float = inf,  # noqa: ARG002 - as Deciding's
    ) -> Decision:
        """Raises NoCenter."""
        raise NoCenter("this process is one center; there is no other to try")

    def elsewhere(self, _decision: Decision, _now: float) -> Decision:
        """Raises NoCenter."""
        raise NoCenter("this process is one center; there is no other zone")

    def commit(self, decision: Decision, now: float) -> None:
        """Nothing is charged: the center counts its own work."""

    def ended(self, outcome: Outcome) -> None:
        """Nothing is learned."""

    def explain(self, query: Query, _now: float) -> Explanation:
        """A table of one row and no scorer."""
        return Explanation("one center", query, 0, {}, np.zeros(1, np.float32), ((),), (0,))

    def quantile_ms(self, _decision: Decision, _q: float) -> float:
        """Unknown: nobody waits for another center."""
        return 0.0

    def in_service(self, _center: int) -> bool:
        """The gateway in front is who judges that."""
        return True

    def reported(self, center: int, report: Report, now: float) -> None:
        """Nobody asks."""

    def probes(self, _now: float) -> list[int]:
        """None."""
        return []
