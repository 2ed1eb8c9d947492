"""The decision log: every choice, what was predicted and what came, in a bounded file.

Theory of operation. The recorder listens to the policy in force. A choice or an ending is
appended to a list, nothing more. Ten times a second the owner calls ``take`` on the loop,
which swaps the list and copies what changed in the table, and hands the batch to ``write``,
which may run in a thread: it joins endings with their choices, packs and appends.

* An ending does not name its choice. It is joined by center, predicted and charged ms (the
  same numbers, bit for bit) and, among several, by the nearest start.
* A choice is written when it ended, or as open after ``OPEN_S_MAX``, or at the end.
* A file that reaches its bound is put aside as ``FILE.1``, in place of the one before, and
  begun anew with a header and a whole keyframe; so is one that is there at the start.
* What cannot be held or written is counted as dropped; the gateway goes on.

The format is ``gateway.wire.decision_frames``.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from errno import ENOSPC
from os import strerror
from pathlib import Path
from typing import Any

import numpy as np

from gateway.api import Array, ConfigError, Decision, Outcome, Report, Table
from gateway.wire.decision_frames import (
    ENDINGS,
    TRIED_MAX,
    Keyframe,
    LogHeader,
    Packed,
    PackedRow,
    header_frame,
    keyframe_frame,
    names_frame,
    prefix,
    record_dtype,
    records_frame,
)

log = logging.getLogger("nearway.decision_log")

EVENTS_MAX = 200_000
NAMES_MAX = 100_000
OPEN_S_MAX = 120.0
MB = 1_000_000

Event = Decision | Outcome
Key = tuple[int, float, float]


@dataclass(slots=True)
class Batch:
    """What happened since the last one, and what the table changed to."""

    events: list[Event]
    keyframe: Keyframe | None
    now: float


class DecisionRecorder:
    """Listens (``chosen``, ``ended``, ``reported``) and writes. Raises ConfigError at once
    when ``path`` cannot be written.
    """

    def __init__(self, path: Path, table: Table, header: LogHeader, *, mb_max: float) -> None:
        self.records = 0
        self.dropped = 0
        self.error = ""
        self._events: list[Event] = []
        self._heard_at = 0.0
        self._camera = _Camera(table)
        self._file = _LogFile(path, header, bytes_max=round(mb_max * MB))
        self._open: dict[Key, list[Decision]] = {}
        self._dtype = record_dtype(len(header.scorers))
        self._scorers = len(header.scorers)

    # ---- on the loop ----------------------------------------------------------------------

    def chosen(self, decision: Decision, now: float) -> None:
        """A choice; it is charged after this call, and read when it is written."""
        self._heard_at = now
        self._heard(decision)

    def ended(self, outcome: Outcome) -> None:
        """An ending."""
        self._heard(outcome)

    def reported(self, center: int, report: Report, now: float) -> None:
        """Shows in the columns."""

    def take(self, now: float) -> Batch:
        """Everything since the last call."""
        events, self._events = self._events, []
        return Batch(events, self._camera.changes(now), now)

    def _heard(self, event: Event) -> None:
        if len(self._events) < EVENTS_MAX:
            self._events.append(event)
        else:
            self.dropped += 1

    # ---- off the loop, one call at a time ---------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Append a batch. Never raises for what the disk does; it counts and logs once."""
        rows = self._joined(batch)
        try:
            self._file.roll_when_full()
            if batch.keyframe is not None:
                self._file.append_keyframe(batch.keyframe)
            if rows:
                self._file.append_records(self._packed(rows))
                self.records += len(rows)
            self.error = ""
        except OSError as error:
            self.dropped += len(rows)
            if self.error != str(error):
                log.warning("decision log %s: %s; decisions are dropped", self._file.path, error)
            self.error = str(error)

    def close(self) -> None:
        """Write what is left, choices without an ending too."""
        batch = self.take(self._heard_at)
        batch.now = float("inf")
        self.write(batch)
        self._file.close()

    def _joined(self, batch: Batch) -> list[tuple[Decision, Outcome | None]]:
        rows: list[tuple[Decision, Outcome | None]] = []
        for event in batch.events:
            if isinstance(event, Decision):
                key = (event.center, event.predicted_ms, event.charged_ms)
                self._open.setdefault(key, []).append(event)
                continue
            decision = self._chosen_for(event)
            if decision is not None:
                rows.append((decision, event))
        for key, decisions in list(self._open.items()):
            late = [d for d in decisions if batch.now - d.now > OPEN_S_MAX]
            for decision in late:
                rows.append((decision, None))
                decisions.remove(decision)
            if not decisions:
                del self._open[key]
        return rows

    def _chosen_for(self, outcome: Outcome) -> Decision | None:
        """The open choice that an ending belongs to; None when that one was dropped."""
        key = (outcome.center, outcome.predicted_ms, outcome.charged_ms)
        decisions = self._open.get(key)
        if not decisions:
            return None
        started = outcome.now - outcome.attempt_ms / 1e3
        decision = min(decisions, key=lambda chosen: abs(chosen.now - started))
        decisions.remove(decision)
        if not decisions:
            del self._open[key]
        return decision

    def _packed(self, rows: list[tuple[Decision, Outcome | None]]) -> Array:
        records = np.zeros(len(rows), dtype=self._dtype)
        for place, (decision, outcome) in enumerate(rows):
            records[place] = self._record(decision, outcome)
        return records

    def _record(self, decision: Decision, outcome: Outcome | None) -> tuple[Any, ...]:
        query, name = decision.query, self._file.name
        tried = [*decision.tried[-TRIED_MAX:], *(-1,) * TRIED_MAX][:TRIED_MAX]
        parts = decision.parts_ms
        known = len(parts) == self._scorers
        report = None if outcome is None else outcome.report
        return (
            decision.now,
            query.vantage,
            name(query.model),
            name(query.tenant),
            name(query.session),
            query.deadline_ms,
            query.body_bytes,
            decision.center,
            decision.runner_up,
            decision.predicted_ms,
            decision.runner_up_ms,
            decision.charged_ms,
            tried,
            0 if outcome is None else ENDINGS.index(outcome.ending),
            0 if outcome is None else name(outcome.reason),
            np.nan if outcome is None else outcome.attempt_ms,
            np.nan if report is None else report.queue_ms,
            np.nan if report is None else report.service_ms,
            parts if known else (np.nan,) * self._scorers,
        )


