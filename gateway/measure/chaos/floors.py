"""What must hold under each kind of fault, and whether it did.

A promise about time is only judged where the machine held still: where the windows before the
fault break the bound by themselves, a recovery that was missed is "cannot tell".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway.measure.chaos.episode import Row
from gateway.measure.chaos.plan import Kind
from gateway.measure.chaos.windows import FACTOR

Ruling = Literal["holds", "does not", "cannot tell"]

UNSTEADY_MAX = 0.02
KILL_RECOVERY_S = 1.0
SILENT_RECOVERY_S = 2.0
HONEST_SHARE = 0.005
GRAY_SHARE = 0.02
ATTEMPT_FACTOR = 3.0
"""An attempt is given this many times the 99th percentile of its prediction."""


@dataclass(frozen=True, slots=True)
class Floor:
    """One promise: what was measured beside its bound, which it may reach."""

    name: str
    value: float
    bound: float
    ruling: Ruling


def floors_of(row: Row) -> tuple[Floor, ...]:
    """The promises about the kind of the row's fault."""
    return tuple(make(row) for make in _PROMISES[row.fault.kind])


def _at_most(name: str, value: float, bound: float) -> Floor:
    known = not math.isnan(value)
    holds: Ruling = "holds" if value <= bound else "does not"
    return Floor(name, value, bound, holds if known else "cannot tell")


def _lost(row: Row) -> Floor:
    return _at_most("lost requests", row.figures.counts.lost, 0)


def _lost_later(row: Row) -> Floor:
    """A process takes the requests on its own connections with it, and no others."""
    return _at_most("lost, not yet under way when it began", row.figures.lost_later, 0)


def _wrong(row: Row) -> Floor:
    return _at_most("wrong answers", row.figures.counts.wrong, 0)


def _no_errors(row: Row) -> Floor:
    return _at_most("honest errors", row.figures.counts.honest, 0)


def _few_errors(row: Row) -> Floor:
    first = row.figures.first_counts
    share = first.honest / first.sent if first.sent else math.nan
    return _at_most("honest errors, share of the first 2 s", share, HONEST_SHARE)


def _recovers(within_s: float) -> Callable[[Row], Floor]:
    def floor(row: Row) -> Floor:
        it = row.figures
        made = _at_most("recovery, s", it.recovered_s, within_s)
        if made.ruling == "does not" and it.unsteady > UNSTEADY_MAX:
            return Floor(made.name, made.value, made.bound, "cannot tell")
        return made

    return floor


def _soon_enough(row: Row) -> Floor:
    """An attempt's timeout, 3 x the p99 that is predicted, and one service more.

    The prediction is not seen from outside; it may be above what was measured before by as much
    as a recovery may.
    """
    it = row.figures
    bound_ms = FACTOR * (ATTEMPT_FACTOR + 1.0) * it.p99_before_ms
    made = _at_most("slowest answer, ms", it.slowest_ms, bound_ms)
    if made.ruling == "does not" and it.unsteady > UNSTEADY_MAX:
        return Floor(made.name, made.value, made.bound, "cannot tell")
    return made


def _gray(row: Row) -> Floor:
    shares = (row.figures.target_share, row.attempt_share)
    known = [share for share in shares if not math.isnan(share)]
    worst = max(known) if known else math.nan
    return _at_most("traffic at the slow center after 0.5 s", worst, GRAY_SHARE)


_NOTHING_LOST = (_lost, _wrong)
_SILENT = (*_NOTHING_LOST, _few_errors, _soon_enough, _recovers(SILENT_RECOVERY_S))
_BROKEN = (*_NOTHING_LOST, _few_errors, _recovers(SILENT_RECOVERY_S))
_CLEAN = (*_NOTHING_LOST, _no_errors)

_PROMISES: dict[Kind, tuple[Callable[[Row], Floor], ...]] = {
    "kill": (*_CLEAN, _recovers(KILL_RECOVERY_S)),
    "reset": (*_CLEAN, _recovers(KILL_RECOVERY_S)),
    "stop": _SILENT,
    "black_hole": _SILENT,
    "half_open": _SILENT,
    "garbage": _BROKEN,
    "error": _BROKEN,
    "loss": _BROKEN,
    "delay": _BROKEN,
    "slow": (*_NOTHING_LOST, _few_errors, _gray),
    "reload": _CLEAN,
    "models": _CLEAN,
    "restart": _CLEAN,
    "kill_worker": (_lost_later, _wrong, _no_errors),
}
