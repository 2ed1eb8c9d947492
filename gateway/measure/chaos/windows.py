"""What a fault did to the requests: pure arithmetic over the samples of one run.

Requests are put in time by the instant they were meant to be sent at, counted from the first
measured one. Three stretches: *before* the fault, *during* it, *after* it was lifted. What was
under way when the fault began is counted with it, not before it. A request that got no right
answer is infinitely late in every percentile.

p99 of a stretch is the least latency that 99 % of its requests kept. *Recovery* is the first
instant from which on the p99 is within 1.2 times that of the whole stretch before: both over the
next second (looked at in steps of 10 ms) and over all that is left of the stretch. So a relapse
that a client's p99 would show puts it off, and a pause of 10 ms seconds later, five late requests
of two thousand, does not: such pauses come before the fault as well. It is counted from the
beginning of the fault while it lasts, and from its lifting afterwards. Lifting disturbs, too (a
process that starts takes the CPU): who would not be back by then within the bound is left out of
what the fault did. ``unsteady`` tells how many of the windows *before* the fault break that bound
by themselves: where that is not 0 the machine was too restless to judge a recovery.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gateway.measure.samples import F64, WRONG, Mask, Samples

WINDOW_S = 1.0
STEP_S = 0.01
FACTOR = 1.2
QUANTILE = 0.99
FIRST_S = 2.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time ``[from_s, until_s)``."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Counts:
    """How the requests of a stretch ended; ``honest``: an error status, ``lost``: no answer."""

    sent: int
    right: int
    honest: int
    lost: int
    wrong: int


@dataclass(frozen=True, slots=True)
class FaultFigures:
    """One fault's row; NaN where there is nothing to tell, +inf where it never came about."""

    counts: Counts
    """Under way at the beginning of the fault, or sent until the end of the run."""
    before: Counts
    first_counts: Counts
    """Under way at the beginning of the fault, or sent in its first two seconds."""
    p50_before_ms: float
    p99_before_ms: float
    p99_during_ms: float
    p99_after_ms: float
    slowest_ms: float
    """The latest right answer to a request of ``counts``."""
    recovered_s: float
    recovered_after_s: float
    unsteady: float
    """Share of the windows before that break the bound by themselves."""
    lost_later: int
    """Of the lost: those sent more than ``LATER_S`` after the beginning."""
    target_share: float
    """Of the right answers from ``SETTLED_S`` after the beginning on: how many the target gave."""


SETTLED_S = 0.5
LATER_S = 0.1


def figures(
    samples: Samples, fault: Stretch, end_s: float, targets: tuple[str, ...]
) -> FaultFigures:
    """What ``samples`` (intended from 0 on, the warm-up dropped) tell of one fault."""
    at = samples.intended_s
    late = latencies_ms(samples)
    caught = (at < fault.from_s) & (at + samples.client_total_ms / 1e3 > fault.from_s)
    before = (at < fault.from_s) & ~caught
    during = within(at, fault) | caught
    since = (at >= fault.from_s) & (at < end_s) | caught
    after = Stretch(fault.until_s, end_s)
    p99_before_ms = p99_of(late[before])
    bound_ms = FACTOR * p99_before_ms
    answered = late[since & np.isfinite(late)]
    return FaultFigures(
        counts_of(samples, since),
        counts_of(samples, before),
        counts_of(samples, since & (at < fault.from_s + FIRST_S)),
        quantile_of(late[before], 0.5),
        p99_before_ms,
        p99_of(late[during]),
        p99_of(late[within(at, after)]),
        float(answered.max()) if answered.size else math.nan,
        recovery_s(at, late, undisturbed(fault, bound_ms), bound_ms),
        recovery_s(at, late, after, bound_ms),
        broken_share(at[before], late[before], Stretch(0.0, fault.from_s), bound_ms),
        counts_of(samples, since & (at > fault.from_s + LATER_S)).lost,
        share_of(samples, Stretch(fault.from_s + SETTLED_S, fault.until_s), targets),
    )


