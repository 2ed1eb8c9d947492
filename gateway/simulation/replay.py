"""Replay: what another policy would have decided on a recorded decision log.

Theory of operation. Over the table as the log says it was (``recorded``) stand two routers:
the logged policy, which gives the sums, and the candidate as a ``Shadow`` beside it. Events
go by in order of time:

    ending  < choice    < keyframe        (at one instant)
    refund,   decide,     the table as
    tell      compare,    it was copied
              tell,
              charge

* *Agreement* is the share of first choices decided alike, *predicted regret* what the logged
  policy's own sums say of the two choices. Nothing was measured: the candidate's traffic
  never ran. ``resimulate`` runs the log's arrivals through the simulator instead.
* The logged policy is asked again in the same way: how often it decides as it did
  (*reproduced*) shows what the log does not hold (a random stream, rows within 100 ms), and
  its own regret on these tables is taken off the candidate's.

Intervals: bootstrap over blocks of one second. Reports in a log carry queue and service
alone, so a policy that learns from a center's load learns nothing from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.api import BuiltPolicy, ConfigError, Decision, Query, Table
from gateway.config.settings import Policy
from gateway.loading import Registry, build_policy
from gateway.routing import Router, Shadow
from gateway.routing.shadow import NoBooks
from gateway.simulation.recorded import (
    CHOSEN,
    COPIED,
    RecordedTable,
    UnknownRow,
    decision_of,
    events_of,
    outcome_of,
    read_log,
)
from gateway.wire.decision_frames import LoggedDecisions

BLOCK_S = 1.0
RESAMPLES = 2000
TELL_EVERY = 4096
PLUGIN_BUDGET_MS = 0.25
PLUGIN_LIMIT_MS = 5.0

F64 = NDArray[np.float64]
Progress = Callable[[int, int], None]
Predict = Callable[[Query, float, int], float]
Log = LoggedDecisions


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % bootstrap interval; None where nothing was compared."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found. ``compared`` of ``decisions`` were re-decided.

    ``agreement``: share decided as on record; ``reproduced``: the same of the logged policy
    asked again. ``predicted_regret_ms``: mean of what the candidate's choices cost more than
    those the logged policy makes now, by its sums; ``forbidden``: choices that these forbid,
    in no mean. ``off_ms``: median difference of the logged policy's prediction then and now;
    ``unknown``: decisions on rows that the log does not have.
    """

    log: str
    logged_policy: str
    policy: str
    decisions: int
    compared: int
    seconds: float
    agreement: Estimate
    predicted_regret_ms: Estimate
    reproduced: float | None
    off_ms: float | None
    forbidden: int
    unknown: int
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain dicts and numbers."""
        return asdict(self)

    def sentence(self) -> str:
        """The report read aloud."""
        if self.agreement.value is None:
            return f"{self.log}: none of {self.decisions} decisions could be compared"
        regret = "no regret can be predicted"
        if self.predicted_regret_ms.value is not None:
            regret = f"the predicted regret is {_interval(self.predicted_regret_ms, '+.3f')} ms"
        again = "" if self.reproduced is None else f" (itself, asked again: {self.reproduced:.1%})"
        return (
            f"{self.policy} decides {_interval(self.agreement, '.1%')} of {self.compared} "
            f"decisions as {self.logged_policy} did{again}; {regret} a request, by the sums of "
            f"{self.logged_policy}. This is a prediction, not a measured gain"
        )


def replay(
    path: Path,
    policy_name: str,
    policy: Policy,
    *,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Re-decide a log with another policy. Raises ConfigError for a wrong log or policy."""
    logged = read_log(path)
    stage = _Stage(logged, policy_name, policy, registry or Registry.discover())
    stage.run(progress)
    return stage.report(path.name)


class _Asked:
    """A policy asked again, and what it said of each decision (NaN: nothing)."""

    def __init__(self, table: Table, policy: BuiltPolicy, predict: Predict, logged: Log) -> None:
        seed, count = logged.header.seed, len(logged.records)
        self.shadow = Shadow(
            table,
            policy,
            lambda beside, of, ledger: _router(beside, of, ledger, seed),
            predict=predict,
            clock=lambda: 0.0,
            budget=1.0,
            sample=1.0,
            random=Random(seed),
        )
        self.agreed = np.full(count, np.nan)
        self.regret_ms = np.full(count, np.nan)

    def ask(self, place: int, decision: Decision) -> None:
        """Let the shadow decide, and take from its sums what this decision added."""
        shadow = self.shadow
        agreed, compared = shadow.agreed, shadow.compared
        forbidden, regret_ms = shadow.forbidden, shadow.regret_ms
        shadow.chosen(decision, decision.now)
        if shadow.compared > compared:
            self.agreed[place] = shadow.agreed - agreed
            if shadow.forbidden == forbidden:
                self.regret_ms[place] = shadow.regret_ms - regret_ms


