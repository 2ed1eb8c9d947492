"""What an uncertain execution costs: some of its standard deviation, in milliseconds.

Of two centers with the same predicted sum, a slow idle one and a quick one with a request
ahead, the slow one answers late more often: its whole time is one draw, the other's two
draws partly cancel. Charging ``kappa`` standard deviations of the execution makes the
difference. In simulation (a third of the centers two or four times slower, load 0.6) a kappa
of 0.4 takes 2 % off the 99th percentile and adds nothing to the mean; from 0.8 on the mean pays.

It ranks and is not predicted: the sum that is held against what happened leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Risk:
    """Charges ``kappa`` standard deviations of the execution time."""

    kappa: float = 0.4

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("model",)
    reads: ClassVar[tuple[str, ...]] = ("service_ms", "service_spread")
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 5.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.kappa < inf:
            raise ValueError(f"kappa = {self.kappa}; expected a number >= 0")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        return centers["service_ms"] * centers["service_spread"] * np.float32(self.kappa)
