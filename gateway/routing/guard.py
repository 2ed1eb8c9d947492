"""The guard around a plugin: a bad one may cost quality, never availability.

A plugin runs on the gateway's loop and cannot be interrupted, so all is seen afterwards.
Whatever it raises, or returns that cannot be used, becomes a ``PluginError`` that the caller
turns into "skipped". What it spends beyond its budget is an overrun: three of its last ten
calls within ten seconds, or one call above the limit, put it in quarantine. A machine that
takes the processor away for some milliseconds looks just like a slow plugin, so a first
quarantine is short; each further one is twice as long, until a quiet minute has passed.

The clock that measures is an argument: a simulation gives one that stands still. A clock that
tells what a plugin used from what the machine took costs more than most calls do. So a plugin
is measured by it in its first ``CLOSELY`` calls; from then on a cheap *screen* clock looks, whose
word is enough to clear a call and not enough to blame it: one that seems to overrun is followed by
``CLOSELY`` calls measured well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from gateway.api import F32N, BoolN, Centers, Filter, PluginError, Query, Scorer

OVERRUNS_MAX = 3
OVERRUN_WINDOW_S = 10.0
CALLS_LOOKED_AT = 10
QUARANTINE_S = 1.0
QUARANTINE_S_MAX = 64.0
FORGIVEN_AFTER_S = 60.0
CENTERS_PER_BUDGET = 1000
CLOSELY = 64


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one call may take. ``clock`` in seconds; an overrun is above ``call_ms``.

    ``screen``: a cheaper clock that may count too much, never too little; None: ``clock`` always.
    """

    clock: Callable[[], float]
    call_ms: float
    limit_ms: float
    screen: Callable[[], float] | None = None

    def for_centers(self, centers: int) -> Budget:
        """The same budget for a table of ``centers`` rows: array work grows with the table."""
        return replace(self, call_ms=self.call_ms * max(1.0, centers / CENTERS_PER_BUDGET))


class Guard:
    """One plugin's record: calls, errors, time used, overruns, quarantine.

    ``spared``: overruns are counted but never lead to quarantine. A mandatory filter is
    spared, because without it every request would have to be refused.
    """

    __slots__ = (
        "_budget",
        "_closely",
        "_overrun_at",
        "_quarantine_s",
        "_spared",
        "calls",
        "errors",
        "kind",
        "last_error",
        "name",
        "out_until",
        "overruns",
        "timed",
        "used_ms",
        "varies_by",
    )

    def __init__(
        self,
        kind: str,
        name: str,
        budget: Budget,
        *,
        varies_by: tuple[str, ...] | None = (),
        spared: bool = False,
    ) -> None:
        self.kind = kind
        self.name = name
        self.varies_by = varies_by
        self.calls = 0
        self.errors = 0
        self.timed = 0
        self.used_ms = 0.0
        self.overruns = 0
        self.out_until = -inf
        self.last_error = ""
        self._budget = budget
        self._closely = CLOSELY
        self._spared = spared
        self._overrun_at: deque[float] = deque(maxlen=CALLS_LOOKED_AT)
        self._quarantine_s = QUARANTINE_S

    def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call the plugin; raises PluginError whatever it raised."""
        self.calls += 1
        try:
            return method(*arguments)
        except Exception as error:
            raise self.failed(f"{type(error).__name__}: {error}") from error

    def timed_call(self, now: float, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call the plugin and hold the time it took against its budget."""
        clock = self._budget.clock
        if self._budget.screen is not None:
            if self._closely <= 0:
                return self._screened(self._budget.screen, method, *arguments)
            self._closely -= 1
        started_s = clock()
        try:
            return self.call(method, *arguments)
        finally:
            self._spent((clock() - started_s) * 1e3, now)

    def _screened(
        self, screen: Callable[[], float], method: Callable[..., Any], *arguments: Any
    ) -> Any:
        started_s = screen()
        try:
            return self.call(method, *arguments)
        finally:
            spent_ms = (screen() - started_s) * 1e3
            if spent_ms > self._budget.call_ms:
                self._closely = CLOSELY
            else:
                self.timed += 1
                self.used_ms += spent_ms
                self._overrun_at.append(-inf)

    def failed(self, found: str) -> PluginError:
        """Count a failure; returns the error that names the plugin."""
        self.errors += 1
        self.last_error = found
        return PluginError(f"{self.kind} {self.name}: {found}")

    def is_out(self, now: float) -> bool:
        """True while the plugin is quarantined."""
        return now < self.out_until

    def put_out(self, until: float) -> None:
        """Quarantine until an instant (inf: until the policy is loaded again)."""
        self.out_until = until

    def why_out(self) -> str:
        """The note that stands where a quarantined plugin's answer would."""
        until = "until the policy is loaded again" if self.out_until == inf else "for a while"
        why = f"{self.overruns} overruns of its time budget" if self.overruns else self.last_error
        return f"{self.kind} {self.name}: quarantined {until} ({why})"

    def _spent(self, spent_ms: float, now: float) -> None:
        self.timed += 1
        self.used_ms += spent_ms
        if spent_ms <= self._budget.call_ms:
            self._overrun_at.append(-inf)
            return
        self.overruns += 1
        self._overrun_at.append(now)
        recent = sum(now - at <= OVERRUN_WINDOW_S for at in self._overrun_at)
        if self._spared or not (recent >= OVERRUNS_MAX or spent_ms > self._budget.limit_ms):
            return
        if now - self.out_until > FORGIVEN_AFTER_S:
            self._quarantine_s = QUARANTINE_S
        self.put_out(now + self._quarantine_s)
        self._quarantine_s = min(2 * self._quarantine_s, QUARANTINE_S_MAX)
        self._overrun_at.clear()

    def state(self, now: float) -> dict[str, Any]:
        """JSON-ready record; ``used_ms`` is the time of the ``timed`` calls."""
        return {
            "kind": self.kind,
            "name": self.name,
            "varies_by": "request" if self.varies_by is None else list(self.varies_by),
            "calls": self.calls,
            "errors": self.errors,
            "last_error": self.last_error,
            "timed": self.timed,
            "used_ms": round(self.used_ms, 6),
            "overruns": self.overruns,
            "quarantined": self.is_out(now),
        }


def scored_ms(plugin: Scorer, query: Query, centers: Centers, now: float) -> F32N:
    """A scorer's answer, checked: float32[N], each >= 0 or +inf. Raises PluginError."""
    values = plugin.ms(query, centers.bind(query), now)
    _check_array(values, np.dtype(np.float32), len(centers))
    check_ms(values)
    return values


def kept(plugin: Filter, query: Query, centers: Centers, now: float) -> BoolN:
    """A filter's answer, checked: bool[N]. Raises PluginError."""
    mask = plugin.keep(query, centers.bind(query), now)
    _check_array(mask, np.dtype(np.bool_), len(centers))
    return mask


def check_ms(values: F32N) -> None:
    """Raises PluginError naming the first row that is NaN or negative."""
    if values.min() >= 0.0:  # one pass finds both: NaN compares false
        return
    row = int(np.argmin(values >= 0.0))
    raise PluginError(f"{values[row]} ms for center {row}; expected a number >= 0 or +inf")


def _check_array(found: object, dtype: np.dtype[Any], centers: int) -> None:
    if not isinstance(found, np.ndarray):
        raise PluginError(f"returned {type(found).__name__}; expected {dtype}[{centers}]")
    if found.dtype != dtype or found.shape != (centers,):
        shape = ", ".join(map(str, found.shape))
        raise PluginError(f"returned {found.dtype}[{shape}]; expected {dtype}[{centers}]")
