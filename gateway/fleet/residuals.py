"""Residuals: by how much answers take longer, or less long, than was predicted.

Theory of operation. Every answer gives one ratio, actual over predicted attempt time. A
single center has too few answers for a tail, so ratios are pooled by the zone of the center
(by the region where the zone is one center) and the model. A *pool* counts ratios in 64
buckets, each 7 % wider than the last; counts are halved every 10 s, so a pool speaks of the
last half minute.

* An answer costs a request only its place in a list; ``settle`` counts the list in one go,
  each 100 ms, with numpy.
* A quantile is blended with that of a log-normal prior (three times the prediction at 0.99),
  in the logarithm, by how many ratios lie beyond it: k of them weigh k / (k + 1). So the
  median of a new pool is believed after a few answers, its 0.99 after some hundred.
* The interval [q05, q95] is published at each settling. An answer is held to the one
  published before the last: it has not learned from answers that ended after its choice.
* Beside the pools stand plain sums by model and by center (``Account``): how many answers,
  by how much late or early, how many within their interval.

Errors and cancelled attempts tell nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log
from statistics import NormalDist

import numpy as np

from gateway.api import Array, Center
from gateway.fleet.kept_rows import KeptRows

BUCKETS = 64
BUCKET_LOG = log(1.07)
FIRST_LOG = -24 * BUCKET_LOG
"""The lowest bucket begins at a fifth of the prediction, the highest ends at fifteen times it."""
HALVED_EVERY_S = 10.0
PRIOR_LOG_SPREAD = log(3.0) / NormalDist().inv_cdf(0.99)
LOW_Q, HIGH_Q = 0.05, 0.95
PREDICTED_MS_MIN = 1e-3
MODELS_MAX = 1000
CELLS_MAX = 1_000_000
"""Bounds what is kept: models, and models times centers."""
OTHER_MODELS = "other"


@lru_cache(maxsize=64)
def prior_log(q: float) -> float:
    """The logarithm of the ratio expected before any answer: 0 at the median, log 3 at 0.99."""
    return PRIOR_LOG_SPREAD * NormalDist().inv_cdf(q)


def prior_ratio(q: float) -> float:
    """The ratio expected before any answer, 0 < q < 1."""
    return exp(prior_log(q))


@dataclass(slots=True)
class Account:
    """Sums over answers. ``late_ms``: by how much those that took longer than predicted did,
    ``early_ms`` the others; ``covered``: how many took what their interval said.
    """

    answers: int = 0
    late_ms: float = 0.0
    early_ms: float = 0.0
    covered: int = 0

    def add(self, other: Account) -> None:
        """Add another's sums."""
        self.answers += other.answers
        self.late_ms += other.late_ms
        self.early_ms += other.early_ms
        self.covered += other.covered


class Pools:
    """The ratios of one model, counted by place."""

    def __init__(self, places: int) -> None:
        self._counts = np.zeros((places, BUCKETS))
        self._halve_at = -inf
        self._asked: dict[float, list[float]] = {}
        self.low = np.full(places, prior_ratio(LOW_Q))
        self.high = np.full(places, prior_ratio(HIGH_Q))
        self.low_before, self.high_before = self.low.copy(), self.high.copy()

    def count(self, places: Array, ratio_logs: Array) -> None:
        """Count ratios: int[K] place of each, float64[K] its logarithm."""
        buckets = ((ratio_logs - FIRST_LOG) / BUCKET_LOG).astype(np.intp).clip(0, BUCKETS - 1)
        cells = places * BUCKETS + buckets
        self._counts += np.bincount(cells, minlength=self._counts.size).reshape(-1, BUCKETS)

    def publish(self, now: float) -> None:
        """Let old counts fade; the interval in force becomes the one before."""
        if now >= self._halve_at:
            if self._halve_at > -inf:
                periods = 1 + int((now - self._halve_at) / HALVED_EVERY_S)
                self._counts *= 0.5 ** min(periods, 64)
            self._halve_at = now + HALVED_EVERY_S
        self.low_before, self.high_before = self.low, self.high
        cumulated = self._counts.cumsum(axis=1)
        self.low = np.exp(_blended_log(self._counts, cumulated, LOW_Q))
        self.high = np.exp(_blended_log(self._counts, cumulated, HIGH_Q))
        for q in self._asked:
            self._asked[q] = np.exp(_blended_log(self._counts, cumulated, q)).tolist()

    def carry_over(self, before: Pools, kept: KeptRows) -> None:
        """The counts of the places that stay, and what was published of them."""
        self._halve_at = before._halve_at
        self._counts[kept.after] = before._counts[kept.before]
        for name in ("low", "high", "low_before", "high_before"):
            getattr(self, name)[kept.after] = getattr(before, name)[kept.before]

    def quantile_ratio(self, place: int, q: float) -> float:
        """The ratio that a share ``q`` of the answers stay below, 0 < q < 1.

        The few that are asked for are asked for with every attempt, so one that was asked for
        once is published with the interval, for all places.
        """
        published = self._asked.get(q)
        if published is None:
            cumulated = self._counts.cumsum(axis=1)
            published = np.exp(_blended_log(self._counts, cumulated, q)).tolist()
            self._asked[q] = published
        return published[place]


