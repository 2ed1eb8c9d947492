"""Where things are: locations, the places requests come from, and centers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Emulate = Literal["gateway", "center", "none"]


@dataclass(frozen=True, slots=True)
class Location:
    """A point on the globe, degrees north and east."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Place:
    """A named location a request can come from (an origin) or be measured from (a vantage)."""

    name: str
    country: str
    location: Location
    population: int = 0


@dataclass(frozen=True, slots=True)
class Center:
    """One site that serves models, reached at one endpoint: a row of the snapshot.

    ``speed_factor`` multiplies a model's run time: 1 nominal, 2 takes twice as long.
    ``models`` are shell-style patterns of the models it declares.
    """

    id: str
    region: str
    zone: str
    city: str
    country: str
    location: Location
    core: bool = False
    slots: int = 4
    speed_factor: float = 1.0
    models: tuple[str, ...] = ("*",)
    url: str | None = None
    emulate: Emulate = "gateway"
    zone_assumed: bool = False
