"""Carbon intensity of the grid at centers or regions, read from a TOML file.

    [g_per_kwh]
    "cn-north-1" = 610       # every center of a region
    "cn-southwest-2" = 130
    "cn-north-1a" = 580      # a center's own line wins

In g of CO2 per kWh, for the scorer ``carbon``. Whoever knows the figures (an operator, a job
that asks the grid) writes the file; it is read again every ``period_s`` seconds. A center
without a line counts as the dirtiest in the file, so that a missing figure attracts nothing.
A wrong file is refused whole and the last good values stay.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gateway.api import Array, Column, ConfigError

SECTION = "g_per_kwh"


@dataclass(frozen=True)
class CarbonFile:
    """Feeds ``carbon_file.g_per_kwh`` from the table ``[g_per_kwh]`` of a TOML file."""

    path: str
    period_s: float = 60.0

    columns: ClassVar[Mapping[str, Column]] = {SECTION: Column("f4", initial=0.0)}

    def __post_init__(self) -> None:
        if not self.period_s > 0.0:
            raise ValueError(f"period_s = {self.period_s}; expected seconds > 0")

    def read(self, centers: tuple[str, ...], folder: Path) -> Mapping[str, Array]:
        """{"g_per_kwh": float32[N]}. Raises ConfigError when the file or a line is wrong."""
        path = folder / self.path
        lines = {name: _grams(path, name, found) for name, found in _lines(path).items()}
        grams = np.full(len(centers), max(lines.values()), dtype=np.float32)
        # Shorter ids first, so that a center's own line is written over its region's.
        for name in sorted(lines, key=len):
            rows = [row for row, center in enumerate(centers) if _is_of(center, name)]
            if not rows:
                raise ConfigError(
                    f"{path}: no center or region is called {name!r}; "
                    f"expected ids such as {centers[0]!r}"
                )
            grams[rows] = lines[name]
        return {SECTION: grams}


def _lines(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"carbon file {path}: {error.strerror}; create it") from None
    except ValueError as error:
        raise ConfigError(f"carbon file {path}: not TOML: {error}") from None
    lines = document.get(SECTION)
    if set(document) != {SECTION} or not isinstance(lines, dict) or not lines:
        raise ConfigError(f"{path}: found {sorted(document)}; expected lines in [{SECTION}] alone")
    return lines


def _is_of(center: str, name: str) -> bool:
    """``name`` is the center, or its region: a center's id is the region's and letters."""
    return center == name or (center.startswith(name) and center[len(name) :].isalpha())


def _grams(path: Path, name: str, found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ConfigError(f"{path}: {name} = {found!r}; expected a number of g per kWh")
    if not (isfinite(found) and found >= 0):
        raise ConfigError(f"{path}: {name} = {found}; expected a number of g per kWh >= 0")
    return float(found)
