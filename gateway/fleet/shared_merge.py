"""The merging process's half of a shared table: health, and one mean of what all learned.

Theory of operation. ``round`` is called every ``MERGE_S``:

* It hears the rings of all seats, lets the one state machine of ``health`` take each ending
  in, writes the published columns and acknowledges. When an ejected center is due it counts
  ``probe_asked`` up; the worker named by ``prober`` probes and tells the answer.
* It merges what workers learned, by weight (``shared_means``): round trips by vantage and
  center, log factors of speed by center, log factors by model. Of the many round trips only
  those that workers named in their rings are merged, and named again for all who read them.

A seat that is left (``seat_left``) is cleared: its requests in flight are gone with their
connections, and a returning center that waited for one of them is owed another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np

from gateway.api import Array
from gateway.fleet.condition import Condition
from gateway.fleet.health import Health
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.shared_cells import CellsReader, CellsWriter
from gateway.fleet.shared_endings import Listener, Told, What
from gateway.fleet.shared_means import recent_weights, weighted_means
from gateway.fleet.shared_table import SharedTable
from gateway.fleet.tuning import HealthTuning

MERGE_S = 0.010
NOBODY = -1
OF_PATHS = ("rtt_merged", "rtt_known")
OF_CENTERS = ("pace_merged", "pace_known")
OF_MODELS = ("merged_key", "factor_merged", "factor_known")
"""What was learned, by what its rows are of."""


class Merger:
    """Writes the published block of ``shared``; made once for a fresh table.

    ``places``: (region, zone) of every center, in row order.
    """

    def __init__(
        self,
        shared: SharedTable,
        places: Sequence[tuple[str, str]],
        random: Random,
        tuning: HealthTuning | None = None,
    ) -> None:
        seats = range(shared.size.seats)
        self._shared = shared
        self._health = Health(places, random, tuning or HealthTuning())
        self._listeners = [Listener(shared, seat) for seat in seats]
        self._on_trial = [Counter[int]() for _ in seats]
        self._rtt_seen = np.zeros_like(shared["rtt_samples"])
        self._rtt_merged_at = np.zeros(shared["rtt_known"].shape)
        self._paths_told = [
            CellsReader(shared["paths_told"][seat], shared["paths_told_count"][seat : seat + 1])
            for seat in seats
        ]
        self._paths_merged = CellsWriter(shared["paths_merged"], shared["paths_merged_count"])
        self._pace_seen = np.zeros_like(shared["pace_answers"])
        self._factor_seen = np.zeros_like(shared["model_answers"])
        self._model_answers = np.zeros_like(shared["model_answers"])
        self._paces_merged_at = 0.0
        self._factors_merged_at = 0.0
        self._now = 0.0
        shared["prober"][0] = NOBODY
        self._publish_health()

    # ---- health ---------------------------------------------------------------------------

    def round(self, now: float) -> None:
        """Hear everybody, publish, merge."""
        self._now = now
        heard = [self._hear(seat, now) for seat in range(len(self._listeners))]
        due = self._health.due(now)
        for center in due:
            self._shared["probe_asked"][center] += 1
        if due or any(heard):
            self._publish_health()
            for listener in self._listeners:
                listener.acknowledge()
        self._merge_rtt(now)
        self._merge_paces(now)
        self._merge_factors(now)

    def _hear(self, seat: int, now: float) -> int:
        """Take in what a seat told; returns how much it was."""
        count = 0
        for told in self._listeners[seat].hear():
            self._take_in(seat, told, now)
            count += 1
        return count

    def drain(self, center: int, *, draining: bool) -> int:
        """Take a center out, or put it back; returns the version that says so."""
        self._health.drain(center, draining=draining)
        self._publish_health()
        return self.version

    @property
    def version(self) -> int:
        """Of the published health."""
        return int(self._shared["health_version"][0])

    def has_seen(self, seat: int, version: int) -> bool:
        """Whether the worker at ``seat`` goes by ``version`` or a later one."""
        return int(self._shared["health_seen"][seat]) >= version

    def condition(self, center: int) -> Condition:
        """What is known of a center's health."""
        return self._health.conditions[center]

    def let_probe(self, seat: int | None) -> None:
        """Name the worker that sends the probes."""
        self._shared["prober"][0] = NOBODY if seat is None else seat

    def seat_left(self, seat: int) -> None:
        """The worker at ``seat`` is gone: hear its last words, then clear its rows."""
        self._hear(seat, self._now)
        for center, count in self._on_trial[seat].items():
            for _ in range(count):
                self._health.unjudged(center)
        self._on_trial[seat].clear()
        self._shared.clear_seat(seat)
        for seen in (self._rtt_seen, self._pace_seen, self._factor_seen, self._model_answers):
            seen[seat] = 0
        self._listeners[seat].forget()
        self._paths_told[seat].forget()
        self._publish_health()

    def carry_over(self, before: SharedTable, kept: KeptRows, vantages: int) -> None:
        """Publish what was learned over another table, of the centers that stay and of as many
        vantages as are the same, from the first on.
        """
        for name in OF_PATHS:
            known = before[name][:vantages][:, kept.before]
            self._shared[name][:vantages, kept.after] = known
        for name in OF_CENTERS:
            self._shared[name][kept.after] = before[name][kept.before]
        for name in OF_MODELS:
            self._shared[name][...] = before[name]

    def _take_in(self, seat: int, told: Told, now: float) -> None:
        health, center = self._health, told.center
        if center >= len(health.conditions):
            return
        if told.what is What.CHARGED:
            if center in health.on_trial:
                health.charged(center)
                self._on_trial[seat][center] += 1
            return
        if told.what in (What.PROBED_ALIVE, What.PROBED_DEAD):
            health.probed(center, now, alive=told.what is What.PROBED_ALIVE)
            return
        if told.what is What.REACHED:
            health.reached(center, now)
            return
        if self._on_trial[seat][center] > 0:
            self._on_trial[seat][center] -= 1
        if told.what is What.ERRED:
            health.erred(center, told.reason, now)
        elif told.what is What.SILENT:
            health.silent(center, told.proof, now)
        elif told.what is What.ANSWERED:
            health.answered(center, now)
        else:
            health.unjudged(center)

    def _publish_health(self) -> None:
        shared, health = self._shared, self._health
        troubled = np.frombuffer(health.troubled, dtype=np.uint8).astype(np.int32)
        on_trial = np.zeros(len(troubled), dtype=np.int32)
        on_trial[list(health.on_trial)] = 1
        rates = shared["error_rate"].copy()
        rates[:] = 0.0
        for center in np.flatnonzero(troubled).tolist():
            rates[center] = health.conditions[center].error_rate
        columns = {
            "healthy": health.in_service(),
            "troubled": troubled,
            "on_trial": on_trial,
            "error_rate": rates,
            "panic": np.array([health.panic], dtype=np.int32),
        }
        moved = [name for name, new in columns.items() if not np.array_equal(shared[name], new)]
        for name in moved:
            shared[name][:] = columns[name]
        if moved or not self.version:
            shared["health_version"][0] += 1

    # ---- what is learned ------------------------------------------------------------------

    def _merge_rtt(self, now: float) -> None:
        """Only the cells that workers named: what a round costs goes with what moved."""
        shared = self._shared
        told = [cells for cells in (reader.fresh() for reader in self._paths_told) if len(cells)]
        if not told:
            return
        cells = np.unique(np.concatenate(told))
        cells = cells[(cells >= 0) & (cells < shared["rtt_known"].size)]
        at = (slice(None), *np.divmod(cells, shared.size.centers))
        recent, seen = shared["rtt_recent"][at], self._rtt_seen[at]
        recent_weights(recent, shared["rtt_samples"][at], seen, now - self._rtt_merged_at[at[1:]])
        self._rtt_seen[at] = seen
        self._rtt_merged_at[at[1:]] = now
        merged, known = weighted_means(shared["rtt_ms"][at], recent)
        shared["rtt_recent"][at] = recent
        shared["rtt_merged"][at[1:]] = merged
        shared["rtt_known"][at[1:]] = known
        self._paths_merged.add(cells)

    def _merge_paces(self, now: float) -> None:
        shared = self._shared
        if np.array_equal(shared["pace_answers"], self._pace_seen):
            return
        elapsed_s, self._paces_merged_at = now - self._paces_merged_at, now
        recent = shared["pace_recent"]
        recent_weights(recent, shared["pace_answers"].copy(), self._pace_seen, elapsed_s)
        self._put("pace", *weighted_means(shared["pace"], recent))

    def _merge_factors(self, now: float) -> None:
        """By model; a worker whose model in a place is another one is not counted there."""
        shared = self._shared
        answers = shared["model_answers"].copy()
        if np.array_equal(answers, self._model_answers):
            return
        self._model_answers = answers
        keys = shared["model_key"].copy()
        agreed: Array = keys.max(axis=0)
        counted = np.where(keys == agreed, answers, 0)
        elapsed_s, self._factors_merged_at = now - self._factors_merged_at, now
        recent = shared["factor_recent"]
        recent_weights(recent, counted, self._factor_seen, elapsed_s)
        shared["merged_key"][:] = agreed
        self._put("factor", *weighted_means(shared["model_factor"], recent))

    def _put(self, name: str, merged: Array, known: Array) -> None:
        self._shared[f"{name}_merged"][:] = merged
        self._shared[f"{name}_known"][:] = known
