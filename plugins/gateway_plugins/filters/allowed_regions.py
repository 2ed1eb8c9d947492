"""Only regions where the data may go: for everybody, and more narrowly by tenant.

``allow``, ``deny`` and the lists of ``tenants`` are shell patterns over region ids, such as
``cn-*``. An empty ``allow`` allows all; ``deny`` wins over everything; a tenant that has a
list of its own must match that list too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

import numpy as np

from gateway.api import BoolN, Centers, Query, Varies


@dataclass(frozen=True)
class AllowedRegions:
    """Keeps the centers of the regions that are allowed to the tenant and not denied."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    tenants: dict[str, tuple[str, ...]] = field(default_factory=dict)

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("tenant",)
    reads: ClassVar[tuple[str, ...]] = ()
    advisory: ClassVar[bool] = False

    def keep(self, query: Query, centers: Centers, now: float) -> BoolN:
        """bool[N]: True where the tenant's requests may be answered."""
        topology = centers.topology
        own = self.tenants.get(query.tenant)
        # Patterns are matched once a region, not once a center.
        regions = {
            region for region in {center.region for center in topology} if self._may(region, own)
        }
        return np.array([center.region in regions for center in topology], dtype=np.bool_)

    def _may(self, region: str, own: tuple[str, ...] | None) -> bool:
        if _matches(region, self.deny):
            return False
        if self.allow and not _matches(region, self.allow):
            return False
        return own is None or _matches(region, own)


def _matches(region: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(region, pattern) for pattern in patterns)
