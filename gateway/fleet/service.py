"""Service: how long a model runs at a center, as profile × model factor × center factor.

Theory of operation. ``service_ms[model][center]`` = run_ms × declared speed × α × φ.

* φ, a center's *pace*, is the larger of a fast and a slow average of log(observed/expected),
  the fast one only when it clearly stands out: peak-sensitive up, cautious down. The fast
  average moves with each answer and reads the median of the last three, so that one pause
  is not a slow center; the slow one follows it each slow tick. A peak that is not high
  enough for a revisit and that no answer confirms fades.
* α, a model's *factor*, is what all centers have in common: the median over centers of the
  same log ratio. A wrong profile is learned once, and one slow center never moves it.
* *Spread* is the standard deviation of the log ratio around the center's slow average, one
  value a model: how far an execution may be from what is expected of it.
* A center much slower than the fleet's median, by more than the noise below, gets no more
  answers; it is looked at again with one request at a time (see ``revisit``).

* Where a model has to be loaded first, its row says what a request then waits: execution and
  load together. What is charged to a center, and learned, is the execution alone: who waits for
  a load takes no slot.

An answer weighs m / (m + 0.3 ms): the scheduling noise of a tiny model says little. Readers
see rows that are rewritten only when a factor moved noticeably. Errors teach nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import exp, inf, log, sqrt

import numpy as np

from gateway.api import Array, NotFound, Table
from gateway.fleet.cells import Cells, cells_of
from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.model_times import ModelTimes
from gateway.fleet.pace import Pace
from gateway.fleet.revisit import Revisit, Stage
from gateway.fleet.tuning import FleetTuning

SERVICE_MS_MIN = 1e-3
SERVICE_MS_MAX = 1e6
NAMED_MAX = 40


class Service:
    """Owns the column ``speed`` and two row tables by model: ``service_ms`` (float32[N], ms) and
    ``service_spread`` (float32[N], log units: a share of ``service_ms`` while it is small).
    """

    def __init__(self, table: Table, settings: FleetTuning) -> None:
        self._table = table
        self._settings = settings
        self._tuning = settings.service
        self._slow_log = log(settings.service.slow_factor)
        self._factors = np.array([c.speed_factor for c in table.centers], dtype=np.float64)
        self._speed = cells_of(table.add_column("speed", "f4"))
        table.columns["speed"][:] = self._factors
        self._shown = np.zeros(len(table))  # the log factor in force, a center
        self._models: dict[str, ModelTimes] = {}
        self._rows = table.add_row_table("service_ms", "model", self.unknown_model)
        self._spreads = table.add_row_table("service_spread", "model", self.unknown_model)
        self.published: dict[str, Cells] = {}  # service_ms, for the scalar look-up of a charge
        self._paces: list[Pace | None] = [None] * len(table)
        self._active: list[tuple[int, Pace]] = []
        self.slow: dict[int, Revisit] = {}
        self._settled_at = -inf
        self.offers: set[int] = set()
        self._written = 0  # how often a row was
        self._mean: Array = np.zeros(len(table))
        self._mean_of = (0, -1)  # answers and writings it was made of

    # ---- models ---------------------------------------------------------------------------

    def add_model(self, name: str, run_ms: float) -> None:
        """Begin from the profile; a model added again begins anew, in the same row."""
        if not 0.0 < run_ms < SERVICE_MS_MAX:
            raise ValueError(f"model {name!r}: run_ms is {run_ms}, expected a time above 0 in ms")
        times = ModelTimes(run_ms, self._factors)
        old = self._models.get(name)
        if old is not None:
            times.takes_row(old)
            times.spread = old.spread
            times.spread.fill(0.0)
        self._models[name] = times
        self.published[name] = times.published
        self._rows.rows[name] = times.row
        self._rows.versions.setdefault(name, 0)
        self._spreads.rows[name] = times.spread
        self._spreads.versions.setdefault(name, 0)
        self._rewrite(name, times)

    def unknown_model(self, name: str) -> Array:
        """No row is made for a model nobody added. Raises NotFound, naming those there are."""
        names = sorted(self._models)
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        served = ", ".join(names[:NAMED_MAX]) or "none"
        raise NotFound(f"model {name!r} is not served here; served: {served}{more}")

    def remove_model(self, name: str) -> None:
        """Forget the model; what its answers said of centers stays."""
        self._models.pop(name, None)
        self._written += 1
        self.published.pop(name, None)
        self._rows.rows.pop(name, None)
        self._spreads.rows.pop(name, None)

    def set_cold(self, name: str, centers: Sequence[int], cold_ms: float) -> None:
        """A request for the model at these centers waits so long for a load; 0: for none."""
        times = self._models.get(name)
        if times is not None:
            times.set_cold(centers, cold_ms)
            self._written += 1
            self.published[name] = times.published
            self._table.touch_row("service_ms", name)

    def cold_ms(self, name: str, center: int) -> float:
        """What a request waits there for a load, in ms."""
        times = self._models.get(name)
        return 0.0 if times is None or times.cold_ms is None else float(times.cold_ms[center])

    def profile(self, name: str, run_ms: float) -> bool:
        """It has been measured for the first time: True when that replaced a guess."""
        times = self._models.get(name)
        if times is None or times.answers or times.run_ms == run_ms:
            return False
        cold_ms = times.cold_ms
        self.add_model(name, run_ms)
        if cold_ms is not None:
            for center in np.flatnonzero(cold_ms).tolist():
                self.set_cold(name, (center,), float(cold_ms[center]))
        return True

    # ---- learning -------------------------------------------------------------------------

    def learn(self, name: str, center: int, observed_ms: float, now: float) -> None:
        """One answer's execution time in ms; values that are no time are ignored."""
        try:
            times = self._models[name]
        except KeyError:
            return  # removed while the request was under way
        if not 0.0 <= observed_ms < SERVICE_MS_MAX:
            return
        tuning = self._tuning
        larger = times.published[center]
        if observed_ms > larger:
            larger = observed_ms
        if observed_ms < SERVICE_MS_MIN:
            observed_ms = SERVICE_MS_MIN
        ratio = log(observed_ms / times.expected[center])
        ratios = times.ratio
        known = ratios[center]
        ratios[center] = ratio if known is None else known + tuning.model_gain * (ratio - known)
        times.answers += 1
        pace = self._paces[center]
        if pace is None:
            pace = self._paces[center] = Pace(tuning)
            self._active.append((center, pace))
        deviation = ratio - pace.slow
        squared = deviation * deviation
        times.squared += tuning.spread_gain * ((squared if squared < 1.0 else 1.0) - times.squared)
        alarming = pace.learn(ratio, larger / (larger + tuning.noise_ms), now, tuning)
        if self.slow and center in self.slow and self._looked_again(center, pace, ratio, now):
            return
        if alarming:
            self._publish_news(center, pace)

    def pace_of(self, center: int) -> tuple[float, int]:
        """(log factor believed, own answers behind it) of a center."""
        pace = self._paces[center]
        return (0.0, 0) if pace is None else (pace.believed(), pace.answers)

    def factor_of(self, name: str) -> tuple[float, int]:
        """(log factor, own answers behind it) of a model; no answers of an unknown one."""
        times = self._models.get(name)
        return (0.0, 0) if times is None else (times.factor, times.answers)

    def believe_pace(self, center: int, log_factor: float) -> None:
        """Take over a center's log factor from others, when it differs noticeably."""
        pace = self._paces[center]
        if pace is None:
            pace = self._paces[center] = Pace(self._tuning)
            self._active.append((center, pace))
        if abs(pace.believed() - log_factor) <= self._tuning.publish_share:
            return
        pace.floor = min(pace.floor, log_factor)
        pace.restart(log_factor, self._tuning)
        if center not in self.offers:
            self._publish_news(center, pace)

    def believe_factor(self, name: str, log_factor: float) -> None:
        """Take over a model's log factor from others, when it differs noticeably."""
        times = self._models.get(name)
        if times is None or abs(times.factor - log_factor) <= self._tuning.publish_share:
            return
        shifted = times.shift(log_factor - times.factor, self._tuning.model_factor_max)
        for _, pace in self._active:
            pace.relax(shifted)
        self._show_all()

    def not_measured(self, center: int, now: float) -> None:
        """An attempt ended without a measurement; if it was to look again, another will."""
        revisit = self.slow.get(center)
        if revisit is not None and revisit.stage is Stage.TAKEN:
            revisit.not_measured(now)

    def take(self, center: int) -> bool:
        """A request is charged to an offered center: True when the slow value is in force."""
        if center not in self.offers:
            return False
        self.offers.discard(center)
        pace, revisit = self._paces[center], self.slow.get(center)
        if pace is None or revisit is None or not revisit.take():
            return False
        self._show(center, pace.published)
        return True

    # ---- each slow tick -------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Move common errors into the models, find slow centers, offer those whose wait is over."""
        elapsed_s = min(max(0.0, now - self._settled_at), 1.0)
        self._settled_at = now
        self._settle_models()
        self._settle_paces(elapsed_s)
        if not self.slow and not self._shown.any():
            return  # no center differs from any other
        usual = self._usual()
        for center in self._slower_than(usual):
            if center not in self.slow:
                self.slow[center] = Revisit(usual, now, self._settings.center_revisit_s)
        for center, revisit in self.slow.items():
            if revisit.offer(now):
                revisit.usual = usual
                self.offers.add(center)
                self._show(center, usual)

    def mean_ms(self) -> Array:
        """float64[N]: mean service time by center, models weighted by their answers. Not to be
        written.
        """
        known = (sum(times.answers for times in self._models.values()), self._written)
        if known == self._mean_of:
            return self._mean
        self._mean_of = known
        mean, answers = np.zeros(len(self._table)), 0.0
        for times in self._models.values():
            weight = times.answers + 1e-3
            mean += np.multiply(times.execution_ms, weight, dtype=np.float64)
            answers += weight
        self._mean = mean / answers if answers else mean
        return self._mean

    def slow_since(self, center: int) -> str:
        """Why this center is avoided, for a person; empty when it is not."""
        revisit, pace = self.slow.get(center), self._paces[center]
        if revisit is None or pace is None:
            return ""
        return f"{exp(pace.published - revisit.usual):.1f} times slower than the fleet's median"

    def carry_over(self, before: Service, kept: KeptRows, now: float) -> None:
        """Begin with what was learned of the centers that stay, and of the models that both
        know by the same profile.
        """
        for name, times in self._models.items():
            old = before._models.get(name)
            if old is not None and times.same_profile(old, kept):
                times.carry_over(old, kept)
                self._table.touch_row("service_spread", name)
        for row_before, row in kept.pairs:
            pace = before._paces[row_before]
            if pace is None:
                continue
            mine = self._paces[row] = copy(pace)
            self._active.append((row, mine))
            self._shown[row] = before._shown[row_before]
            revisit = before.slow.get(row_before)
            if revisit is not None:
                self.slow[row] = revisit.carried_over(now)
            if row_before in before.offers:
                self.offers.add(row)
        self._settled_at = before._settled_at
        self._show_all()

    # ---- its pieces -----------------------------------------------------------------------

    def _slower_than(self, usual: float) -> list[int]:
        """The centers that are, by a factor and by more than a tiny model's noise."""
        slower = np.flatnonzero(self._shown > usual + self._slow_log)
        if slower.size:
            excess = 1.0 - np.exp(usual - self._shown[slower])
            slower = slower[self.mean_ms()[slower] * excess > self._tuning.noise_ms]
        found: list[int] = slower.tolist()
        return found

    def _settle_models(self) -> None:
        moved = False
        for name, times in self._models.items():
            if times.answers == times.settled_answers:
                continue
            times.settled_answers = times.answers
            self._settle_spread(name, times)
            common = times.common(self._tuning.model_centers)
            if abs(common) <= self._tuning.publish_share:
                continue
            moved = True
            shifted = times.shift(common, self._tuning.model_factor_max)
            for _, pace in self._active:
                pace.relax(shifted)
        if moved:
            self._show_all()

    def _show_all(self) -> None:
        """A model's factor moved, and what centers held of it: write every row."""
        for center, pace in self._active:
            if center not in self.offers:
                self._shown[center] = pace.published
        self._table.columns["speed"][:] = self._factors * np.exp(self._shown)
        self._table.touch("speed")
        for name, times in self._models.items():
            self._rewrite(name, times)

    def _settle_spread(self, name: str, times: ModelTimes) -> None:
        """Publish the model's spread when it moved noticeably."""
        spread, shown = sqrt(times.squared), float(times.spread[0])
        if abs(spread - shown) > self._tuning.spread_publish_share * (shown + 0.05):
            times.spread.fill(spread)
            self._table.touch_row("service_spread", name)

    def _settle_paces(self, elapsed_s: float) -> None:
        """A slow center's pace waits for a revisit; any other's follows its answers."""
        for center, pace in self._active:
            if pace.answers == pace.settled_answers and (
                center in self.slow or pace.fast <= pace.slow
            ):
                continue  # nothing was heard, and no peak is left to fade
            pace.settle(elapsed_s, self._tuning)
            if pace.answers >= self._tuning.trusted:
                pace.floor = log(self._tuning.factor_min)
            if center not in self.offers:
                self._publish_news(center, pace)

    def _usual(self) -> float:
        """Median log factor of the centers that answered; of one or two, at most the prior's."""
        known = [pace.published for _, pace in self._active]
        if not known:
            return 0.0
        usual = float(np.median(known))
        return usual if len(known) > 2 else min(usual, 0.0)

    def _looked_again(self, center: int, pace: Pace, ratio: float, now: float) -> bool:
        """Judge a slow center by one answer; True when nothing else is to be published."""
        revisit = self.slow[center]
        if revisit.stage is Stage.WAITING:
            return False
        taken = revisit.stage is Stage.TAKEN
        if ratio > max(revisit.usual + self._slow_log, 0.5 * (revisit.usual + pace.published)):
            if taken:
                revisit.still_slow(now, self._settings.revisit_s_max)
            return not taken
        pace.restart(ratio, self._tuning)
        self.offers.discard(center)
        revisit.not_measured(now)
        self._publish(center, pace, pace.believed())
        return True

    def _publish_news(self, center: int, pace: Pace) -> None:
        """Publish the pace when it moved noticeably."""
        believed = pace.believed()
        if abs(believed - pace.published) > self._tuning.publish_share:
            self._publish(center, pace, believed)

    def _publish(self, center: int, pace: Pace, believed: float) -> None:
        pace.published = believed
        self._show(center, believed)
        revisit = self.slow.get(center)
        if revisit is not None and believed <= revisit.usual + self._slow_log:
            del self.slow[center]
            self.offers.discard(center)

    def _show(self, center: int, log_factor: float) -> None:
        """Write one center's factor into every row."""
        factor = exp(log_factor)
        self._written += 1
        self._shown[center] = log_factor
        self._speed[center] = factor * float(self._factors[center])
        self._table.touch("speed")
        for name, times in self._models.items():
            times.write(center, times.expected[center] * factor)
            self._table.touch_row("service_ms", name)

    def _rewrite(self, name: str, times: ModelTimes) -> None:
        """Write one model's factor into its row."""
        times.write_all(np.exp(self._shown))
        self._written += 1
        self._table.touch_row("service_ms", name)
