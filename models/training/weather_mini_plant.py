"""A synthetic atmosphere: three layers of quasi-geostrophic air on a small invented planet.

The dynamics are those of Marshall and Molteni (1993, J. Atmos. Sci. 50, 1792): potential vorticity
at 200, 500 and 800 hPa is carried by the wind it induces, relaxed towards a sunlit state with
strong jets, dragged on near the ground and lifted by mountains; truncated at wavenumber 21. Unlike
theirs, the sunlit state is prescribed. Moisture is carried along at every level. Temperature is the
thickness between the levels, wind is the rotational one, the surface fields follow from the lowest
layer, with a day's cycle over land.

Small scales are stirred at random and every analysis errs. The best possible forecast starts from
the true state and knows every law, yet not the stirring and not the error of the analysis it is
judged by. The planet's map is one and the same for all samples.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from splits import Splits
from weather_mini_sphere import DEGREES, Array, Sphere

LEVELS_HPA = (200, 500, 800)
UPPER = ("geopotential_height_m", "specific_humidity_g_kg", "temperature_k", "u_m_s", "v_m_s")
SURFACE = ("pressure_hpa", "u10_m_s", "v10_m_s", "temperature_2m_k")
FRAMES = 5  # now, and four steps of six hours
FRAME_HOURS = 6
SPLITS = Splits(train=(41, 42, 43), stop=(44,), card=90_004, check=91_004)

RUNS_AT_ONCE = 32
SPIN_UP_HOURS = 25 * 24
STEPS_AN_HOUR = 3
BETWEEN_HOURS = 36  # from the end of one sample of a run to the next

OMEGA = 2 * np.pi / 23.934  # radians an hour; length is in radii of the planet
RADIUS_M = 6.371e6
M_S = RADIUS_M / 3600  # metres a second for one radian an hour
GRAVITY, GAS = 9.81, 287.0
DEFORMATION = (700e3 / RADIUS_M, 450e3 / RADIUS_M)  # radii between the layers
RELAX_HOURS, DRAG_HOURS, DIFFUSE_HOURS = 18 * 24.0, 2 * 24.0, 27.0
SHEAR_M_S = (22.0, 16.0)  # of the sunlit state between the layers, in the jets
STIRRING = 0.0009  # potential vorticity an hour, root mean square
MOISTURE_HOURS, MOISTURE_STIRRING = 3 * 24.0, 0.025
ANALYSIS_ERROR_M_S = 0.6
MOISTURE_ERROR = 0.03  # of the logarithm
INSTRUMENT_ERROR = (2.0, 0.0, 0.2, 0.4, 0.4)
SURFACE_ERROR = (0.2, 0.3, 0.3, 0.3)


class Samples(NamedTuple):
    """Analyses by the frame, and the best forecast of the frame after the first."""

    upper: Array  # [count, frame, variable, level, latitude, longitude]
    surface: Array  # [count, frame, variable, latitude, longitude]
    best_upper: Array  # [count, variable, level, latitude, longitude]
    best_surface: Array


def generate(count: int, seed: int) -> Samples:
    """`count` stretches of a day, from up to `RUNS_AT_ONCE` independent runs."""
    air = Atmosphere(min(count, RUNS_AT_ONCE), seed)
    air.advance(SPIN_UP_HOURS)
    found: list[Samples] = []
    for stretch in range(-(-count // air.count)):
        air.advance(BETWEEN_HOURS if stretch else 0)
        found.append(_stretch(air))
    return Samples(*(np.concatenate(arrays)[:count] for arrays in zip(*found, strict=True)))


def _stretch(air: Atmosphere) -> Samples:
    frames = [air.analysis()]
    foreseen = air.fork()
    foreseen.stirring = 0.0
    foreseen.advance(FRAME_HOURS)
    for _ in range(FRAMES - 1):
        air.advance(FRAME_HOURS)
        frames.append(air.analysis())
    upper, surface = (np.stack(arrays, axis=1) for arrays in zip(*frames, strict=True))
    return Samples(upper, surface, *foreseen.truth())


class Planet(NamedTuple):
    """What does not change: the sphere, the map, and the sunlit state."""

    sphere: Sphere
    land: Array  # 0 sea to 1 land, [latitude, longitude]
    height_m: Array
    height: Array  # spectrum of f * height / scale height
    coriolis: Array  # spectrum
    sunlit: Array  # [season part, layer gap, ...] as spectra
    moisture: Array  # zonal log of g/kg as spectra, [level, ...]
    from_vorticity: Array  # [degree, layer, layer]
    to_vorticity: Array


@functools.cache
def planet() -> Planet:
    """The one planet. Its continents come from a fixed draw of low wavenumbers."""
    sphere = Sphere()
    rng = np.random.default_rng(2)
    rough = rng.normal(size=(DEGREES, 2, DEGREES)) * sphere.inside
    rough *= (sphere.degree > 0) * (sphere.degree < 9) / (1 + sphere.degree) ** 0.9
    relief = sphere.field(rough.astype(np.float32))
    relief = relief / relief.std()
    land = (1 / (1 + np.exp(-8 * (relief - 0.35)))).astype(np.float32)
    height_m = (1500 * np.maximum(relief - 0.35, 0) * land).astype(np.float32)
    coriolis = (2 * OMEGA * sphere.mu + np.zeros_like(land)).astype(np.float32)
    lifted = coriolis * height_m / 9000.0
    back, forth = _inversion(sphere)
    return Planet(
        sphere, land, height_m, sphere.spectrum(lifted), sphere.spectrum(coriolis),
        _sunlit(sphere, land), _moisture(sphere), back, forth,
    )  # fmt: skip


def _inversion(sphere: Sphere) -> tuple[Array, Array]:
    """Matrices of each degree from potential vorticity to stream function, and back."""
    upper, lower = (1 / radius**2 for radius in DEFORMATION)
    coupling = np.array([[-upper, upper, 0], [upper, -upper - lower, lower], [0, lower, -lower]])
    forth = sphere.laplace[:, None, None] * np.eye(3) + coupling
    back = np.zeros_like(forth)
    back[1:] = np.linalg.inv(forth[1:])
    return back.astype(np.float32), forth.astype(np.float32)


def _sunlit(sphere: Sphere, land: Array) -> Array:
    """Stream function differences of both gaps: the mean, and what the season adds."""
    profile = (4 * sphere.mu**2 * (1 - sphere.mu**2)) ** 1.5  # a jet at 45 degrees on either side
    parts = []
    for tilt in (np.ones_like(profile), 0.5 * np.tanh(4 * sphere.mu)):
        for shear in SHEAR_M_S:
            # u cos = -(1 - mu^2) d psi / d mu, integrated along the meridian of the grid.
            slope = -(shear / M_S) * profile * tilt / np.maximum(sphere.cosine, 0.05)
            step = np.gradient(sphere.mu[:, 0])[:, None]
            parts.append(sphere.spectrum(np.cumsum(slope * step, axis=0) + np.zeros_like(land)))
    waves = sphere.spectrum(land * sphere.mu * sphere.cosine**2 * 4.0 / M_S)
    sunlit = np.stack(parts).reshape(2, 2, DEGREES, 2, DEGREES)
    sunlit[1] += waves  # continents are warm in summer and cold in winter
    sunlit[..., 0, 0, 0] = 0.0
    return sunlit


def _moisture(sphere: Sphere) -> Array:
    """Logarithm of the usual humidity of each level in g/kg, moist towards the equator."""
    tropics, poles = np.log((0.03, 2.6, 10.0)), np.log((0.006, 0.35, 1.2))
    warmth = (sphere.cosine**2)[None]
    zonal = poles[:, None, None] + (tropics - poles)[:, None, None] * warmth
    return sphere.spectrum((zonal + np.zeros((3, 32, 64))).astype(np.float32))


class Atmosphere:
    """Runs side by side; the state is two spectra [order, part, run, level, degree]."""

    def __init__(self, count: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.count, self.hour = count, 0
        self.stirring = 1.0
        self.start_hour = 6 * self.rng.integers(0, 4, count)
        season = np.sin(2 * np.pi * self.rng.random(count)).astype(np.float32)
        steady, seasonal = planet().sunlit
        tuned = steady[:, None] + season[:, None, None, None] * seasonal[:, None]
        self.sunlit = np.ascontiguousarray(tuned.transpose(2, 3, 1, 0, 4))
        self.vorticity = self._rough(4, 12) * 0.06
        self.vorticity += self._balanced(0.7 * self._layers())
        self.moisture = self._rough(2, 12) * 0.1
        self._before: list[tuple[Array, Array]] = []

    def _layers(self) -> Array:
        """Stream function of three layers whose gaps are sunlit, slow below."""
        upper, lower = self.sunlit[..., 0, :], self.sunlit[..., 1, :]
        return np.stack((0.3 * lower + lower + upper, 1.3 * lower, 0.3 * lower), axis=3)

    def _rough(self, lowest: int, highest: int) -> Array:
        """White noise between two degrees with a root mean square of one, for each level."""
        sphere = planet().sphere
        shape = (DEGREES, 2, self.count, 3, DEGREES)
        inside = sphere.inside & (sphere.degree >= lowest) & (sphere.degree <= highest)
        size = 1 / np.sqrt(2.0 * inside.sum() - inside[0].sum())
        noise = self.rng.standard_normal(shape, np.float32)
        noise *= inside[:, :, None, None] * np.float32(size * np.sqrt(2))
        return noise

    def fork(self) -> Atmosphere:
        """The same runs at the same hour, to go on by themselves."""
        twin = object.__new__(Atmosphere)
        twin.__dict__.update(self.__dict__)
        twin._before = list(self._before)
        twin.rng = np.random.default_rng(0)
        return twin

    @staticmethod
    def _balanced(stream: Array) -> Array:
        return _mixed(planet().to_vorticity, stream)

    def stream(self) -> Array:
        """The stream function that the potential vorticity induces."""
        return _mixed(planet().from_vorticity, self.vorticity)

    def advance(self, hours: int) -> None:
        """Third-order Adams-Bashforth, small scales damped implicitly, stirred by the hour."""
        for _ in range(hours):
            for _ in range(STEPS_AN_HOUR):
                self._step()
            if self.stirring:
                self.vorticity += self.stirring * STIRRING * self._rough(6, 21)
                self.moisture += self.stirring * MOISTURE_STIRRING * self._rough(4, 21)
            self.hour += 1

    def _step(self) -> None:
        self._before = [self._tendency(), *self._before[:2]]
        weights = ((1.0,), (1.5, -0.5), (23 / 12, -16 / 12, 5 / 12))[len(self._before) - 1]
        vorticity, moisture = self.vorticity, self.moisture
        for weight, (push, wet) in zip(weights, self._before, strict=True):
            vorticity = vorticity + np.float32(weight / STEPS_AN_HOUR) * push
            moisture = moisture + np.float32(weight / STEPS_AN_HOUR) * wet
        damping = _damping()
        self.vorticity, self.moisture = vorticity * damping, moisture * damping

    def _tendency(self) -> tuple[Array, Array]:
        world, stream = planet(), self.stream()
        absolute = self.vorticity.copy()
        absolute += world.coriolis[:, :, None, None]
        absolute[..., 2, :] += world.height[:, :, None]
        humid = self.moisture + world.moisture[:, :, None]
        sphere = world.sphere
        east, north = sphere.eastward(stream), sphere.northward(stream)
        per_area = 1 / sphere.cosine**2

        def carried(what: Array) -> Array:
            slope = north * sphere.eastward(what) - east * sphere.northward(what)
            return sphere.spectrum(per_area * slope)

        push, wet = carried(absolute), carried(humid)
        gap = stream[..., :2, :] - stream[..., 1:, :] - self.sunlit
        for layer, radius in enumerate(DEFORMATION):
            warmed = gap[..., layer, :] / (RELAX_HOURS * radius**2)
            push[..., layer, :] += warmed
            push[..., layer + 1, :] -= warmed
        push[..., 2, :] -= sphere.laplace * stream[..., 2, :] / DRAG_HOURS
        wet -= self.moisture / MOISTURE_HOURS
        push[0, :, ..., 0] = 0.0
        return push, wet

    def truth(self) -> tuple[Array, Array]:
        """The fields without any error, `UPPER` and `SURFACE`."""
        return self._fields(self.stream(), self.moisture)

    def analysis(self) -> tuple[Array, Array]:
        """The fields as analysed: a balanced error of the state, and that of the instruments."""
        stream = self.stream() + self._rough(3, 18) * np.float32(ANALYSIS_ERROR_M_S / M_S / 10.0)
        upper, surface = self._fields(stream, self.moisture + MOISTURE_ERROR * self._rough(3, 18))
        upper += self._instrument(upper, INSTRUMENT_ERROR, 4)
        surface += self._instrument(surface, SURFACE_ERROR, 3)
        return upper, surface

    def _instrument(self, fields: Array, size: tuple[float, ...], rank: int) -> Array:
        noise = self.rng.standard_normal(fields.shape, np.float32)
        return noise * np.array(size, np.float32).reshape(-1, *[1] * (rank - 1))

    def _fields(self, stream: Array, moisture: Array) -> tuple[Array, Array]:
        world = planet()
        sphere = world.sphere
        east = -sphere.northward(stream) / sphere.cosine * np.float32(M_S)
        north = sphere.eastward(stream) / sphere.cosine * np.float32(M_S)
        height_m = _heights(stream)
        thick = GRAVITY / GAS * (height_m[:, :2] - height_m[:, 1:])
        cold, warm = thick[:, 0] / np.log(500 / 200), thick[:, 1] / np.log(800 / 500)
        steep = warm - cold
        kelvin = np.stack((cold - 0.35 * steep, cold + 0.66 * steep, warm + 0.34 * steep), axis=1)
        humid = np.exp(sphere.field(moisture + world.moisture[:, :, None]))
        upper = np.stack((height_m, humid, kelvin, east, north), axis=1)
        return upper.astype(np.float32), self._surface(height_m, kelvin, east, north)

    def _surface(self, height_m: Array, kelvin: Array, east: Array, north: Array) -> Array:
        world = planet()
        sphere, land = world.sphere, world.land
        low_k = kelvin[:, 2]
        pressure = 800 * np.exp(GRAVITY / GAS * height_m[:, 2] / (low_k + 6.5))
        slowed = 0.65 - 0.2 * land
        turned = np.tanh(3 * sphere.mu) * (0.3 + 0.2 * land)  # air flows towards low pressure
        u10 = slowed * (np.cos(turned) * east[:, 2] - np.sin(turned) * north[:, 2])
        v10 = slowed * (np.cos(turned) * north[:, 2] + np.sin(turned) * east[:, 2])
        local = sphere.longitude + 2 * np.pi * (self.hour + self.start_hour[:, None, None]) / 24
        day_k = 6.0 * sphere.cosine * np.cos(local - 2 * np.pi * 15 / 24)
        sea_k = 273 + 27 * sphere.cosine**2
        over_land_k = low_k + 13 + day_k - 0.0065 * world.height_m
        over_sea_k = 0.5 * (low_k + 13) + 0.5 * sea_k
        near_k = land * over_land_k + (1 - land) * over_sea_k
        return np.stack((pressure, u10, v10, near_k), axis=1).astype(np.float32)


@functools.cache
def _damping() -> Array:
    """What a step leaves of each degree."""
    laplace = planet().sphere.laplace
    rate = (laplace / laplace[-1]) ** 4 / DIFFUSE_HOURS
    return np.exp(-rate / STEPS_AN_HOUR).astype(np.float32)


def _mixed(matrices: Array, layers: Array) -> Array:
    """Each degree's matrix times its three layers."""
    rows = (
        sum(matrices[:, row, column] * layers[..., column, :] for column in range(3))
        for row in range(3)
    )
    return np.stack(list(rows), axis=-2)


def _heights(stream: Array) -> Array:
    """Heights of the levels in metres that balance the wind, by the linear balance equation."""
    sphere = planet().sphere
    spin = sphere.field(stream * sphere.laplace)
    source = 2 * OMEGA * (sphere.mu * spin + sphere.northward(stream))
    balanced = sphere.field(sphere.spectrum(source) * sphere.inverse_laplace)
    usual = np.array((11_880.0, 5_580.0, 1_950.0))[:, None, None]
    return (usual + balanced * (M_S**2 / GRAVITY)).astype(np.float32)
