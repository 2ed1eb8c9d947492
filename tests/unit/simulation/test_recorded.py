"""The table a log speaks of: keyframes in place, and work in flight between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.api import Center, ConfigError, Location
from gateway.fleet.work import wait_ms
from gateway.simulation.recorded import (
    CHOSEN,
    COPIED,
    ENDED,
    RecordedTable,
    UnknownRow,
    decision_of,
    events_of,
    outcome_of,
    read_log,
)
from gateway.wire.decision_frames import (
    Keyframe,
    LoggedDecisions,
    LogHeader,
    Packed,
    PackedRow,
    record_dtype,
)

CENTERS = tuple(Center(f"c{i}", "r", "z", "x", "CN", Location(0.0, 0.0)) for i in range(2))
HEADER = LogHeader(CENTERS, ("here",), "p", {}, ("network",))


def f4(*values: float) -> Packed:
    return Packed.of(np.array(values, dtype=np.float32))


def i4(*values: int) -> Packed:
    return Packed.of(np.array(values, dtype=np.int32))


FIRST = Keyframe(
    1.0,
    0,
    {
        "queue_ms": f4(0.0, 7.0),
        "work_ms": f4(0.0, 6.0),
        "in_flight": i4(0, 2),
        "slots": i4(1, 1),
    },
    {"rtt_ms": [PackedRow(0, f4(3.0, 4.0))]},
    {"rtt_ms": "vantage"},
)
SECOND = Keyframe(1.1, 1, {"queue_ms": f4(1.0, 1.0)}, {"rtt_ms": [PackedRow(0, f4(9.0, 9.0))]},
                  {"rtt_ms": "vantage"})  # fmt: skip


def logged(**changes: object) -> LoggedDecisions:
    records = np.zeros(2, dtype=record_dtype(1))
    records["at"] = [1.0, 1.05]
    records["actual_ms"] = [50.0, np.nan]
    records["ending"] = [1, 0]
    records["tried"] = -1
    records["model"] = 1
    records["charged_ms"] = 3.0
    for name, value in changes.items():
        records[name][0] = value
    return LoggedDecisions(HEADER, records, (FIRST, SECOND), ("", "m", "late"))


def test_events_are_in_order_of_time_endings_first() -> None:
    events = events_of(logged())
    assert [(kind, place) for _, kind, place in events] == [
        (CHOSEN, 0),
        (COPIED, 0),
        (ENDED, 0),
        (CHOSEN, 1),
        (COPIED, 1),
    ]


def test_keyframes_are_laid_in_place_and_told() -> None:
    state = RecordedTable(logged())
    table = state.table
    assert not state.known
    state.load(FIRST)
    column, row = table.columns["queue_ms"], table.row_tables["rtt_ms"]
    versions = table.versions["queue_ms"], row.versions[0], table.epoch
    state.load(SECOND)
    assert state.known
    assert column.tolist() == [1.0, 1.0]
    assert row.rows[0].tolist() == [9.0, 9.0]
    assert (table.versions["queue_ms"], row.versions[0], table.epoch) == tuple(
        version + 1 for version in versions
    )


def test_between_keyframes_work_in_flight_is_followed() -> None:
    state = RecordedTable(logged())
    state.load(FIRST)
    queue, rest_ms = state.table.columns["queue_ms"], 7.0 - wait_ms(6.0, 2, 1)
    state.charge(1, 3.0)
    assert state.table.columns["in_flight"].tolist() == [0, 3]
    assert queue[1] == pytest.approx(rest_ms + wait_ms(9.0, 3, 1))
    for _ in range(5):
        state.refund(1, 3.0)
    assert state.table.columns["work_ms"][1] == 0.0
    assert queue[1] == pytest.approx(rest_ms)


def test_equal_centers_take_turns() -> None:
    state = RecordedTable(logged())
    state.load(FIRST)
    state.charge(0, 0.0)
    once = float(state.table.columns["queue_ms"][0])
    state.refund(0, 0.0)
    state.charge(0, 0.0)
    assert 0.0 < once < float(state.table.columns["queue_ms"][0]) < 1e-3


def test_a_row_the_log_does_not_hold_is_said_not_guessed() -> None:
    state = RecordedTable(logged())
    state.load(FIRST)
    with pytest.raises(UnknownRow, match="no row of 'rtt_ms' for 3"):
        state.table.row_tables["rtt_ms"].row(3)


def test_before_its_first_keyframe_a_row_is_as_it_was_first_seen() -> None:
    log = logged()
    late = Keyframe(1.2, 1, {}, {"rtt_ms": [PackedRow(7, f4(5.0, 6.0))]}, {"rtt_ms": "vantage"})
    later = Keyframe(1.3, 1, {}, {"rtt_ms": [PackedRow(7, f4(8.0, 8.0))]}, {"rtt_ms": "vantage"})
    frames = (FIRST, late, later)
    state = RecordedTable(LoggedDecisions(HEADER, log.records, frames, log.names))
    assert state.table.row_tables["rtt_ms"].row(7).tolist() == [5.0, 6.0]


def test_a_log_of_other_columns_has_no_work_to_follow() -> None:
    bare = Keyframe(1.0, 0, {"price": f4(1.0, 2.0)}, {})
    state = RecordedTable(LoggedDecisions(HEADER, logged().records, (bare,), ("", "m")))
    state.load(bare)
    state.charge(0, 1.0)
    state.refund(0, 1.0)
    assert state.table.columns["price"].tolist() == [1.0, 2.0]


def test_records_become_decisions_and_outcomes() -> None:
    log = logged(tried=[1, -1, -1, -1, -1, -1, -1, -1], predicted_ms=4.5, reason=2, queue_ms=1.0)
    decision = decision_of(log.records[0], log.names)
    assert (decision.query.model, decision.tried, decision.predicted_ms) == ("m", (1,), 4.5)
    outcome = outcome_of(log.records[0], decision, log.names)
    assert (outcome.ending, outcome.attempt_ms, outcome.reason) == ("answer", 50.0, "late")
    assert outcome.now == pytest.approx(1.05)
    assert outcome.report is not None
    assert outcome.report.queue_ms == 1.0
    silent = logged(queue_ms=np.nan)
    assert outcome_of(silent.records[0], decision, silent.names).report is None


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.simulation.recorded.LOG_BYTES_MAX", 10)
    (tmp_path / "big").write_bytes(b"NRWYDLOG" * 2)
    with pytest.raises(ConfigError, match="16 bytes; expected at most 10"):
        read_log(tmp_path / "big")
