"""The events of a scenario on the clock: which centers are in which mode between two instants.

Events are taken apart into *spells* (one condition, some centers, from when to when). The
instants at which any spell begins or ends are known before the run; what holds after such an
instant is put together when it is reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.api import ConfigError
from gateway.simulation.scenario import Event
from gateway.simulation.streams import stream
from gateway.simulation.world import World

F64 = NDArray[np.float64]
BoolN = NDArray[np.bool_]

NORMAL, REFUSES, SWALLOWS, FAILS, LEAVES = range(5)
"""How a center receives a request: serves it, refuses, stays silent, answers an error, or is
being replaced (refuses what is new, ends what it has)."""

_MODE_OF = {"refuse": REFUSES, "blackhole": SWALLOWS, "fast_503": FAILS}
FAST_FAILURE_MS = 0.1
TURNS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Spell:
    """``centers`` bool[N]; ``value`` as in Event; ``vantage`` -1: every path."""

    start_s: float
    end_s: float
    kind: str
    centers: BoolN
    value: float
    vantage: int = -1


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds until the next change: ``mode`` int64[N], ``slow`` and ``fails_ms``
    float64[N], ``report_loss`` float64[N], ``shift_ms`` float64[V, N] or None for none.
    """

    mode: NDArray[np.int64]
    slow: F64
    fails_ms: F64
    report_loss: F64
    shift_ms: F64 | None


class Timeline:
    """All spells of one run. ``changes``: the instants at which something changes, ascending."""

    def __init__(self, world: World, seed: int, length_s: float) -> None:
        """Raises ConfigError for an event at an unknown center, zone, region, city or origin."""
        self._world = world
        spells: list[Spell] = []
        for place, event in enumerate(world.scenario.events):
            where = f"scenario {world.scenario.name}: events[{place}]"
            members = self._members(event, f"{where}", seed, place)
            turns = (min(event.until_s, length_s) - event.at_s) / event.every_s
            if event.kind == "churn" and turns > TURNS_MAX:
                raise ConfigError(
                    f"{where}: churn takes {turns:.0f} turns in {length_s:.0f} s; "
                    f"expected at most {TURNS_MAX}: make every_s longer"
                )
            spells += _spells(world, event, members, length_s)
        self._spells = tuple(spells)
        edges = {edge for spell in spells for edge in (spell.start_s, spell.end_s)}
        self.changes: tuple[float, ...] = tuple(sorted(e for e in edges if e < length_s + 60.0))

    def at(self, now_s: float) -> Conditions:
        """What holds from ``now_s`` on."""
        n = len(self._world.centers)
        now = Conditions(
            np.zeros(n, dtype=np.int64), np.ones(n), np.zeros(n), np.zeros(n), self._shift_ms(now_s)
        )
        for spell in self._in_force(now_s):
            if spell.kind == "slow":
                now.slow[spell.centers] *= spell.value
            elif spell.kind == "report_loss":
                loss = now.report_loss[spell.centers]
                now.report_loss[spell.centers] = 1.0 - (1.0 - loss) * (1.0 - spell.value)
            elif spell.kind == "churn":
                now.mode[spell.centers] = LEAVES
            elif spell.kind in _MODE_OF:
                now.mode[spell.centers] = _MODE_OF[spell.kind]
                now.fails_ms[spell.centers] = spell.value
        return now

    def _in_force(self, now_s: float) -> Iterator[Spell]:
        return (spell for spell in self._spells if spell.start_s <= now_s < spell.end_s)

    def _shift_ms(self, now_s: float) -> F64 | None:
        shift: F64 | None = None
        for spell in self._in_force(now_s):
            if spell.kind != "path_shift":
                continue
            if shift is None:
                shift = np.zeros((len(self._world.places), len(self._world.centers)))
            rows = slice(None) if spell.vantage < 0 else slice(spell.vantage, spell.vantage + 1)
            shift[rows, spell.centers] += spell.value
        return shift

    def _members(self, event: Event, where: str, seed: int, place: int) -> list[int]:
        """The rows an event is about, in the order in which they take their turn."""
        centers = self._world.centers
        for key in ("center", "zone", "region", "city"):
            name = getattr(event, key)
            if not name:
                continue
            attribute = "id" if key == "center" else key
            rows = [i for i, c in enumerate(centers) if getattr(c, attribute) == name]
            if not rows:
                known = ", ".join(sorted({getattr(c, attribute) for c in centers})[:20])
                raise ConfigError(f"{where}: no {key} {name!r} in the fleet; there are {known}")
            return rows
        size = event.count or round(event.share * len(centers)) or len(centers)
        order = stream(seed, f"event {place}").permutation(len(centers))
        return [int(row) for row in order[: min(size, len(centers))]]


def _spells(world: World, event: Event, members: list[int], length_s: float) -> Iterator[Spell]:
    n = len(world.centers)
    if event.kind == "churn":
        yield from _churn(event, members, n, min(event.until_s, length_s))
        return
    value = event.value
    if value is None:
        value = FAST_FAILURE_MS if event.kind == "fast_503" else 1.0
    vantage = world.find(event.origin) if event.origin else -1
    yield Spell(event.at_s, event.until_s, event.kind, _flags(members, n), value, vantage)


def _churn(event: Event, members: list[int], centers: int, end_s: float) -> Iterator[Spell]:
    """One center after the other leaves, stays away, and comes back cold."""
    turn, leaves_s = 0, event.at_s
    while leaves_s < end_s:
        row = _flags([members[turn % len(members)]], centers)
        back_s = leaves_s + event.away_s
        yield Spell(leaves_s, back_s, "churn", row, 1.0)
        if event.cold_s > 0.0:
            yield Spell(back_s, back_s + event.cold_s, "slow", row, event.cold_factor)
        turn += 1
        leaves_s = event.at_s + turn * event.every_s


def _flags(rows: list[int], centers: int) -> BoolN:
    flags = np.zeros(centers, dtype=np.bool_)
    flags[rows] = True
    return flags