class _Stage:
    """The table, the policies asked and what was found so far."""

    def __init__(self, logged: Log, name: str, policy: Policy, registry: Registry) -> None:
        header = logged.header
        self._logged = logged
        self._state = RecordedTable(logged)
        table = self._state.table
        columns = [*table.columns, *table.row_tables]
        theirs = _policy_of(header.policy, header.policy_name)
        built = build_policy(header.policy_name, theirs, registry, columns)
        self._predict = _router(table, built, NoBooks(), header.seed).predict
        candidate = build_policy(name, policy, registry, columns)
        self._candidate = _Asked(table, candidate, self._predict, logged)
        self._itself = _Asked(table, built, self._predict, logged)
        self._off_ms = np.full(len(logged.records), np.nan)
        self._unknown = 0
        self._chosen: dict[int, Decision] = {}

    def run(self, progress: Progress | None) -> None:
        """Let every event go by."""
        events = events_of(self._logged)
        for done, (_, kind, place) in enumerate(events):
            if kind == COPIED:
                self._state.load(self._logged.keyframes[place])
            elif kind == CHOSEN:
                self._choice(place)
            else:
                self._ending(place)
            if progress is not None and not done % TELL_EVERY:
                progress(done, len(events))

    def report(self, log: str) -> ReplayReport:
        """What was found."""
        logged, shadow = self._logged, self._candidate.shadow
        at = logged.records["at"].astype(np.float64)
        notes = [*logged.notes]
        if not len(logged.keyframes):
            notes.append("the log has no keyframe, so nothing is known of the fleet")
        return ReplayReport(
            log,
            logged.header.policy_name,
            shadow.router.policy.name,
            len(at),
            int(np.isfinite(self._candidate.agreed).sum()),
            float(at[-1] - at[0]) if len(at) else 0.0,
            bootstrap(at, self._candidate.agreed),
            bootstrap(at, self._candidate.regret_ms - self._itself.regret_ms),
            _mean(self._itself.agreed),
            _median(np.abs(self._off_ms)),
            shadow.forbidden,
            self._unknown + shadow.failed,
            tuple(notes),
        )

    def _choice(self, place: int) -> None:
        if not self._state.known:
            return
        record = self._logged.records[place]
        decision = decision_of(record, self._logged.names)
        try:
            predicted_ms = self._predict(decision.query, decision.now, decision.center)
            if isfinite(predicted_ms):
                self._off_ms[place] = predicted_ms - decision.predicted_ms
                decision.predicted_ms = predicted_ms
                self._candidate.ask(place, decision)
                self._itself.ask(place, decision)
                self._chosen[place] = decision
        except UnknownRow:
            self._unknown += 1
        self._state.charge(decision.center, decision.charged_ms)

    def _ending(self, place: int) -> None:
        decision = self._chosen.pop(place, None)
        record = self._logged.records[place]
        if not self._state.known:
            return
        self._state.refund(int(record["center"]), float(record["charged_ms"]))
        if decision is not None:
            outcome = outcome_of(record, decision, self._logged.names)
            self._candidate.shadow.ended(outcome)
            self._itself.shadow.ended(outcome)


def _router(table: Table, policy: BuiltPolicy, ledger: NoBooks, seed: int) -> Router:
    """Its plugins are not timed: a slow machine must not change what a replay says."""
    return Router(
        table,
        policy,
        ledger,
        seed=seed,
        budget_clock=lambda: 0.0,
        plugin_budget_ms=PLUGIN_BUDGET_MS,
        plugin_limit_ms=PLUGIN_LIMIT_MS,
    )


def _policy_of(document: dict[str, Any], name: str) -> Policy:
    try:
        return msgspec.convert(document, Policy)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the log's policy {name!r}: {error}; expected a policy table") from error


def bootstrap(at_s: F64, values: F64, *, seed: int = 1) -> Estimate:
    """Mean of the finite ``values`` (float64[R]) with its interval, by blocks of a second.

    A block is drawn whole because decisions near in time share the table they were made on.
    """
    known = np.isfinite(values)
    if not known.any():
        return Estimate(None, None, None)
    block = ((at_s[known] - at_s[known].min()) / BLOCK_S).astype(np.int64)
    block = np.unique(block, return_inverse=True)[1]
    sums, counts = np.bincount(block, values[known]), np.bincount(block)
    mean = float(sums.sum() / counts.sum())
    random = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        drawn = random.integers(0, len(sums), len(sums))
        means[place] = sums[drawn].sum() / counts[drawn].sum()
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(mean, float(low), float(high))


def _mean(values: F64) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None


def _median(values: F64) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def _interval(estimate: Estimate, form: str) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    return f"{value:{form}} ({low:{form}} to {high:{form}})"
