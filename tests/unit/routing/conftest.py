"""A small world to route in: tables, plugins made of functions, a ledger that only counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any

import numpy as np
import pytest

from gateway.api import BuiltPolicy, Center, Location, Named, Outcome, Query, Table
from gateway.routing import Router


@dataclass(frozen=True, eq=False)
class Narrows:
    """A filter made of a function (query, centers) -> bool[N]."""

    answer: Callable[..., Any]
    varies_by: tuple[str, ...] | None = ()
    reads: tuple[str, ...] = ()
    advisory: bool = False

    def keep(self, query, centers, now):
        return self.answer(query, centers)


@dataclass(frozen=True, eq=False)
class Charges:
    """A scorer made of a function (query, centers) -> float32[N]."""

    answer: Callable[..., Any]
    varies_by: tuple[str, ...] | None = ()
    reads: tuple[str, ...] = ()
    live: bool = False
    refresh_ms: float = 1.0

    def ms(self, query, centers, now):
        return self.answer(query, centers)


@dataclass(frozen=True)
class Least:
    sample: int | None = None
    reads: tuple[str, ...] = ()
    takes_argmin: bool = True

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(total_ms.argmin())


@dataclass(frozen=True, eq=False)
class Picks:
    """A picker made of a function (total_ms, candidates, random) -> position."""

    answer: Callable[..., Any]
    sample: int | None = None
    reads: tuple[str, ...] = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return self.answer(total_ms, candidates, random)


@dataclass
class CountingLedger:
    """Writes the tie term into ``queue_ms`` when there is such a column; counts calls."""

    table: Table
    tick_at: float = inf
    charged: list[int] = field(default_factory=list)
    endings: list[Outcome] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    heard_at: dict[int, float] = field(default_factory=dict)
    out: set[int] = field(default_factory=set)

    def heard_since(self, centers, since_s):
        return any(self.heard_at.get(center, -inf) >= since_s for center in centers)

    def in_service(self, center):
        return center not in self.out

    def charge(self, decision, now):
        decision.charged_ms = 1.0
        self.charged.append(decision.center)
        if "queue_ms" in self.table.columns:
            self.table.columns["queue_ms"][decision.center] = 1e-5 * len(self.charged)

    def ended(self, outcome):
        self.endings.append(outcome)

    def tick(self, now):
        self.ticks.append(now)
        self.tick_at = now + 0.001


class World:
    """Makers of everything a routing test needs."""

    Narrows, Charges, Least, Picks, CountingLedger = Narrows, Charges, Least, Picks, CountingLedger

    def table(self, centers: int) -> Table:
        here = Location(0.0, 0.0)
        rows = [Center(f"c{row}", f"r{row}", "a", "x", "CN", here) for row in range(centers)]
        return Table(rows)

    def standard_table(
        self, rtt_ms: Sequence[Sequence[float]], service_ms: Sequence[float]
    ) -> Table:
        """The standard columns; ``rtt_ms[vantage][center]``; every model takes ``service_ms``."""
        table = self.table(len(service_ms))
        table.add_column("healthy", "i4", 1)
        table.add_column("queue_ms", "f4")
        table.add_row_table("rtt_ms", "vantage", lambda v: np.array(rtt_ms[v], np.float32))
        table.add_row_table("service_ms", "model", lambda m: np.array(service_ms, np.float32))
        table.add_row_table("resident", "model", lambda m: np.ones(len(service_ms), np.int32))
        return table

    def network(self, **options: Any) -> Charges:
        return Charges(lambda q, c: c["rtt_ms"], ("vantage",), ("rtt_ms",), **options)

    def service(self) -> Charges:
        return Charges(lambda q, c: c["service_ms"], ("model",), ("service_ms",))

    def queue(self) -> Charges:
        return Charges(lambda q, c: c["queue_ms"], (), ("queue_ms",), live=True)

    def healthy(self) -> Narrows:
        return Narrows(lambda q, c: c["healthy"] != 0, (), ("healthy",))

    def serves_model(self) -> Narrows:
        return Narrows(lambda q, c: c["resident"] != 0, ("model",), ("resident",))

    def policy(self, filters=(), scorers=(), picker=None, observers=(), sources=()) -> BuiltPolicy:
        """Plugins by name: pairs (name, plugin)."""

        def named(pairs):
            return tuple(Named(name, plugin) for name, plugin in pairs)

        return BuiltPolicy(
            "test",
            named(filters),
            named(scorers),
            Named("picker", picker or Least()),
            named(observers),
            named(sources),
        )

    def default_policy(self, **changes: Any) -> BuiltPolicy:
        return self.policy(
            **{
                "filters": [("healthy", self.healthy()), ("serves_model", self.serves_model())],
                "scorers": [
                    ("network", self.network()),
                    ("queue", self.queue()),
                    ("service", self.service()),
                ],
                **changes,
            }
        )

    def router(self, table: Table, policy: BuiltPolicy, **changes: Any) -> Router:
        options: dict[str, Any] = {
            "seed": 1,
            "budget_clock": lambda: 0.0,
            "plugin_budget_ms": 0.05,
            "plugin_limit_ms": 5.0,
            **changes,
        }
        ledger = options.pop("ledger", None) or CountingLedger(table)
        return Router(table, policy, ledger, **options)

    def fixed(self, values: Sequence[float], **options: Any) -> Charges:
        """A scorer that always charges ``values``."""
        array = np.array(values, dtype=np.float32)
        return Charges(lambda q, c: array, **options)

    def query(
        self, vantage: int = 0, model: str = "m", tenant: str = "t", *, body_bytes: int = 0
    ) -> Query:
        return Query(vantage, model, tenant, body_bytes=body_bytes)

    def outcome(self, decision: Any, now: float = 0.0, **changes: Any) -> Outcome:
        """The answer that ends ``decision``."""
        fields: dict[str, Any] = {
            "center": decision.center,
            "vantage": decision.query.vantage,
            "model": decision.query.model,
            "ending": "answer",
            "attempt_ms": decision.predicted_ms,
            "report": None,
            "predicted_ms": decision.predicted_ms,
            "charged_ms": decision.charged_ms,
            "now": now,
            **changes,
        }
        return Outcome(**fields)

    def random(self) -> Random:
        return Random(7)


@pytest.fixture
def world() -> World:
    return World()
