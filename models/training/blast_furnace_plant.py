"""A synthetic blast furnace: hours of sensor readings and the hot metal they lead to.

The furnace is one heat balance with memory. Whatever the crew changes at the tuyeres is felt in the
hearth two to five hours later, a change of the coke rate only after the burden has descended, about
seven hours. On top of that come an ore quality nobody measures, slips of the burden, noise of the
process and noise of every instrument. No cause acts faster than two hours, so the best possible
two-hour forecast is known exactly: let the true state run on without new disturbances.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Array = NDArray[np.float64]

SENSORS = (
    "blast_volume_m3_min",
    "blast_temperature_c",
    "blast_pressure_kpa",
    "oxygen_enrichment_pct",
    "blast_humidity_g_m3",
    "pulverised_coal_t_h",
    "top_gas_co_pct",
    "top_gas_co2_pct",
    "top_temperature_c",
    "coke_rate_kg_t",
    "hot_metal_temperature_c",
    "hot_metal_silicon_pct",
)
STATES = ("cold", "normal", "hot")
WINDOW_HOURS = 24
AHEAD_HOURS = 2
WARM_UP_HOURS = 60
SPLITS = Splits(train=(11,), stop=(12,), card=90_001, check=91_001)

TARGET_C = 1500.0
COLD_BELOW_C = 1480.0
HOT_ABOVE_C = 1520.0

# Crew settings: their usual value and the size of a usual change.
SETTINGS = {
    "volume": (5200.0, 110.0),
    "blast_temperature": (1200.0, 14.0),
    "oxygen": (3.2, 0.35),
    "humidity": (15.0, 2.5),
    "coal": (42.0, 3.0),
    "coke": (372.0, 7.0),
}
PROCESS_NOISE_C = 1.9
TEMPERATURE_NOISE_C = 2.6
SILICON_NOISE_PCT = 0.0285
SILICON_PER_C = 0.0055
HEAT_KEPT_AN_HOUR = 0.84


class Samples(NamedTuple):
    """Windows, what the ladle showed two hours later, and the best forecast of it."""

    window: NDArray[np.float32]
    temperature_c: Array
    silicon_pct: Array
    best_temperature_c: Array
    best_silicon_pct: Array


def thermal_state(temperature_c: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Class index into `STATES` for each temperature."""
    state: NDArray[np.int64] = np.digitize(temperature_c, (COLD_BELOW_C, HOT_ABOVE_C))
    return state


def silicon(temperature_c: Array) -> Array:
    """A hotter hearth reduces more silica into the metal; a trace is always left."""
    return np.maximum(0.48 + SILICON_PER_C * (temperature_c - TARGET_C), 0.12)


def generate(count: int, seed: int) -> Samples:
    """`count` independent furnaces, one window of each."""
    furnace = _Furnace(count, WARM_UP_HOURS + WINDOW_HOURS + AHEAD_HOURS, seed)
    furnace.run()
    now = furnace.hours - AHEAD_HOURS - 1
    readings = furnace.readings()
    best = furnace.coast(now)
    window = readings[:, now + 1 - WINDOW_HOURS : now + 1]
    return Samples(
        window=window.astype(np.float32),
        temperature_c=readings[:, -1, 10:11],
        silicon_pct=readings[:, -1, 11:12],
        best_temperature_c=best[:, None],
        best_silicon_pct=silicon(best)[:, None],
    )


