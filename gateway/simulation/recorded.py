"""A decision log as events in order of time, and the table as it was at each of them.

The table is filled from the keyframes. Between two of them it follows the log's own choices
and endings: work in flight, and the wait it makes, are those the gateway saw, to the
rounding; everything else is as old as the last keyframe, 100 ms at most. A row that the
gateway made at a request shows in the keyframe after it: that first copy stands before, too.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from gateway.api import (
    Array,
    ConfigError,
    Decision,
    NearwayError,
    Outcome,
    Query,
    Report,
    Table,
)
from gateway.fleet import WorkTuning
from gateway.fleet.work import wait_ms
from gateway.wire.decision_frames import (
    ENDINGS,
    OPEN,
    Keyframe,
    LoggedDecisions,
    Packed,
    decode_log,
)

LOG_BYTES_MAX = 1 << 30
TURNS = WorkTuning()
ENDED, CHOSEN, COPIED = 0, 1, 2
"""Kinds of events, in the order they have at one instant."""


class UnknownRow(NearwayError):
    """The log holds no row for this query: the gateway had never asked for it."""


def read_log(path: Path) -> LoggedDecisions:
    """Read a decision log. Raises ConfigError; a cut-off end is a note."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is no plain file; expected a decision log")
        size = path.stat().st_size
        if size > LOG_BYTES_MAX:
            raise ConfigError(f"{path}: {size} bytes; expected at most {LOG_BYTES_MAX}")
        return decode_log(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}; give a file that "
            "telemetry.decision_log named"
        ) from error


class RecordedTable:
    """The table as the log says it was. ``known``: a keyframe was loaded."""

    def __init__(self, logged: LoggedDecisions) -> None:
        self.table = Table(logged.header.centers)
        self.known = False
        self._epoch = 0
        firsts: dict[str, dict[Any, Packed]] = {}
        for keyframe in logged.keyframes:
            for name, packed in keyframe.columns.items():
                if name not in self.table.columns:
                    self.table.add_column(name, packed.dtype)
            for name, keyed_by in keyframe.keyed_by.items():
                if name not in self.table.row_tables:
                    firsts[name] = {}
                    self.table.add_row_table(name, keyed_by, _first_of(name, firsts[name]))  # type: ignore[arg-type]  # checked when it was read
            for name, rows in keyframe.rows.items():
                for row in rows:
                    firsts[name].setdefault(row.key, row.row)
        columns = self.table.columns
        self._last_turn = 0.0
        self._queue: Array | None = None
        if {"queue_ms", "in_flight", "work_ms", "slots"} <= set(columns):
            self._queue = columns["queue_ms"]
            self._in_flight, self._work = columns["in_flight"], columns["work_ms"]
            self._slots = columns["slots"]
            self._rest = np.zeros(len(self.table))

    def load(self, keyframe: Keyframe) -> None:
        """The columns and rows of a keyframe, in place."""
        table = self.table
        for name, packed in keyframe.columns.items():
            if table.columns[name].dtype == packed.array().dtype:
                table.columns[name][:] = packed.array()
                table.touch(name)
        for name, rows in keyframe.rows.items():
            of = table.row_tables[name]
            for packed_row in rows:
                row = packed_row.row.array()
                known = of.rows.get(packed_row.key)
                if known is None or known.dtype != row.dtype:
                    of.rows[packed_row.key] = row.copy()
                else:
                    known[:] = row  # in place: a live row is read where it stands
                of.versions[packed_row.key] = of.versions.get(packed_row.key, 0) + 1
        table.epoch += int(not self.known or keyframe.epoch != self._epoch)
        self._epoch, self.known = keyframe.epoch, True
        if self._queue is not None:
            for center in range(len(table)):
                self._rest[center] = max(0.0, float(self._queue[center]) - self._wait_ms(center))
            turns = self._rest[self._rest <= TURNS.tie_ms_max]
            self._last_turn = float(turns.max(initial=0.0))

    def charge(self, center: int, ms: float) -> None:
        """One more in flight, as the gateway counted it."""
        if self._queue is not None:
            self._in_flight[center] += 1
            self._work[center] += ms
            self._take_turn(center)
            self._queue[center] = self._rest[center] + self._wait_ms(center)

    def refund(self, center: int, ms: float) -> None:
        """One fewer."""
        if self._queue is not None:
            left = max(0, int(self._in_flight[center]) - 1)
            self._in_flight[center] = left
            self._work[center] = max(0.0, float(self._work[center]) - ms) if left else 0.0
            self._queue[center] = self._rest[center] + self._wait_ms(center)

    def _take_turn(self, center: int) -> None:
        """Equal centers take turns: who was charged last comes last (``gateway.fleet.work``)."""
        self._last_turn += TURNS.tie_ms
        if self._rest[center] <= TURNS.tie_ms_max:
            self._rest[center] = self._last_turn

    def _wait_ms(self, center: int) -> float:
        slots = max(1, int(self._slots[center]))
        return wait_ms(float(self._work[center]), int(self._in_flight[center]), slots)


def _first_of(name: str, firsts: dict[Any, Packed]) -> Callable[[Any], Array]:
    def make(key: Any) -> Array:
        if key not in firsts:
            raise UnknownRow(f"the log holds no row of {name!r} for {key!r}")
        return firsts[key].array().copy()

    return make


def events_of(logged: LoggedDecisions) -> list[tuple[float, int, int]]:
    """(instant, kind, place) in order of time."""
    records = logged.records
    ended_at = records["at"] + records["actual_ms"].astype(np.float64) / 1e3
    events = [(float(at), CHOSEN, place) for place, at in enumerate(records["at"])]
    events += [
        (float(at), ENDED, place)
        for place, at in enumerate(ended_at)
        if records["ending"][place] != OPEN and isfinite(at)
    ]
    events += [(frame.at, COPIED, place) for place, frame in enumerate(logged.keyframes)]
    return sorted(events)


def decision_of(record: Any, names: tuple[str, ...]) -> Decision:
    tried = tuple(center for center in record["tried"].tolist() if center >= 0)
    query = Query(
        int(record["vantage"]),
        names[record["model"]],
        names[record["tenant"]],
        float(record["deadline_ms"]),
        int(record["body_bytes"]),
        names[record["session"]],
    )
    return Decision(
        query,
        int(record["center"]),
        float(record["predicted_ms"]),
        int(record["runner_up"]),
        float(record["runner_up_ms"]),
        (),
        float(record["charged_ms"]),
        tried,
        now=float(record["at"]),
    )


def outcome_of(record: Any, decision: Decision, names: tuple[str, ...]) -> Outcome:
    report = None
    if isfinite(record["queue_ms"]):
        report = Report(float(record["queue_ms"]), float(record["service_ms"]))
    actual_ms = float(record["actual_ms"])
    return Outcome(
        decision.center,
        decision.query.vantage,
        decision.query.model,
        ENDINGS[record["ending"]],  # type: ignore[arg-type]  # not open: those have no ending
        actual_ms,
        report,
        decision.predicted_ms,
        decision.charged_ms,
        decision.now + actual_ms / 1e3,
        names[record["reason"]],
    )
