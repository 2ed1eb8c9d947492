"""Milliseconds an operator adds to centers or regions, read from a TOML file.

    [surcharge_ms]
    "cn-north-1a" = 50       # a center
    "cn-east-3" = 20         # every center of a region; a center's own line wins

With the scorer ``surcharge`` in the policy this moves traffic gently: 50 ms on a center
sends away whoever is within 50 ms of another one. The file is read again every
``period_s`` seconds; a wrong file is refused whole and the last good values stay.
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

SECTION = "surcharge_ms"


@dataclass(frozen=True)
class SurchargeFile:
    """Feeds ``surcharge_file.ms`` from the table ``[surcharge_ms]`` of a TOML file."""

    path: str
    period_s: float = 5.0

    columns: ClassVar[Mapping[str, Column]] = {"ms": Column("f4", initial=0.0)}

    def __post_init__(self) -> None:
        if not self.period_s > 0.0:
            raise ValueError(f"period_s = {self.period_s}; expected seconds > 0")

    def read(self, centers: tuple[str, ...], folder: Path) -> Mapping[str, Array]:
        """{"ms": float32[N]}. Raises ConfigError when the file or a line of it is wrong."""
        path = folder / self.path
        lines = _lines(path)
        ms = np.zeros(len(centers), dtype=np.float32)
        unknown = []
        # Shorter ids first, so that a center's own line is written over its region's.
        for name in sorted(lines, key=len):
            rows = [row for row, center in enumerate(centers) if _is_of(center, name)]
            ms[rows] = _charge(path, name, lines[name])
            if not rows:
                unknown.append(name)
        if unknown:
            raise ConfigError(
                f"{path}: no center or region is called {', '.join(map(repr, unknown))}; "
                f"expected ids such as {centers[0]!r}"
            )
        return {"ms": ms}


def _lines(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"surcharge file {path}: {error.strerror}; create it") from None
    except ValueError as error:
        raise ConfigError(f"surcharge file {path}: not TOML: {error}") from None
    lines = document.pop(SECTION, {})
    if document or not isinstance(lines, dict):
        raise ConfigError(f"{path}: found {sorted(document)}; expected one table [{SECTION}]")
    return lines


def _is_of(center: str, name: str) -> bool:
    """``name`` is the center, or its region: a center's id is the region's and letters."""
    return center == name or (center.startswith(name) and center[len(name) :].isalpha())


def _charge(path: Path, name: str, found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise ConfigError(f"{path}: {name} = {found!r}; expected a number of ms")
    if not (isfinite(found) and found >= 0):
        raise ConfigError(f"{path}: {name} = {found}; expected a number of ms >= 0")
    return float(found)