def _blended_log(counts: Array, cumulated: Array, q: float) -> Array:
    """float64[P]: the logarithm of each pool's quantile, the seen and the prior's blended."""
    size = cumulated[:, -1]
    rank = q * size
    bucket = (cumulated >= rank[:, None]).argmax(axis=1)
    rows = np.arange(len(counts))
    within = np.maximum(counts[rows, bucket], 1e-12)
    share = (rank - cumulated[rows, bucket] + within) / within  # straight within a bucket
    seen_log = FIRST_LOG + (bucket + share.clip(0.0, 1.0)) * BUCKET_LOG
    beyond = size * min(q, 1.0 - q)
    weight = beyond / (beyond + 1.0)
    blended: Array = weight * seen_log + (1.0 - weight) * prior_log(q)
    return blended


class _Answers:
    """One model: its pools, and the sums by center."""

    def __init__(self, centers: int, places: int) -> None:
        self.pools = Pools(places)
        self.answers = np.zeros(centers, dtype=np.int64)
        self.covered = np.zeros(centers, dtype=np.int64)
        self.late_ms = np.zeros(centers)
        self.early_ms = np.zeros(centers)
        self.attempts_ms = np.zeros(centers)

    def absorb(self, values: Array, place_of: Array) -> tuple[int, float]:
        """Count answers, float64[K, 3] as in ``learn``; what is no ratio is left out.

        Returns how many were counted, and the sum of the absolute logarithms of their ratios.
        """
        predicted_ms, actual_ms = values[:, 1], values[:, 2]
        sound = (predicted_ms >= PREDICTED_MS_MIN) & (predicted_ms < inf)
        values = values[sound & (actual_ms > 0.0) & (actual_ms < inf)]
        center, predicted_ms, actual_ms = values[:, 0].astype(np.intp), values[:, 1], values[:, 2]
        places, n = place_of[center], len(self.answers)
        ratio = actual_ms / predicted_ms
        logs = np.log(ratio)
        error_ms = actual_ms - predicted_ms
        within = (self.pools.low_before[places] <= ratio) & (
            ratio <= self.pools.high_before[places]
        )
        self.answers += np.bincount(center, minlength=n)
        self.covered += np.bincount(center[within], minlength=n)
        self.late_ms += np.bincount(center, np.maximum(error_ms, 0.0), minlength=n)
        self.early_ms += np.bincount(center, np.maximum(-error_ms, 0.0), minlength=n)
        self.attempts_ms += np.bincount(center, values[:, 2], minlength=n)
        self.pools.count(places, logs)
        return len(values), float(np.abs(logs).sum())

    def account(self, center: int) -> Account:
        """The sums of one center."""
        return Account(
            int(self.answers[center]),
            float(self.late_ms[center]),
            float(self.early_ms[center]),
            int(self.covered[center]),
        )


