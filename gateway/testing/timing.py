"""What a plugin costs: microseconds a call, beside a bare numpy addition and argmin.

The smallest of several rounds is taken: whatever the machine does besides only adds to a
time. The bare round is run in between, so that its figure comes from the same minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from time import perf_counter

import numpy as np

from gateway.api import Centers, Decision, Outcome, Query, Report, Table
from gateway.config.settings import Routing
from gateway.routing.guard import Budget
from gateway.testing.finding import Broken
from gateway.testing.fleets import NOW_S, queries
from gateway.testing.subject import MANY, Check, Subject
from gateway.testing.sums import sums_of

ROUNDS = 15
ROUND_S = 0.002
FLEETS = (88, MANY)


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a call at ``centers`` rows, and of a bare add and argmin over as many."""

    centers: int
    call_us: float
    bare_us: float


def budget_ms(centers: int) -> float:
    """The time one call may take, as the shipped settings and routing have it."""
    settings = Routing()
    budget = Budget(perf_counter, settings.plugin_budget_ms, settings.plugin_limit_ms)
    return budget.for_centers(centers).call_ms


def cost_of(subject: Subject, centers: int) -> Cost:
    """Measure; a source is not measured (it reads off the loop)."""
    table = subject.busy if centers == len(subject.busy) else subject.many
    call, bare = _call(subject, table), _bare(len(table))
    calls, bares = _calls_per_round(call), _calls_per_round(bare)
    call_s = bare_s = float("inf")
    for _ in range(ROUNDS):
        call_s = min(call_s, _round_s(call, calls))
        bare_s = min(bare_s, _round_s(bare, bares))
    return Cost(len(table), call_s * 1e6, bare_s * 1e6)


def costs_of(subject: Subject) -> tuple[Cost, ...]:
    """Measured at 88 and at 1 024 centers; empty for a source."""
    if subject.kind == "sources":
        return ()
    return tuple(cost_of(subject, centers) for centers in FLEETS)


def _call(subject: Subject, table: Table) -> Callable[[], object]:
    """One call as routing makes it: an answer, a pick; for an observer a choice and its end."""
    query = queries()[0]
    if subject.kind == "observers":
        return _told(subject, subject.copy_of(table), query)
    centers = Centers(table, subject.reads).bind(query)
    plugin = subject.plugin
    if subject.kind == "pickers":
        sums = next(iter(sums_of(subject, table)))
        memory, random = subject.memory(len(table)), Random(1)
        return lambda: plugin.pick(
            sums.total_ms, sums.candidates, centers, query, NOW_S, random, memory
        )
    method = plugin.keep if subject.kind == "filters" else plugin.ms
    return lambda: method(query, centers, NOW_S)


def _told(subject: Subject, table: Table, query: Query) -> Callable[[], object]:
    plugin, mine, memory = subject.plugin, subject.mine(table), subject.memory(len(table))
    decision = Decision(query, 3, 5.0, 4, 6.0, (5.0,), 1.0, now=NOW_S)
    report = Report(queue_ms=0.5, service_ms=2.0, work_ms=3.0, in_flight=2, slots=4)
    outcome = Outcome(
        3, query.vantage, query.model, "answer", 5.0, report, 5.0, 1.0, now=NOW_S + 0.005
    )
    chosen, ended = getattr(plugin, "chosen", None), getattr(plugin, "ended", None)
    reported = getattr(plugin, "reported", None)

    def told() -> None:
        if chosen is not None:
            chosen(decision, mine, memory)
        if ended is not None:
            ended(outcome, mine, memory)
        if reported is not None:
            reported(3, report, outcome.now, mine, memory)

    return told


def _bare(centers: int) -> Callable[[], object]:
    one = np.random.default_rng(0).random(centers, dtype=np.float32)
    other, total = one.copy(), one.copy()

    def add_and_argmin() -> object:
        np.add(one, other, total)
        return total.argmin()

    return add_and_argmin


def _calls_per_round(call: Callable[[], object]) -> int:
    return max(1, int(ROUND_S / max(_round_s(call, 1), _round_s(call, 1), 1e-7)))


def _round_s(call: Callable[[], object], calls: int) -> float:
    started_s = perf_counter()
    for _ in range(calls):
        call()
    return (perf_counter() - started_s) / calls


def _in_time(subject: Subject) -> None:
    call = _call(subject, subject.many)
    spent_ms = min(_round_s(call, 1) for _ in range(ROUNDS)) * 1e3
    allowed_ms = budget_ms(MANY)
    if spent_ms > allowed_ms:
        raise Broken(
            f"{spent_ms:.3f} ms a call at {MANY} centers, the best of {ROUNDS}",
            f"at most {allowed_ms:.3f} ms: the gateway's loop waits for it",
            "work on whole columns with numpy, without a Python loop over centers; read what is "
            "outside in a source, which runs off the loop",
        )


BUDGET = Check("budget", f"a call at {MANY:,} centers keeps to its time budget", _in_time)
