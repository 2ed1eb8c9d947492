"""A registry of plugins written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest

from gateway.api import Column
from gateway.loading import Offer, Registry


@dataclass(frozen=True)
class Up:
    """Keeps what is up.

    More that is not shown.
    """

    varies_by: ClassVar = ()
    reads: ClassVar = ("healthy",)
    advisory: ClassVar = False

    def keep(self, query, centers, now):
        return centers["healthy"] != 0


@dataclass(frozen=True)
class Toll:
    """Charges a toll."""

    ms_each: float
    names: tuple[str, ...] = ()
    by_tenant: dict[str, float] = field(default_factory=dict)

    varies_by: ClassVar = ("vantage", "tenant")
    reads: ClassVar = ()
    live: ClassVar = False
    refresh_ms: ClassVar = 1.0

    def __post_init__(self):
        if self.ms_each < 0:
            raise ValueError(f"ms_each = {self.ms_each}; expected >= 0")

    def ms(self, query, centers, now):
        return np.full(len(centers), self.ms_each, np.float32)


@dataclass(frozen=True)
class Seen:
    """Charges what the watcher saw."""

    varies_by: ClassVar = ()
    reads: ClassVar = ("watch.seen",)
    live: ClassVar = False
    refresh_ms: ClassVar = 1.0

    def ms(self, query, centers, now):
        return centers["watch.seen"]


@dataclass(frozen=True)
class First:
    """Takes the first."""

    sample: ClassVar = None
    reads: ClassVar = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return 0


@dataclass(frozen=True)
class Watch:
    """Watches."""

    columns: ClassVar[Mapping[str, Column]] = {"seen": Column()}

    def memory(self, centers, random):
        return None

    def chosen(self, decision, mine, memory):
        pass

    def ended(self, outcome, mine, memory):
        pass

    def reported(self, center, report, now, mine, memory):
        pass


def offer(kind, name, loaded, distribution="acme 1.0"):
    def load():
        if isinstance(loaded, Exception):
            raise loaded
        return loaded

    return Offer(kind, name, f"acme.{kind}:{name}", distribution, load)


@pytest.fixture
def offers():
    return [
        offer("filters", "up", Up),
        offer("scorers", "toll", Toll),
        offer("scorers", "seen", Seen),
        offer("pickers", "first", First),
        offer("observers", "watch", Watch),
    ]


@pytest.fixture
def registry(offers):
    return Registry(offers)


@pytest.fixture
def make_offer():
    return offer
