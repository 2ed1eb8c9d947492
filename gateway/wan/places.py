"""Places a request can come from or a path can be measured from, and how they are named.

A place's index in ``Gazetteer.places`` is the *vantage* that queries, estimators and
emulated paths are keyed by. The list is fixed when the fleet is loaded: the cities that are
shipped, then the cities of centers that are not among them. A center's city is a shipped
one when name and country agree or when the two lie within 5 km.
"""

from __future__ import annotations

import csv
import difflib
import math
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from gateway.api import Center, ConfigError, InvalidRequest, Location, Place
from gateway.wan.great_circle import distances_km, unit_vectors

PLACES_MAX = 512
SAME_PLACE_KM = 5.0
ORIGIN_CHARS_MAX = 100
FOUND_MAX = 4096
REFUSED_MAX = 256

Tier = Literal["china", "mainland", "world"]

_MAINLAND = "CN"
_GREATER_CHINA = frozenset({"CN", "HK", "MO", "TW"})
_CITIES_FILE = Path(__file__).with_name("places.csv")


def load_cities() -> tuple[Place, ...]:
    """The 207 shipped cities; the largest of Greater China first (GeoNames, Natural Earth)."""
    with _CITIES_FILE.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Place(
                name=row["name"],
                country=row["country"],
                location=Location(float(row["lat"]), float(row["lon"])),
                population=int(row["population"]),
            )
            for row in csv.DictReader(lines)
        )


def is_mainland(place: Place | Center) -> bool:
    """True in mainland China; Hong Kong, Macau and Taiwan lie beyond its network border."""
    return place.country == _MAINLAND


def is_in_tier(place: Place, tier: Tier) -> bool:
    """``china``: Greater China (147 cities); ``mainland``: 142 of them; ``world``: the rest."""
    if tier == "mainland":
        return is_mainland(place)
    return (place.country in _GREATER_CHINA) == (tier == "china")


class Gazetteer:
    """Every known place, and from any accepted way of writing one to its index.

    ``places`` holds ``cities`` first, in their order. Raises ConfigError when cities and
    centers together name more than 512 places.
    """

    def __init__(self, cities: Sequence[Place], centers: Sequence[Center]) -> None:
        self._cities = len(cities)
        places, place_of_center = _with_centers(cities, centers)
        if len(places) > PLACES_MAX:
            raise ConfigError(
                f"the fleet file adds {len(places) - len(cities)} places to {len(cities)} cities; "
                f"expected at most {PLACES_MAX} in all: give centers close to one another "
                "the same city"
            )
        self.places: tuple[Place, ...] = places
        self._vectors = unit_vectors([place.location for place in places])
        self._index: dict[str, int] = {}
        self._name_places()
        self._name_centers(centers, place_of_center)
        self._found: dict[str, int] = {}
        self._refused: dict[str, str] = {}

    def find(self, text: str) -> int:
        """The vantage of ``text``: a city, ``City, CC``, a region, a center or ``lat,lon``.

        Case, accents and apostrophes do not matter. A bare name shared by two countries is
        the first in the list's; ``lat,lon`` snaps to the nearest place. Raises
        InvalidRequest naming what was found, close matches and the accepted forms.
        """
        found = self._found.get(text)
        if found is not None:
            return found
        if len(text) > ORIGIN_CHARS_MAX:
            raise InvalidRequest(
                f"origin {text[:40]!r}... has {len(text)} characters; "
                f"expected at most {ORIGIN_CHARS_MAX}"
            )
        index = self._index.get(_folded(text))
        if index is None:
            point = self._point(text)
            if point is None:
                raise InvalidRequest(self._refusal(text))
            index = self.nearest(point)
        if len(self._found) >= FOUND_MAX:
            self._found.clear()
        self._found[text] = index
        return index

    def nearest(self, point: Location) -> int:
        """The index of the place nearest to ``point``."""
        return int((self._vectors @ unit_vectors([point])[0]).argmax())

    def cities_in(self, tier: Tier) -> tuple[int, ...]:
        """Indices of the shipped cities of ``tier``; places added by centers do not count."""
        cities = enumerate(self.places[: self._cities])
        return tuple(index for index, place in cities if is_in_tier(place, tier))

    def _name_places(self) -> None:
        for index, place in enumerate(self.places):
            self._index.setdefault(_folded(place.name), index)
            self._index.setdefault(_folded(f"{place.name},{place.country}"), index)

    def _name_centers(self, centers: Sequence[Center], place_of_center: Sequence[int]) -> None:
        for center, index in zip(centers, place_of_center, strict=True):
            for name in (center.region, center.id, center.city, f"{center.city},{center.country}"):
                self._index.setdefault(_folded(name), index)

    def _point(self, text: str) -> Location | None:
        """``lat,lon`` in degrees; None when ``text`` is not two numbers."""
        first, _, second = text.partition(",")
        try:
            lat, lon = float(first), float(second)
        except ValueError:
            return None
        for name, degrees, bound in (("latitude", lat, 90), ("longitude", lon, 180)):
            if not math.isfinite(degrees) or abs(degrees) > bound:
                raise InvalidRequest(
                    f"origin {text!r}: {name} {degrees:g}; expected -{bound}..{bound} degrees, "
                    'latitude first, such as "31.22,121.46"'
                )
        return Location(lat, lon)

    def _refusal(self, text: str) -> str:
        """Why ``text`` is refused; kept, because looking for close matches takes 0.5 ms."""
        refusal = self._refused.get(text)
        if refusal is not None:
            return refusal
        folded, names = _folded(text), {_folded(place.name): place.name for place in self.places}
        close = difflib.get_close_matches(folded.partition(",")[0], names, n=3, cutoff=0.7)
        hint = f" Did you mean {' or '.join(repr(names[name]) for name in close)}?" if close else ""
        refusal = (
            f"origin {text!r} is not a known place.{hint} Expected a city "
            '("Shanghai" or "Shanghai, CN"), a region or center of the fleet, '
            'or "lat,lon" in degrees ("31.22,121.46")'
        )
        if len(self._refused) >= REFUSED_MAX:
            self._refused.clear()
        self._refused[text] = refusal
        return refusal


def _folded(text: str) -> str:
    """One spelling for all: lower case, no accents or apostrophes, single blanks."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    kept = (c for c in plain if not unicodedata.combining(c) and c not in "'’")
    return ",".join(" ".join(part.split()) for part in "".join(kept).split(","))


def _with_centers(
    cities: Sequence[Place], centers: Sequence[Center]
) -> tuple[tuple[Place, ...], list[int]]:
    """``cities`` and the new places of ``centers``; the index of each center's place."""
    places = list(cities)
    by_name = {(place.name, place.country): index for index, place in _backwards(places)}
    place_of_center = []
    for center in centers:
        name = (center.city, center.country)
        index = by_name.get(name)
        if index is None:
            index = _within_reach(center.location, places)
            if index is None:
                index = len(places)
                places.append(Place(center.city, center.country, center.location))
            by_name[name] = index
        place_of_center.append(index)
    return tuple(places), place_of_center


def _backwards(places: Sequence[Place]) -> Iterator[tuple[int, Place]]:
    """Last first, so that of two places with one name the first is kept."""
    return reversed(list(enumerate(places)))


def _within_reach(location: Location, places: Sequence[Place]) -> int | None:
    if not places:
        return None
    km = distances_km(location, [place.location for place in places])
    nearest = int(km.argmin())
    return nearest if km[nearest] <= SAME_PLACE_KM else None
