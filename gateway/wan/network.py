"""The emulated network: draws the round trip of one request.

    drawn = path (fixed for a seed) + jitter + fault delay + retransmissions

The path comes from the path model, a row a vantage. Jitter is log-normal with the profile's
median and sigma; one request in 200 meets an exponential tail of mean 3 ms besides. A lost
packet is sent again after the retransmission timeout, which doubles with every further loss
(RFC 6298; 200 ms is Linux's least), so loss shows as delay, as it does under TCP.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from gateway.api import Center, Place
from gateway.wan.faults import Faults
from gateway.wan.paths import F64N, PathModel

TAIL_SHARE = 0.005
TAIL_MEAN_MS = 3.0
RTO_MS_MIN = 200.0
RETRANSMISSIONS_MAX = 6


class EmulatedNetwork:
    """Round trips from every place to every center under one seed, one profile, some faults.

    Deterministic for the same seed and the same state of ``random``. Base rows are made at
    the first request from a vantage and kept: at most a row of N doubles a place.
    """

    def __init__(
        self,
        places: Sequence[Place],
        centers: Sequence[Center],
        path_model: PathModel,
        seed: int,
        *,
        jitter: bool,
        faults: Faults,
        random: Random,
    ) -> None:
        self._places = tuple(places)
        self._centers = tuple(centers)
        self._path_model = path_model
        self._seed = seed
        self._jitter = jitter
        self._faults = faults
        self._random = random
        self._rows: dict[int, F64N] = {}
        self._jitter_mu = math.log(path_model.profile.jitter_median_ms)
        self._jitter_sigma = path_model.profile.jitter_sigma

    def base_ms(self, vantage: int) -> F64N:
        """The fixed part of the round trips from ``vantage``: float64[N], read-only."""
        row = self._rows.get(vantage)
        if row is None:
            row = self._path_model.path_ms(self._places[vantage], self._centers, self._seed)
            row.flags.writeable = False
            self._rows[vantage] = row
        return row

    def draw_ms(self, vantage: int, center: int) -> float:
        """One request's round trip, in ms: path, jitter and what faults add to it."""
        drawn_ms = self.base_ms(vantage).item(center)
        if self._jitter:
            drawn_ms += self._jitter_ms()
        effect = self._faults.effect(center, vantage)
        if effect is not None:
            drawn_ms += effect.delay_ms
            if effect.loss > 0.0:
                drawn_ms += self._retransmission_ms(effect.loss, drawn_ms)
        return drawn_ms

    def _jitter_ms(self) -> float:
        random = self._random
        jitter_ms = math.exp(random.gauss(self._jitter_mu, self._jitter_sigma))
        if random.random() < TAIL_SHARE:
            jitter_ms += random.expovariate(1.0 / TAIL_MEAN_MS)
        return jitter_ms

    def _retransmission_ms(self, loss: float, rtt_ms: float) -> float:
        waited_ms = 0.0
        timeout_ms = max(RTO_MS_MIN, 2.0 * rtt_ms)
        for _ in range(RETRANSMISSIONS_MAX):
            if self._random.random() >= loss:
                break
            waited_ms += timeout_ms
            timeout_ms *= 2.0
        return waited_ms
