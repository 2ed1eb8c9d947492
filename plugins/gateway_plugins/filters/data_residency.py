"""Data residency: a tenant's requests are answered only in countries its data may go to.

``tenants`` maps a tenant to its country codes; ``everybody_else`` is for the tenants that are
not named (empty: anywhere). A law is not a preference: the filter is mandatory, so when it
cannot answer, the request is refused rather than sent abroad.

    { name = "data_residency", tenants = { hospital = ["DE"], shop = ["DE", "FR", "NL"] } }
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from gateway.api import BoolN, Centers, Query, Varies


@dataclass(frozen=True)
class DataResidency:
    """Keeps the centers in countries where the tenant's data may be."""

    tenants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    everybody_else: tuple[str, ...] = ()

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("tenant",)
    reads: ClassVar[tuple[str, ...]] = ()
    advisory: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for countries in (*self.tenants.values(), self.everybody_else):
            for code in countries:
                if not (len(code) == 2 and code.isalpha() and code.isupper()):
                    raise ValueError(f"country {code!r}; expected a two-letter code such as 'DE'")
        for tenant, countries in self.tenants.items():
            if not countries:
                raise ValueError(f"tenants.{tenant} = []; expected a country, or no such line")

    def keep(self, query: Query, centers: Centers, now: float) -> BoolN:
        """bool[N]: True where the tenant's data may be."""
        allowed = self.tenants.get(query.tenant, self.everybody_else)
        if not allowed:
            return np.ones(len(centers), dtype=np.bool_)
        return np.array([center.country in allowed for center in centers.topology], dtype=np.bool_)
