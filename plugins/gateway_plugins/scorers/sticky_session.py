"""Sticky sessions: a session's requests go to its home, where its cache is warm.

The home is found by rendezvous hashing (Thaler, Ravishankar, 1998): every pair of session and
center has a hash, the greatest wins. All gateways agree without talking, and when a center
leaves only its own sessions move. The home is free, every other center costs ``off_home_ms``:
what a cold cache costs. So a session leaves a home that is slower than that, and no other.
When the home is down or without the model the next in the session's order is its home.

A request without a session costs nothing anywhere. The orders are those of *all* centers, not
of those that happen to be eligible, or homes would move with the filters. They follow from
the session and the ids alone; ``remember`` of them are kept, so as not to hash again.

    scorers = ["network", "queue", "service", { name = "sticky_session", off_home_ms = 8.0 }]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import inf
from typing import Any, ClassVar

import numpy as np

from gateway.api import F32N, PER_REQUEST, Center, Centers, Query, Varies

ORDER_MAX = 8  # homes kept of an order; if all are out, the session has none


class Orders:
    """Rendezvous orders by session: a memory of a pure function, dropped with the topology."""

    def __init__(self) -> None:
        self.topology: Sequence[Center] = ()
        self.keys = np.zeros(0, dtype=np.uint64)
        self.known: dict[str, list[int]] = {}

    def of(self, session: str, topology: Sequence[Center], remember: int) -> list[int]:
        """The first rows of the session's order, best first."""
        if topology is not self.topology:
            self.topology, self.known = topology, {}
            self.keys = np.array([_hash(center.id) for center in topology], dtype=np.uint64)
        order = self.known.get(session)
        if order is None:
            hashes = _mixed(self.keys ^ np.uint64(_hash(session)))
            order = self.known[session] = np.argsort(hashes)[::-1][:ORDER_MAX].tolist()
            if len(self.known) > remember:
                del self.known[next(iter(self.known))]
        return order


@dataclass(frozen=True)
class StickySession:
    """Charges every center but the session's home."""

    off_home_ms: float
    remember: int = 4096
    _orders: Orders = field(default_factory=Orders, init=False, repr=False, compare=False)

    varies_by: ClassVar[tuple[Varies, ...] | None] = PER_REQUEST
    reads: ClassVar[tuple[str, ...]] = ("healthy", "resident")
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 0.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.off_home_ms < inf:
            raise ValueError(f"off_home_ms = {self.off_home_ms}; expected ms >= 0")
        if self.remember < 1:
            raise ValueError(f"remember = {self.remember}; expected 1 session or more")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms: 0 at home."""
        if not query.session:
            return np.zeros(len(centers), dtype=np.float32)
        charge_ms = np.full(len(centers), self.off_home_ms, dtype=np.float32)
        healthy, resident = centers["healthy"], centers["resident"]
        for row in self._orders.of(query.session, centers.topology, self.remember):
            if healthy[row] and resident[row]:
                charge_ms[row] = 0.0
                break
        return charge_ms


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(values: Any) -> Any:
    """uint64[N] -> uint64[N], every bit of which depends on every bit (splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
