"""What one worker learned, for the others, and what the others know better.

Theory of operation. A worker's estimators stay its own: they go on without anybody else.
Each ``SHARE_S`` it writes the cells that its answers touched since the last time into its
rows (estimate, and how many samples are behind it), and looks at the published means. Where
the *others* have more recent samples of a cell than this worker has, the published mean
takes the place of its own estimate; where it knows more itself, it stays with that.

The published mean includes this worker's own part, by its weight, so a value taken over is
one that the others would agree on. It is written into the own row too, without samples: the
row is what this worker believes, and tells at a glance where the published mean differs.
"""

from __future__ import annotations

import numpy as np

from gateway.fleet.network import Network
from gateway.fleet.service import Service
from gateway.fleet.shared_cells import CellsReader, CellsWriter
from gateway.fleet.shared_table import SharedTable, model_place
from gateway.fleet.tuning import FleetTuning

SHARE_S = 0.010


class SharedLearning:
    """One seat's part in what is learned together.

    ``answered``: (vantage, center, model) of every answer since the last ``share``; an answer
    costs a request its place in that list.
    """

    def __init__(
        self,
        shared: SharedTable,
        seat: int,
        network: Network,
        service: Service,
        tuning: FleetTuning,
    ) -> None:
        self._shared = shared
        self._seat = seat
        self._network = network
        self._service = service
        self._tuning = tuning
        self.answered: list[tuple[int, int, str]] = []
        self._places: dict[str, int | None] = {}
        ring, count = shared["paths_told"][seat], shared["paths_told_count"][seat : seat + 1]
        self._told = CellsWriter(ring, count)
        self._merged = CellsReader(shared["paths_merged"], shared["paths_merged_count"])
        self._began = False

    def share(self, now: float) -> None:
        """Write what moved here, take over what others know better."""
        if self.answered:
            touched = set(self.answered)
            self.answered.clear()
            self._tell(touched)
        self._adopt_rtt(now)
        self._adopt_paces()
        self._adopt_factors()

    # ---- telling --------------------------------------------------------------------------

    def _tell(self, touched: set[tuple[int, int, str]]) -> None:
        self._tell_paths({(vantage, center) for vantage, center, _ in touched})
        shared, seat = self._shared, self._seat
        for center in {center for _, center, _ in touched}:
            log_factor, answers = self._service.pace_of(center)
            shared["pace"][seat, center] = log_factor
            shared["pace_answers"][seat, center] = answers
        for name in {model for _, _, model in touched}:
            place = self._place(name)
            if place is not None:
                log_factor, answers = self._service.factor_of(name)
                shared["model_factor"][seat, place] = log_factor
                shared["model_answers"][seat, place] = answers

    def _tell_paths(self, paths: set[tuple[int, int]]) -> None:
        shared, seat = self._shared, self._seat
        rtt, samples, told = shared["rtt_ms"][seat], shared["rtt_samples"][seat], []
        for vantage, center in paths:
            if vantage < shared.vantages:
                mean_ms, count = self._network.measured(vantage, center)
                rtt[vantage, center] = mean_ms
                samples[vantage, center] = count
                told.append(vantage * shared.size.centers + center)
        self._told.add(np.array(told, dtype=np.int64))

    def _place(self, name: str) -> int | None:
        """Where a model stands; None when another of ours stands there already."""
        if name not in self._places:
            place, key = model_place(name, self._shared.size.models)
            row = self._shared["model_key"][self._seat]
            self._places[name] = place if row[place] in (0, key) else None
            if row[place] == 0:
                row[place] = key
        return self._places[name]

    # ---- taking over ----------------------------------------------------------------------

    def _adopt_rtt(self, now: float) -> None:
        """Of the cells merged since the last time; at first of all that anybody knows."""
        shared, seat, tuning = self._shared, self._seat, self._tuning.network
        cells = self._merged.fresh()
        if not self._began:
            self._began = True
            cells = np.flatnonzero(shared["rtt_known"])
        if not len(cells):
            return
        at = np.divmod(cells, shared.size.centers)
        merged, own = shared["rtt_merged"][at], shared["rtt_ms"][seat][at]
        better = shared["rtt_known"][at] > 2.0 * shared["rtt_recent"][seat][at]
        better &= np.abs(merged - own) > tuning.publish_ms + tuning.publish_share * own
        for which in np.flatnonzero(better).tolist():
            vantage, center, rtt_ms = int(at[0][which]), int(at[1][which]), float(merged[which])
            shared["rtt_ms"][seat, vantage, center] = rtt_ms
            self._network.believe(vantage, center, rtt_ms, now)

    def _adopt_paces(self) -> None:
        shared, own = self._shared, self._shared["pace"][self._seat]
        better = shared["pace_known"] > 2.0 * shared["pace_recent"][self._seat]
        better &= np.abs(shared["pace_merged"] - own) > self._tuning.service.publish_share
        for center in np.flatnonzero(better).tolist():
            own[center] = shared["pace_merged"][center]
            self._service.believe_pace(center, float(own[center]))

    def _adopt_factors(self) -> None:
        shared, own = self._shared, self._shared["model_factor"][self._seat]
        better = shared["factor_known"] > 2.0 * shared["factor_recent"][self._seat]
        better &= np.abs(shared["factor_merged"] - own) > self._tuning.service.publish_share
        if not better.any():
            return
        for name in list(self._service.published):
            place, key = model_place(name, shared.size.models)
            if better[place] and shared["merged_key"][place] == key:
                own[place] = shared["factor_merged"][place]
                self._service.believe_factor(name, float(own[place]))
