"""Spherical harmonics up to wavenumber 21 on a Gaussian grid of 32 by 64 points.

A spectrum is real, [order m, part, ..., degree n], part 0 the cosines and part 1 minus the sines; a
field is [..., latitude, longitude], from south to north and from Greenwich eastwards. Both ways are
matrix products: Legendre functions along the meridian, then cosines around the circle. Formulas:
Durran, Numerical Methods for Fluid Dynamics, chapter 6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LATITUDES, LONGITUDES = 32, 64
DEGREES = 22  # 0 to 21, triangular


def _ratio(m: int, n: int) -> float:
    return float(np.sqrt((n * n - m * m) / (4 * n * n - 1)))


def _legendre(mu: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalised functions P and (1 - mu^2) dP/dmu, both [m, n, latitude]."""
    value = np.zeros((DEGREES, DEGREES + 1, len(mu)))
    slope = np.zeros((DEGREES, DEGREES, len(mu)))
    for m in range(DEGREES):
        value[m, m] = np.sqrt(0.5) if m == 0 else value[m - 1, m - 1]
        if m:
            value[m, m] *= np.sqrt((2 * m + 1) / (2 * m) * (1 - mu**2))
        value[m, m + 1] = mu * value[m, m] / _ratio(m, m + 1)
        for n in range(m + 2, DEGREES + 1):
            below = _ratio(m, n - 1) * value[m, n - 2]
            value[m, n] = (mu * value[m, n - 1] - below) / _ratio(m, n)
        for n in range(m, DEGREES):
            slope[m, n] = -n * _ratio(m, n + 1) * value[m, n + 1]
            if n > m:
                slope[m, n] += (n + 1) * _ratio(m, n) * value[m, n - 1]
    return value[:, :DEGREES], slope


class Sphere:
    """The grid and the transforms between spectra and fields."""

    def __init__(self) -> None:
        mu, weight = np.polynomial.legendre.leggauss(LATITUDES)
        value, slope = _legendre(mu)
        self.mu = mu.astype(np.float32)[:, None]
        self.cosine = np.sqrt(1 - self.mu**2)
        self.weight = (weight / weight.mean()).astype(np.float32)[:, None]
        self.longitude = 2 * np.pi * np.arange(LONGITUDES) / LONGITUDES
        self.value, self.slope = value.astype(np.float32), slope.astype(np.float32)
        self._project = (value * weight).swapaxes(1, 2).astype(np.float32)
        self.degree = np.arange(DEGREES, dtype=np.float32)
        self.laplace = -self.degree * (self.degree + 1)
        self.inverse_laplace = np.append(0, 1 / self.laplace[1:]).astype(np.float32)
        order = np.arange(DEGREES, dtype=np.float32)
        self._order = order[:, None, None, None]
        angle = order[:, None] * self.longitude
        both = np.stack((np.cos(angle), -np.sin(angle)), axis=1).reshape(2 * DEGREES, -1)
        twice = np.repeat(np.where(order == 0, 1.0, 2.0), 2)[:, None]
        self._around = (twice * both).astype(np.float32)
        self._around_back = (both.T / LONGITUDES).astype(np.float32)
        triangle = np.arange(DEGREES)[:, None] <= np.arange(DEGREES)
        self.inside = np.repeat(triangle[:, None], 2, axis=1)
        self.inside[0, 1] = False  # the zonal mean has no sine

    def field(self, spectrum: Array) -> Array:
        """The field a spectrum stands for."""
        return self._synthesis(spectrum, self.value)

    def northward(self, spectrum: Array) -> Array:
        """cos(latitude) times the slope towards north, for one radian."""
        return self._synthesis(spectrum, self.slope)

    def eastward(self, spectrum: Array) -> Array:
        """The derivative by longitude."""
        shape = spectrum.shape
        flat = spectrum.reshape(DEGREES, 2, -1, DEGREES)
        turned = np.stack((-self._order[:, 0] * flat[:, 1], self._order[:, 0] * flat[:, 0]), axis=1)
        return self._synthesis(turned.reshape(shape), self.value)

    def _synthesis(self, spectrum: Array, table: Array) -> Array:
        between = spectrum.shape[2:-1]
        along = spectrum.reshape(DEGREES, -1, DEGREES) @ table
        rows = along.reshape(DEGREES, 2, -1, LATITUDES).transpose(2, 3, 0, 1)
        fields = rows.reshape(-1, 2 * DEGREES) @ self._around
        return fields.reshape(*between, LATITUDES, LONGITUDES)

    def spectrum(self, field: Array) -> Array:
        """The spectrum of a field, cut off after degree 21."""
        between = field.shape[:-2]
        rows = field.reshape(-1, LONGITUDES) @ self._around_back
        parts = rows.reshape(-1, LATITUDES, DEGREES, 2).transpose(2, 3, 0, 1)
        flat = parts.reshape(DEGREES, -1, LATITUDES) @ self._project
        return flat.reshape(DEGREES, 2, *between, DEGREES)