class _Furnace:
    """Many furnaces side by side; arrays are [furnace, hour], settings in usual changes."""

    def __init__(self, count: int, hours: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count, self.hours = count, hours
        self.settings = {name: np.zeros((count, hours)) for name in SETTINGS}
        self.ore = np.zeros((count, hours))
        self.slip = (self.rng.random((count, hours)) < 0.014).astype(np.float64)
        self.deviation_c = np.zeros((count, hours))
        self.measured_c = np.full((count, hours), TARGET_C)

    def run(self) -> None:
        """Hour by hour: the crew sets, the hearth answers, the thermocouple reads."""
        self.deviation_c[:, 0] = self.rng.normal(0, 15, self.count)
        self.ore[:, 0] = self.rng.normal(0, 1, self.count)
        for hour in range(1, self.hours):
            self._set(hour)
            ore_noise = self.rng.normal(0, np.sqrt(1 - 0.95**2), self.count)
            self.ore[:, hour] = 0.95 * self.ore[:, hour - 1] + ore_noise
            push = self.rng.normal(0, PROCESS_NOISE_C, self.count)
            previous = self.deviation_c[:, hour - 1]
            self.deviation_c[:, hour] = self._next(hour, previous, self.ore[:, hour - 1]) + push
            noise = self.rng.normal(0, TEMPERATURE_NOISE_C, self.count)
            self.measured_c[:, hour] = TARGET_C + self.deviation_c[:, hour] + noise

    def _set(self, hour: int) -> None:
        """Settings stay put, step now and then, and lean against a hot or cold hearth."""
        for name, series in self.settings.items():
            steps = self.rng.random(self.count) < 0.1
            step = np.where(steps, self.rng.normal(0, 1.0, self.count), 0.0)
            series[:, hour] = 0.97 * series[:, hour - 1] + step
            if name in ("coal", "coke"):
                acts = self.rng.random(self.count) < 0.25
                error_c = self.measured_c[:, hour - 1] - TARGET_C
                series[:, hour] -= np.where(acts, 0.018 * error_c, 0.0)
            np.clip(series[:, hour], -2.5, 2.5, out=series[:, hour])

    def _past(self, name: str, hour: int, delay_hours: int) -> Array:
        return self.settings[name][:, max(hour - delay_hours, 0)]

    def _next(self, hour: int, deviation_c: Array, ore: Array) -> Array:
        """Deviation at `hour` from the one before it and the causes that have arrived by now."""
        wet_and_windy = self._past("humidity", hour, 2) * (1 + 0.2 * self._past("volume", hour, 2))
        coal_burnt = np.tanh(0.6 * (self._past("coal", hour, 4) + self._past("coal", hour, 5)))
        heat_c = (
            1.9 * self._past("blast_temperature", hour, 2)
            + 1.5 * self._past("oxygen", hour, 3)
            - 1.6 * wet_and_windy
            - 1.1 * self._past("coal", hour, 2)  # cold coal cools before it burns
            + 4.8 * coal_burnt
            + 3.2 * self._past("coke", hour, 7)
            - 17.0 * self.slip[:, max(hour - 2, 0)]  # raw burden has fallen into the hearth
            + 2.0 * ore
        )
        return HEAT_KEPT_AN_HOUR * deviation_c + heat_c

    def coast(self, now: int) -> Array:
        """The temperature `AHEAD_HOURS` after `now`, were nothing new to disturb the furnace."""
        deviation_c, ore = self.deviation_c[:, now], self.ore[:, now]
        for hour in range(now + 1, now + 1 + AHEAD_HOURS):
            deviation_c = self._next(hour, deviation_c, ore)
            ore = 0.95 * ore
        return TARGET_C + deviation_c

    def _noisy(self, values: Array, noise: float) -> Array:
        return values + self.rng.normal(0, noise, values.shape)

    def _setting(self, name: str, noise: float) -> Array:
        usual, change = SETTINGS[name]
        return self._noisy(usual + change * self.settings[name], noise * change)

    def readings(self) -> Array:
        """What the twelve instruments show, [furnace, hour, sensor] in the order of `SENSORS`."""
        z = self.settings
        utilisation = 0.488 + 0.008 * self.ore - 0.012 * self.slip + 0.002 * z["coke"]
        carbon_pct = 44.0 + 0.7 * z["oxygen"] + 0.3 * z["coal"]
        pressure_kpa = 395.0 + 9.0 * z["volume"] - 4.0 * self.ore - 25.0 * self.slip
        top_c = 165.0 + 6.0 * z["volume"] - 5.0 * self.ore + 70.0 * self.slip
        columns = (
            self._setting("volume", 0.1),
            self._setting("blast_temperature", 0.1),
            self._noisy(pressure_kpa, 3.0),
            self._setting("oxygen", 0.1),
            self._setting("humidity", 0.15),
            self._setting("coal", 0.1),
            self._noisy(carbon_pct * (1 - utilisation), 0.25),
            self._noisy(carbon_pct * utilisation, 0.25),
            self._noisy(top_c, 5.0),
            self._setting("coke", 0.1),
            self.measured_c,
            self._noisy(silicon(TARGET_C + self.deviation_c), SILICON_NOISE_PCT),
        )
        return np.stack(columns, axis=2)
