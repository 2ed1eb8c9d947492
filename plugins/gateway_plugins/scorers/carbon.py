"""What a request emits, as milliseconds at a stated rate.

The grid's intensity, in g of CO2 per kWh, comes from the source ``carbon_file``; a policy that
lists this scorer lists that source too. ``ms_per_100_g`` says how many milliseconds 100 g/kWh
are worth: with 5, a grid at 500 g is chosen over one at 100 g when it answers 20 ms sooner.

    scorers = ["network", "queue", "service", { name = "carbon", ms_per_100_g = 5.0 }]
    sources = [{ name = "carbon_file", path = "carbon.toml" }]
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from gateway.api import F32N, Centers, Query, Varies


@dataclass(frozen=True)
class Carbon:
    """Charges the carbon intensity of the center's grid in milliseconds."""

    ms_per_100_g: float

    varies_by: ClassVar[tuple[Varies, ...] | None] = ()
    reads: ClassVar[tuple[str, ...]] = ("carbon_file.g_per_kwh",)
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 100.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.ms_per_100_g < inf:
            raise ValueError(f"ms_per_100_g = {self.ms_per_100_g}; expected ms >= 0")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms."""
        charge_ms: F32N = centers["carbon_file.g_per_kwh"] * np.float32(self.ms_per_100_g / 100.0)
        return charge_ms
