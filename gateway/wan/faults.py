"""Faults in force: what someone broke on purpose, by center or by path.

A fault lies on a center for everybody, or on the one path from ``vantage``. The network
applies delay and loss, the center emulator the rest. Effects are merged when a fault is set,
so that asking costs a dictionary look-up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.api import InvalidRequest
from gateway.api.control import FAULT_KINDS, FaultKind

FAULTS_MAX = 100_000

_Key = tuple[FaultKind, int | None]

_BOUNDS: dict[FaultKind, tuple[float, float, float]] = {
    # kind: least, most, neutral
    "down": (0.0, 1.0, 0.0),
    "slow": (1.0, 1e6, 1.0),
    "delay": (0.0, 1e6, 0.0),
    "loss": (0.0, 1.0, 0.0),
    "error": (0.0, 1.0, 0.0),
    "black_hole": (0.0, 1.0, 0.0),
}
_SWITCHES = ("down", "black_hole")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault in force; ``vantage`` None: for everybody."""

    center: int
    kind: FaultKind
    value: float
    vantage: int | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What all faults together do to a request from one vantage to one center.

    ``slow`` multiplies the run time, ``delay_ms`` is added to the round trip, ``loss`` and
    ``error_rate`` are probabilities, ``down`` refuses, ``black_hole`` never answers.
    """

    down: bool = False
    slow: float = 1.0
    delay_ms: float = 0.0
    loss: float = 0.0
    error_rate: float = 0.0
    black_hole: bool = False


class Faults:
    """The faults of a fleet, by row index. Holds no clock and no randomness."""

    def __init__(self) -> None:
        self._faults: dict[int, dict[_Key, float]] = {}
        self._effects: dict[int, dict[int | None, Effect]] = {}
        self._count = 0

    def set(self, center: int, kind: FaultKind, value: float, vantage: int | None) -> None:
        """Put a fault in force, in the place of an earlier one of its kind there.

        ``value``: a factor (slow), milliseconds (delay), a probability (loss, error), or 1
        (down, black_hole). The neutral value (1 for slow, else 0) lifts the fault. Raises
        InvalidRequest for an unknown kind, a value out of range, or too many faults.
        """
        _check(kind, value)
        faults = self._faults.get(center, {})
        before = len(faults)
        if value == _BOUNDS[kind][2]:
            faults.pop((kind, vantage), None)
        elif (kind, vantage) in faults or self._count < FAULTS_MAX:
            faults[kind, vantage] = value
            self._faults[center] = faults
        else:
            raise InvalidRequest(f"{FAULTS_MAX} faults are in force, the most there may be; clear")
        self._count += len(faults) - before
        self._merge(center)

    def clear(self, center: int | None) -> int:
        """Lift the faults of ``center`` (None: all); returns how many there were."""
        centers = list(self._faults) if center is None else [center]
        before = self._count
        for index in centers:
            self._count -= len(self._faults.pop(index, ()))
            self._merge(index)
        return before - self._count

    def active(self) -> list[Fault]:
        """Every fault in force, by center, in the order they were set."""
        return [
            Fault(center, kind, value, vantage)
            for center, faults in sorted(self._faults.items())
            for (kind, vantage), value in faults.items()
        ]

    def take(self, before: Faults, rows: Mapping[int, int]) -> None:
        """The faults of ``before`` at other rows, by (row there: row here); others end."""
        for fault in before.active():
            if fault.center in rows:
                self.set(rows[fault.center], fault.kind, fault.value, fault.vantage)

    def any_at(self, center: int) -> bool:
        """Whether there is something to look for at ``center``, for some vantage."""
        return center in self._effects

    def effect(self, center: int, vantage: int) -> Effect | None:
        """What a request from ``vantage`` meets at ``center``; None: nothing is wrong."""
        effects = self._effects.get(center)
        if effects is None:
            return None
        return effects.get(vantage) or effects.get(None)

    def _merge(self, center: int) -> None:
        faults = self._faults.get(center)
        if not faults:
            self._faults.pop(center, None)
            self._effects.pop(center, None)
            return
        vantages = {vantage for _, vantage in faults}
        self._effects[center] = {vantage: _merged(faults, vantage) for vantage in vantages}


def _check(kind: FaultKind, value: float) -> None:
    if kind not in _BOUNDS:
        raise InvalidRequest(f"fault kind {kind!r} is unknown; expected {', '.join(FAULT_KINDS)}")
    least, most, _ = _BOUNDS[kind]
    if kind in _SWITCHES and value not in (0, 1):
        raise InvalidRequest(f"fault {kind!r}: value {value!r}; expected 1 (on) or 0 (off)")
    if not (math.isfinite(value) and least <= value <= most):
        raise InvalidRequest(f"fault {kind!r}: value {value!r}; expected {least:g} to {most:g}")


def _merged(faults: dict[_Key, float], vantage: int | None) -> Effect:
    """Faults for everybody and those of one path, together."""
    on: dict[FaultKind, list[float]] = {kind: [] for kind in FAULT_KINDS}
    for (kind, path), value in faults.items():
        if path is None or path == vantage:
            on[kind].append(value)
    return Effect(
        down=bool(on["down"]),
        slow=math.prod(on["slow"]),
        delay_ms=math.fsum(on["delay"]),
        loss=1.0 - math.prod(1.0 - p for p in on["loss"]),
        error_rate=1.0 - math.prod(1.0 - p for p in on["error"]),
        black_hole=bool(on["black_hole"]),
    )
