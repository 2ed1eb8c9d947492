"""What fails together: the centers of a zone, of a region, of a city, by row.

A second attempt goes where the trouble of the first is least likely to be. How far that is
depends on what the first met:

* *Refused, or an error*: the next best center will do; one that refuses costs a round trip. Only
  two failures in one city put the rest of it last, or a dead city of seven zones would eat every
  attempt.
* *Silence*: each further one costs a whole patience, so the zone is left at once, and the region
  too when it is *dark*: none of its centers has answered anybody since the silent attempt began.
  Leaving it may cost as many ms as the silence has already cost, and no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.api import Center

CITY_TRIES_MAX = 2


class Domains:
    """Of one fleet, in row order."""

    __slots__ = ("_cities", "_regions", "_zones")

    def __init__(self, centers: Sequence[Center]) -> None:
        self._zones = _mates([(c.region, c.zone) for c in centers])
        self._regions = _mates([(c.region,) for c in centers])
        self._cities = _mates([(c.country, c.city) for c in centers])

    def zones(self, rows: Iterable[int]) -> set[int]:
        """Every row that shares a zone with one of ``rows``; those are among them."""
        return {mate for row in rows for mate in self._zones[row]}

    def regions(self, rows: Iterable[int]) -> set[tuple[int, ...]]:
        """The regions of ``rows``, each as its rows."""
        return {self._regions[row] for row in rows}

    def failing_cities(self, tried: Sequence[int]) -> set[int]:
        """Every row in a city in which ``CITY_TRIES_MAX`` of ``tried`` stand."""
        if len(tried) < CITY_TRIES_MAX:
            return set()
        counts = Counter(self._cities[row] for row in tried)
        return {mate for city, n in counts.items() if n >= CITY_TRIES_MAX for mate in city}


def _mates(keys: Sequence[tuple[str, ...]]) -> list[tuple[int, ...]]:
    """For every row, the rows of the same key, in one tuple that all of them share."""
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    mates = {key: tuple(members) for key, members in rows.items()}
    return [mates[key] for key in keys]
