"""Network: the round trip of every path (vantage × center), learned from answers alone.

Theory of operation. A sample is the attempt minus what the center reports as queue and
service. Each used path has a scalar Kalman filter whose noise adapts; its prior is the path
model's, published a little too good so that a center which might be nearer is tried once.

* *Gate*: a sample beyond 4 σ is refused and counted. Five refused in a row, or eight of ten,
  are a change of route: the estimate becomes their median. Late samples that arrive together
  count once, since one stall of the event loop delays all of them.
* *Lower envelope*: a sample beyond 3 σ is cut to it, so that waiting inside the network does
  not inflate the estimate of its propagation.
* *Revisit*: a path that rose keeps its usual value and is tried again (see ``revisit``).

Readers see the row ``rtt_ms[vantage]``, rewritten only when an estimate moved noticeably.
A path's filter exists from its first answer on. Errors and cancelled attempts teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import sqrt
from statistics import median

import numpy as np

from gateway.api import F32N, Table
from gateway.fleet.cells import Cells, cells_of
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.revisit import Revisit, Stage
from gateway.fleet.tuning import FleetTuning, NetworkTuning

RTT_MS_MAX = 1e6
LAST_5 = 0b11111
LAST_10 = 0b11111_11111

CITY_SAMPLES = 3
"""So many first measurements of a path are believed of its city too."""


class Path:
    """The filter of one path: mean and variance in ms, ms²."""

    __slots__ = (
        "at",
        "high",
        "low",
        "mean",
        "misses",
        "noise",
        "refused",
        "refused_at",
        "revisit",
        "samples",
        "usual",
        "variance",
    )

    def __init__(self, prior_ms: float, now: float, tuning: NetworkTuning) -> None:
        self.mean = prior_ms
        self.variance = max(tuning.prior_spread * prior_ms, tuning.prior_spread_ms) ** 2
        self.noise = tuning.noise_ms**2
        self.at = now
        self.samples = 0
        self.misses = 0  # a bit a sample, newest lowest: 1 = refused
        self.refused: list[float] = []
        self.refused_at = -1e9
        self.usual = prior_ms
        self.revisit: Revisit | None = None
        self.shown(prior_ms, tuning)

    def learn(self, sample_ms: float, now: float, tuning: NetworkTuning) -> None:
        """One measured round trip."""
        variance = self.variance
        if now > self.at:
            variance += tuning.drift_ms2_per_s * (now - self.at)
            self.at = now
        error = sample_ms - self.mean
        spread = variance + self.noise
        squared = error * error
        if squared > 9.0 * spread:
            if squared > tuning.gate * tuning.gate * spread:
                self.variance = variance
                self._refuse(sample_ms, now, tuning)
                return
            if error > 0.0 and self.samples:
                error = tuning.clip * sqrt(spread)
                squared = error * error
        gain = variance / spread
        self.mean += gain * error
        self.variance = variance - gain * variance
        if self.misses:
            self.misses = (self.misses << 1) & LAST_10
            if not self.misses:
                self.refused.clear()
        if self.samples:
            noise = self.noise + tuning.noise_gain * (squared - spread)
            if noise < tuning.noise_ms2_min:
                noise = tuning.noise_ms2_min
            elif noise > tuning.noise_ms2_max:
                noise = tuning.noise_ms2_max
            self.noise = noise
        else:
            self.usual = self.mean  # measured at last: what it was guessed at no longer counts
        self.samples += 1

    def shown(self, value_ms: float, tuning: NetworkTuning) -> None:
        """This value is published now: a mean outside of the margin around it is news."""
        margin = tuning.publish_ms + tuning.publish_share * value_ms
        self.low, self.high = value_ms - margin, value_ms + margin

    def restart(self, sample_ms: float) -> None:
        """Believe this value, as after a change of route."""
        self.mean = sample_ms
        self.variance = self.noise
        self.misses = 0
        self.refused.clear()
        self.samples += 1

    def _refuse(self, sample_ms: float, now: float, tuning: NetworkTuning) -> None:
        if now - self.refused_at < tuning.spacing_s:
            return
        self.refused_at = now
        self.misses = ((self.misses << 1) | 1) & LAST_10
        self.refused.append(sample_ms)
        del self.refused[:-10]
        if self.misses & LAST_5 == LAST_5 or self.misses.bit_count() >= 8:
            self.restart(median(self.refused[-self.misses.bit_count() :]))


class Network:
    """Owns the row table ``rtt_ms`` (float32[N] a vantage, ms)."""

    def __init__(self, table: Table, prior: Callable[[int], F32N], settings: FleetTuning) -> None:
        self._table = table
        self._prior = prior
        self._settings = settings
        self._tuning = settings.network
        self._paths: dict[int, dict[int, Path]] = {}
        self._published: dict[int, Cells] = {}
        self._slow: dict[tuple[int, int], Path] = {}
        self.offers: set[tuple[int, int]] = set()
        self._city_of, self._rows_of = _cities(table)
        self._speakers: dict[tuple[int, int], int] = {}
        self._before: tuple[Network, KeptRows, float] | None = None
        self._rtt = table.add_row_table("rtt_ms", "vantage", self._first_row)

    def _first_row(self, vantage: int) -> F32N:
        prior = np.asarray(self._prior(vantage), dtype=np.float32)
        if prior.shape != (len(self._table),):
            raise ValueError(
                f"rtt_prior({vantage}) has shape {prior.shape}, expected ({len(self._table)},): "
                "one value a center"
            )
        if not (np.isfinite(prior).all() and (prior >= 0).all()):
            raise ValueError(f"rtt_prior({vantage}) holds a value that is no time in ms: {prior}")
        values = np.ascontiguousarray(prior * np.float32(self._tuning.optimism))
        self._published[vantage] = cells_of(values)
        self._paths[vantage] = {}
        if self._before is not None:
            self._take_over(vantage, values)
        return values

    def carry_over(self, before: Network, kept: KeptRows, now: float) -> None:
        """Begin with what was learned of the paths to the centers that stay; vantages are
        the same. Copied row by row, when one is first asked for.
        """
        if before._before is not None:
            for vantage in before._before[0].vantages:
                before._rtt.row(vantage)  # or what was not asked for in between would be lost
            before._before = None
        self._before = (before, kept, now)

    @property
    def vantages(self) -> tuple[int, ...]:
        """Those that something is known of."""
        return tuple(self._paths)

    def _take_over(self, vantage: int, values: F32N) -> None:
        assert self._before is not None
        before, kept, now = self._before
        known = before._rtt.rows.get(vantage)
        if known is None:
            return
        values[kept.after] = known[kept.before]
        paths = self._paths[vantage]
        for old, new in kept.pairs:
            path = before._paths[vantage].get(old)
            if path is None:
                continue
            mine = paths[new] = copy(path)
            mine.refused = list(path.refused)
            if path.revisit is not None:
                mine.revisit = path.revisit.carried_over(now)
                self._slow[vantage, new] = mine
                if (vantage, old) in before.offers:
                    self.offers.add((vantage, new))

    def _first_path(self, vantage: int, center: int, now: float) -> Path:
        self._rtt.row(vantage)
        path = Path(self._published[vantage][center], now, self._tuning)
        self._paths[vantage][center] = path
        return path

    def learn(self, vantage: int, center: int, sample_ms: float, now: float) -> None:
        """One answer's round trip in ms; values that are no time are ignored."""
        if not 0.0 <= sample_ms < RTT_MS_MAX:
            return
        try:
            path = self._paths[vantage][center]
        except KeyError:
            path = self._first_path(vantage, center, now)
        path.learn(sample_ms, now, self._tuning)
        if path.samples <= CITY_SAMPLES:
            self._tell_city(vantage, center, path.mean)
        if path.revisit is not None and self._looked_again(vantage, center, path, sample_ms, now):
            return
        if path.mean > path.high or path.mean < path.low:
            self._publish(vantage, center, path, now)

    def _tell_city(self, vantage: int, center: int, mean_ms: float) -> None:
        """Zones of one city share their way there: what was never measured is guessed by it.

        A guess by distance would send one request to each zone of each city that might be
        nearer; on a fleet of 88 centers that is a third of a small city's traffic in a minute.
        Only the center of a city that was measured first speaks for it.
        """
        city = self._city_of[center]
        if self._speakers.setdefault((vantage, city), center) != center:
            return
        paths, published = self._paths[vantage], self._published[vantage]
        told = [mate for mate in self._rows_of[city] if mate not in paths]
        for mate in told:
            published[mate] = mean_ms
        if told:
            self._table.touch_row("rtt_ms", vantage)

    def not_measured(self, vantage: int, center: int, now: float) -> None:
        """An attempt ended without a measurement; if it was to look again, another will."""
        path = self._slow.get((vantage, center))
        if path is None or path.revisit is None or path.revisit.stage is not Stage.TAKEN:
            return
        path.revisit.not_measured(now)

    def take(self, vantage: int, center: int) -> bool:
        """A request is charged to an offered path: True when the slow value is back in force."""
        key = (vantage, center)
        if key not in self.offers:
            return False
        self.offers.discard(key)
        path = self._slow[key]
        if path.revisit is None or not path.revisit.take():
            return False
        self._write(vantage, center, path, path.mean)
        return True

    def offer_due(self, now: float) -> None:
        """Publish the usual value of every slow path whose wait is over."""
        for key, path in self._slow.items():
            if path.revisit is not None and path.revisit.offer(now):
                self.offers.add(key)
                self._write(*key, path, path.revisit.usual)

    def measured(self, vantage: int, center: int) -> tuple[float, int]:
        """(round trip in ms, own samples behind it) of a path; no samples when never used."""
        path = self._paths.get(vantage, {}).get(center)
        return (0.0, 0) if path is None else (path.mean, path.samples)

    def believe(self, vantage: int, center: int, rtt_ms: float, now: float) -> None:
        """Take over what others measured, when it differs noticeably from what is held."""
        self._rtt.row(vantage)
        path = self._paths[vantage].get(center)
        if path is None:
            path = self._first_path(vantage, center, now)
        elif path.low <= rtt_ms <= path.high:
            return
        if not path.samples:
            path.usual = rtt_ms
        path.mean = rtt_ms
        path.variance = path.noise
        path.at = now
        if (vantage, center) not in self.offers:
            self._publish(vantage, center, path, now)

    def slow_paths(self, center: int) -> int:
        """How many paths to this center are slower than usual."""
        return sum(1 for _, end in self._slow if end == center)

    def _looked_again(
        self, vantage: int, center: int, path: Path, sample_ms: float, now: float
    ) -> bool:
        """Judge a slow path by one sample; True when nothing else is to be published."""
        revisit = path.revisit
        assert revisit is not None
        if revisit.stage is Stage.WAITING:
            return False
        taken = revisit.stage is Stage.TAKEN
        if sample_ms > max(self._bound(revisit.usual), 0.5 * (revisit.usual + path.mean)):
            if taken:
                revisit.still_slow(now, self._settings.revisit_s_max)
            return not taken
        path.restart(sample_ms)
        self.offers.discard((vantage, center))
        revisit.not_measured(now)
        self._publish(vantage, center, path, now)
        return True

    def _bound(self, usual_ms: float) -> float:
        return usual_ms + self._tuning.elevated_ms + self._tuning.elevated_share * usual_ms

    def _publish(self, vantage: int, center: int, path: Path, now: float) -> None:
        self._write(vantage, center, path, path.mean)
        key = (vantage, center)
        if path.mean > self._bound(path.usual):
            if path.revisit is None:
                path.revisit = Revisit(path.usual, now, self._settings.path_revisit_s)
                self._slow[key] = path
            return
        if path.revisit is not None:
            path.revisit = None
            self._slow.pop(key, None)
            self.offers.discard(key)
        path.usual = min(path.usual, path.mean)

    def _write(self, vantage: int, center: int, path: Path, value_ms: float) -> None:
        value_ms = max(value_ms, 0.0)
        self._published[vantage][center] = value_ms
        path.shown(value_ms, self._tuning)
        self._table.touch_row("rtt_ms", vantage)


def _cities(table: Table) -> tuple[list[int], list[list[int]]]:
    """The city of each row, and the rows of each city."""
    numbers: dict[tuple[str, str], int] = {}
    city_of = [numbers.setdefault((c.country, c.city), len(numbers)) for c in table.centers]
    rows_of: list[list[int]] = [[] for _ in numbers]
    for row, city in enumerate(city_of):
        rows_of[city].append(row)
    return city_of, rows_of