class _Camera:
    """Takes keyframes: whatever of a table is not as it was at the last one."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns: dict[str, bytes] = {}
        self._versions: dict[tuple[str, Any], int] = {}
        self._epoch = -1

    def changes(self, now: float) -> Keyframe | None:
        """None when nothing changed. A row counts as changed when its version moved."""
        table = self._table
        columns: dict[str, Packed] = {}
        for name, column in table.columns.items():
            packed = Packed.of(column)
            if self._columns.get(name) != packed.values:
                self._columns[name] = packed.values
                columns[name] = packed
        rows: dict[str, list[PackedRow]] = {}
        for name, row_table in table.row_tables.items():
            moved = [
                PackedRow(key, Packed.of(row))
                for key, row in row_table.rows.items()
                if self._moved(name, key, row_table.versions[key])
            ]
            if moved:
                rows[name] = moved
        epoch, self._epoch = self._epoch, table.epoch
        if not columns and not rows and epoch == table.epoch:
            return None
        keyed_by = {name: table.row_tables[name].keyed_by for name in rows}
        return Keyframe(now, table.epoch, columns, rows, dict(keyed_by))

    def _moved(self, name: str, key: Any, version: int) -> bool:
        if self._versions.get((name, key)) == version:
            return False
        self._versions[name, key] = version
        return True


class _LogFile:
    """The bytes on disk: whole frames only, bounded, with the names and the last state.

    ``name`` numbers a string; the numbers begin anew with each file.
    """

    def __init__(self, path: Path, header: LogHeader, *, bytes_max: int) -> None:
        self.path = path
        self._header = header
        self._bytes_max = bytes_max
        self._names: dict[str, int] = {"": 0}
        self._new_names: list[str] = []
        self._columns: dict[str, Packed] = {}
        self._rows: dict[str, dict[Any, Packed]] = {}
        self._keyed_by: dict[str, str] = {}
        self._epoch = 0
        self._at = 0.0
        self._lost = False
        try:
            self._begin()
        except OSError as error:
            raise ConfigError(
                f"telemetry.decision_log = {str(path)!r}: cannot be written: {error.strerror}; "
                "name a file in a folder of yours"
            ) from error

    def name(self, text: str) -> int:
        """The number of a string; 0 when there are too many."""
        number = self._names.get(text)
        if number is None:
            if len(self._names) >= NAMES_MAX:
                return 0
            number = self._names[text] = len(self._names)
            self._new_names.append(text)
        return number

    def roll_when_full(self) -> None:
        """Put a full file aside and begin a new one."""
        if self._size >= self._bytes_max:
            self._file.close()
            self._begin()

    def append_keyframe(self, keyframe: Keyframe) -> None:
        """Remember the state and append the change, or all of it when one was lost."""
        self._columns.update(keyframe.columns)
        for name, rows in keyframe.rows.items():
            self._rows.setdefault(name, {}).update({row.key: row.row for row in rows})
        self._keyed_by.update(keyframe.keyed_by)
        self._epoch, self._at = keyframe.epoch, keyframe.at
        self._append(keyframe_frame(self._whole() if self._lost else keyframe))
        self._lost = False

    def append_records(self, records: Array) -> None:
        """Append records, after the names they use for the first time."""
        if self._new_names:
            self._append(names_frame(self._new_names))
            self._new_names = []
        self._append(records_frame(records))

    def close(self) -> None:
        """No more."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _begin(self) -> None:
        """A new file: a header and a whole keyframe; names are numbered anew."""
        if self.path.exists():
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        self._file = self.path.open("wb", buffering=0)
        self._size = 0
        self._names, self._new_names = {"": 0}, []
        try:
            self._append(prefix() + header_frame(self._header))
            if self._columns or self._rows:
                self._append(keyframe_frame(self._whole()))
        except OSError:
            self._size = self._bytes_max  # worth nothing without its header: begin again
            raise

    def _whole(self) -> Keyframe:
        rows = {
            name: [PackedRow(key, row) for key, row in of_key.items()]
            for name, of_key in self._rows.items()
        }
        return Keyframe(self._at, self._epoch, dict(self._columns), rows, dict(self._keyed_by))

    def _append(self, frames: bytes) -> None:
        """Whole or not at all: what a full disk left of it is cut off again."""
        try:
            if self._file.write(frames) != len(frames):
                raise OSError(ENOSPC, strerror(ENOSPC))
            self._size += len(frames)
        except OSError:
            self._lost = True
            with contextlib.suppress(OSError):
                self._file.seek(self._size)
                self._file.truncate()
            raise