class Residuals:
    """All pools and accounts of one fleet."""

    def __init__(self, centers: Sequence[Center], *, models_max: int = MODELS_MAX) -> None:
        places = places_of(centers)
        numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
        self._numbers = numbers
        self._place_of = np.array([numbers[place] for place in places], dtype=np.intp)
        self._places = len(numbers)
        self._models_max = max(1, min(models_max, CELLS_MAX // max(1, len(centers))))
        self._models: dict[str, _Answers] = {}
        self._answers = 0
        self._error_log_sum = 0.0
        self.ended: list[tuple[str, int, float, float]] = []
        """Answers not counted yet; ``settle`` empties it."""

    def learn(self, model: str, center: int, predicted_ms: float, actual_ms: float) -> None:
        """An answer of ``center`` that took ``actual_ms``."""
        self.ended.append((model, center, predicted_ms, actual_ms))

    def settle(self, now: float) -> None:
        """Each slow tick: count what has ended, publish the intervals."""
        for answers in self.absorb():
            answers.pools.publish(now)

    @property
    def sums(self) -> tuple[int, float]:
        """How many answers in all, and the sum of the absolute logarithm of their ratios."""
        self.absorb()
        return self._answers, self._error_log_sum

    def quantile_ratio(self, center: int, model: str, q: float) -> float:
        """The ratio at ``q`` of the center's pool; the prior's when nothing is known of it."""
        answers = self._models.get(model)
        if answers is None:
            return prior_ratio(q)
        return answers.pools.quantile_ratio(self._place_of.item(center), q)

    def interval(self, center: int, model: str) -> tuple[float, float]:
        """The published ratios [q05, q95]."""
        answers = self._models.get(model)
        if answers is None:
            return prior_ratio(LOW_Q), prior_ratio(HIGH_Q)
        place = self._place_of.item(center)
        return answers.pools.low.item(place), answers.pools.high.item(place)

    def attempts(self) -> tuple[Array, Array]:
        """By center, so far: int64[N] answers, float64[N] the sum of their attempt times in ms."""
        self.absorb()
        answers = np.zeros(len(self._place_of), dtype=np.int64)
        attempts_ms = np.zeros(len(self._place_of))
        for each in self._models.values():
            answers += each.answers
            attempts_ms += each.attempts_ms
        return answers, attempts_ms

    def forget(self, model: str) -> None:
        """Begin the pools of a model anew: it is another one, or gone. Accounts stay."""
        self.absorb()
        answers = self._models.get(model)
        if answers is not None:
            answers.pools = Pools(self._places)

    def carry_over(self, before: Residuals, kept: KeptRows) -> None:
        """Begin with the pools of places that stay, and the accounts of centers that do."""
        before.absorb()
        places = [
            (number, self._numbers[place])
            for place, number in before._numbers.items()
            if place in self._numbers
        ]
        old, new = np.array(places, dtype=np.intp).reshape(-1, 2).T
        for model, answers in before._models.items():
            mine = self._of(model)
            mine.pools.carry_over(answers.pools, KeptRows(old, new))
            for name in ("answers", "covered", "late_ms", "early_ms", "attempts_ms"):
                getattr(mine, name)[kept.after] = getattr(answers, name)[kept.before]
        self._answers, self._error_log_sum = before._answers, before._error_log_sum

    def by_model(self) -> dict[str, Account]:
        """The accounts so far; models beyond a bound are counted together as ``other``."""
        self.absorb()
        return {
            model: Account(
                int(answers.answers.sum()),
                float(answers.late_ms.sum()),
                float(answers.early_ms.sum()),
                int(answers.covered.sum()),
            )
            for model, answers in self._models.items()
        }

    def by_center(self) -> list[Account]:
        """The accounts so far, in row order."""
        self.absorb()
        sums = [Account() for _ in self._place_of]
        for answers in self._models.values():
            for center in np.flatnonzero(answers.answers).tolist():
                sums[center].add(answers.account(center))
        return sums

    def absorb(self) -> list[_Answers]:
        """Count what has ended; returns the models it was of."""
        if not self.ended:
            return []
        by_model: dict[str, list[tuple[int, float, float]]] = {}
        for model, center, predicted_ms, actual_ms in self.ended:
            by_model.setdefault(model, []).append((center, predicted_ms, actual_ms))
        self.ended.clear()
        touched = []
        for model, values in by_model.items():
            answers = self._of(model)
            count, error_log = answers.absorb(np.array(values, dtype=np.float64), self._place_of)
            self._answers += count
            self._error_log_sum += error_log
            touched.append(answers)
        return touched

    def _of(self, model: str) -> _Answers:
        """The model's; of those beyond the bound one in common."""
        if model not in self._models and len(self._models) >= self._models_max:
            model = OTHER_MODELS
        answers = self._models.get(model)
        if answers is None:
            answers = self._models[model] = _Answers(len(self._place_of), self._places)
        return answers


def places_of(centers: Sequence[Center]) -> list[tuple[str, str]]:
    """By row, where a center's ratios are pooled: its zone, or its region when alone there."""
    zones = [(center.region, center.zone) for center in centers]
    crowd = Counter(zones)
    return [zone if crowd[zone] > 1 else (zone[0], "") for zone in zones]