def undisturbed(fault: Stretch, bound_ms: float) -> Stretch:
    """The fault, without those sent so late that its lifting meets them under way."""
    under_way_s = bound_ms / 1e3 if math.isfinite(bound_ms) else 0.0
    return Stretch(fault.from_s, fault.until_s - under_way_s)


def latencies_ms(samples: Samples) -> F64:
    """float64[n]: ms from the intended instant to the right answer, +inf without one."""
    return np.where(samples.answered, samples.client_total_ms, np.inf)


def within(at: F64, stretch: Stretch) -> Mask:
    """bool[n]: meant to be sent in the stretch."""
    return (at >= stretch.from_s) & (at < stretch.until_s)


def counts_of(samples: Samples, rows: Mask) -> Counts:
    """How the requests of ``rows`` (bool[n]) ended."""
    status = samples.status[rows]
    right = int(((status >= 200) & (status < 300)).sum())
    wrong = int((status == WRONG).sum())
    honest = int((status >= 300).sum())
    return Counts(int(status.size), right, honest, int(status.size) - right - wrong - honest, wrong)


def quantile_of(late_ms: F64, q: float) -> float:
    """The least latency that a share ``q`` keeps; NaN of nothing."""
    if not late_ms.size:
        return math.nan
    rank = math.ceil(q * late_ms.size) - 1
    return float(np.partition(late_ms, rank)[rank])


def p99_of(late_ms: F64) -> float:
    """See ``quantile_of``."""
    return quantile_of(late_ms, QUANTILE)


def window_starts(stretch: Stretch) -> F64:
    """Where the windows that lie within the stretch begin."""
    steps = math.floor((stretch.until_s - stretch.from_s - WINDOW_S) / STEP_S + 1e-9)
    return np.asarray(stretch.from_s + STEP_S * np.arange(max(0, steps + 1)), dtype=np.float64)


def window_p99_ms(at: F64, late_ms: F64, stretch: Stretch) -> F64:
    """float64[windows]: the p99 of each; NaN where nothing was sent."""
    order = np.argsort(at, kind="stable")
    times, late = at[order], late_ms[order]
    starts = window_starts(stretch)
    first = np.searchsorted(times, starts, side="left")
    last = np.searchsorted(times, starts + WINDOW_S, side="left")
    return np.array([p99_of(late[a:b]) for a, b in zip(first, last, strict=True)])


def rest_p99_ms(at: F64, late_ms: F64, stretch: Stretch) -> F64:
    """float64[windows]: the p99 from each window's beginning to the end of the stretch."""
    order = np.argsort(at, kind="stable")
    times, late = at[order], late_ms[order]
    first = np.searchsorted(times, window_starts(stretch), side="left")
    last = int(np.searchsorted(times, stretch.until_s, side="left"))
    return np.array([p99_of(late[a:last]) for a in first])


def recovery_s(at: F64, late_ms: F64, stretch: Stretch, bound_ms: float) -> float:
    """From the stretch's beginning to the instant from which on its p99 keeps the bound.

    +inf when it never does, NaN when the stretch is shorter than a window.
    """
    p99_ms = window_p99_ms(at, late_ms, stretch)
    if not p99_ms.size:
        return math.nan
    rest_ms = rest_p99_ms(at, late_ms, stretch)
    kept = np.flatnonzero(~(p99_ms > bound_ms) & ~(rest_ms > bound_ms))
    return STEP_S * int(kept[0]) if kept.size else math.inf


def broken_share(at: F64, late_ms: F64, stretch: Stretch, bound_ms: float) -> float:
    """How many of the stretch's windows break the bound."""
    p99_ms = window_p99_ms(at, late_ms, stretch)
    return float((p99_ms > bound_ms).mean()) if p99_ms.size else math.nan


def share_of(samples: Samples, stretch: Stretch, targets: tuple[str, ...]) -> float:
    """Share of the right answers of the stretch that ``targets`` gave; NaN without any."""
    rows = within(samples.intended_s, stretch) & samples.answered
    if not targets or not rows.any():
        return math.nan
    theirs = [number for number, name in enumerate(samples.centers) if name in targets]
    return float(np.isin(samples.center[rows], theirs).mean())
