"""Breakers: when so many centers of a zone or region fail at once that all of it is out.

A zone of at least ``breaker_centers_min`` centers trips when more than ``breaker_share`` of
them went bad within ``breaker_s``; a region when more than that share of its centers did, or
when ``breaker_zones`` of its zones tripped within that time. What tripped is taken out whole,
and every center of it comes back by its own probe: a breaker holds no state of its own.

The same domains bound what errors alone may take out: at most ``ejected_share`` of a zone or
region, and at least one center.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Literal

from gateway.fleet.kept_rows import KeptRows
from gateway.fleet.tuning import HealthTuning


class Domain:
    """A zone or a region: what fails together."""

    __slots__ = ("kind", "members", "tripped_at")

    def __init__(self, kind: Literal["zone", "region"]) -> None:
        self.kind = kind
        self.members: list[int] = []
        self.tripped_at = -inf


class Breakers:
    """The domains of a fleet, and when each center last went bad.

    ``places``: (region, zone) of every center, in row order; a zone belongs to its region.
    """

    def __init__(self, places: Sequence[tuple[str, str]], tuning: HealthTuning) -> None:
        self._tuning = tuning
        self._bad_at = [-inf] * len(places)
        regions: dict[str, Domain] = {}
        zones: dict[tuple[str, str], Domain] = {}
        for center, (region, zone) in enumerate(places):
            regions.setdefault(region, Domain("region")).members.append(center)
            zones.setdefault((region, zone), Domain("zone")).members.append(center)
        zones = {
            key: domain
            for key, domain in zones.items()
            if len(domain.members) >= tuning.breaker_centers_min
        }
        self._zones_of = {
            region: [zone for (of, _), zone in zones.items() if of == region] for region in regions
        }
        self._domains = [
            tuple(d for d in (zones.get((region, zone)), regions[region]) if d is not None)
            for region, zone in places
        ]
        self._regions = [region for region, _ in places]

    def carry_over(self, before: Breakers, kept: KeptRows) -> None:
        """When the centers that stay last went bad."""
        for old, new in kept.pairs:
            self._bad_at[new] = before._bad_at[old]

    def mates(self, center: int) -> list[int]:
        """The centers of its region, itself included."""
        return self._domains[center][-1].members

    def domains(self, center: int) -> list[list[int]]:
        """The centers of its zone and of its region, of those large enough to trip."""
        least = self._tuning.breaker_centers_min
        domains = self._domains[center]
        return [domain.members for domain in domains if len(domain.members) >= least]

    def has_room(self, center: int, is_out: Callable[[int], bool]) -> bool:
        """One more of its zone and of its region may be ejected for errors."""
        for domain in self._domains[center]:
            out = sum(1 for member in domain.members if is_out(member))
            if out + 1 > max(1, int(self._tuning.ejected_share * len(domain.members))):
                return False
        return True

    def went_bad(self, center: int, now: float) -> Domain | None:
        """A center refuses, is silent or full of errors; returns the largest domain that trips."""
        self._bad_at[center] = now
        tripped = None
        for domain in self._domains[center]:
            if self._trips(domain, self._regions[center], now):
                domain.tripped_at = now
                tripped = domain
        return tripped

    def _trips(self, domain: Domain, region: str, now: float) -> bool:
        tuning = self._tuning
        since = now - tuning.breaker_s
        members = domain.members
        if len(members) >= tuning.breaker_centers_min:
            bad = sum(1 for member in members if self._bad_at[member] >= since)
            if bad > tuning.breaker_share * len(members):
                return True
        if domain.kind == "zone":
            return False
        tripped = sum(1 for zone in self._zones_of[region] if zone.tripped_at >= since)
        return tripped >= tuning.breaker_zones
