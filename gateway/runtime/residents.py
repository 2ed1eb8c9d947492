"""Which models are where, as one fleet is told of it.

Centers of this process, framed connections and ``residency`` all call ``told``; the fleet must
know in the same turn of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gateway.fleet import Fleet


class Residents:
    """``by_model``: its run time as measured where it runs, ms, and the rows that have it.

    ``cold_at``: by model and row, how long a request waits there until it is loaded, ms.
    ``on_new``: told of a model at its first mention, before the fleet is told where it is, and
    whenever it has been loaded.
    """

    def __init__(self, fleet: Fleet, centers: int, on_new: Callable[[str], None]) -> None:
        self.by_model: dict[str, tuple[float, set[int]]] = {}
        self._fleet = fleet
        self._centers = centers
        self._on_new = on_new
        self.cold_at: dict[tuple[str, int], float] = {}
        self._known: set[str] = set()

    def told(self, model: str, center: int, resident: bool, run_ms: float) -> None:
        """A center has loaded a model, or has it no longer."""
        if model not in self._known:
            self._known.add(model)
            self._fleet.add_model(model, run_ms, np.zeros(self._centers, dtype=bool))
            self._on_new(model)
        self._fleet.set_resident(model, center, resident=resident)
        if resident:
            self.by_model.setdefault(model, (run_ms, set()))[1].add(center)
        elif model in self.by_model:
            self.by_model[model][1].discard(center)
            if not self.by_model[model][1]:
                del self.by_model[model]

    def cold(self, model: str, rows: Sequence[int], cold_ms: float, run_ms: float) -> None:
        """A request for the model waits ``cold_ms`` for its load in these rows; 0: it is there."""
        self._fleet.set_cold(model, rows, cold_ms, run_ms)
        if not cold_ms:
            self._on_new(model)
        known = self.by_model.get(model)
        if known is not None and not cold_ms:
            self.by_model[model] = (run_ms, known[1])
        for row in rows:
            if cold_ms:
                self.cold_at[model, row] = cold_ms
            else:
                self.cold_at.pop((model, row), None)

    def at(self, center: int) -> dict[str, float]:
        """The models of one row and their run times, ms."""
        return {model: run_ms for model, (run_ms, rows) in self.by_model.items() if center in rows}
