"""The recorder: joins endings with choices, writes what changed, stays within its bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.api import Center, ConfigError, Decision, Location, Outcome, Query, Report, Table
from gateway.telemetry.decision_log import DecisionRecorder
from gateway.wire.decision_frames import LoggedDecisions, LogHeader, decode_log

CENTERS = tuple(
    Center(f"c{row}", "r", f"z{row}", "x", "CN", Location(0.0, 0.0)) for row in range(3)
)
HEADER = LogHeader(CENTERS, ("here", "there"), "p", {"picker": "least"}, ("network", "queue"))


def table() -> Table:
    made = Table(CENTERS)
    made.add_column("queue_ms", "f4")
    made.add_column("slots", "i4", 4)
    rows = made.add_row_table("rtt_ms", "vantage", lambda _: np.arange(3, dtype=np.float32))
    rows.row(1)
    return made


def recorder(path: Path, on: Table, mb_max: float = 1.0) -> DecisionRecorder:
    return DecisionRecorder(path, on, HEADER, mb_max=mb_max)


def read(path: Path) -> LoggedDecisions:
    return decode_log(path.read_bytes(), path.name)


def decision(at: float, center: int = 0, **changes: Any) -> Decision:
    fields: dict[str, Any] = {
        "query": Query(1, "mlp", "shop", 250.0, 1000, "s-1"),
        "center": center,
        "predicted_ms": 4.5,
        "runner_up": 2,
        "runner_up_ms": 6.0,
        "parts_ms": (4.0, 0.5),
        "charged_ms": 0.25,
        "now": at,
        **changes,
    }
    return Decision(**fields)


def outcome(of: Decision, ended_at: float, ending: Any = "answer", reason: str = "") -> Outcome:
    attempt_ms = (ended_at - of.now) * 1e3
    return Outcome(
        of.center,
        of.query.vantage,
        of.query.model,
        ending,
        attempt_ms,
        Report(0.5, 1.5) if ending == "answer" else None,
        of.predicted_ms,
        of.charged_ms,
        ended_at,
        reason,
    )


def test_a_record_says_what_was_asked_chosen_predicted_and_what_came(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    chosen = decision(1.0, tried=(2, 1))
    log.chosen(chosen, 1.0)
    log.ended(outcome(chosen, 1.005))
    log.write(log.take(1.1))
    log.close()
    found = read(tmp_path / "log")
    (record,) = found.records
    assert found.names[record["model"]] == "mlp"
    assert found.names[record["tenant"]] == "shop"
    assert found.names[record["session"]] == "s-1"
    assert (record["at"], record["vantage"], record["center"], record["runner_up"]) == (1, 1, 0, 2)
    assert record["tried"].tolist() == [2, 1, -1, -1, -1, -1, -1, -1]
    assert record["predicted_ms"] == 4.5
    assert record["parts_ms"].tolist() == [4.0, 0.5]
    assert record["actual_ms"] == pytest.approx(5.0)
    assert (record["queue_ms"], record["service_ms"], record["ending"]) == (0.5, 1.5, 1)
    assert found.header == HEADER
    assert found.notes == ()


def test_a_charge_made_after_the_choice_is_in_the_record(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    chosen = decision(1.0, charged_ms=0.0)
    log.chosen(chosen, 1.0)
    chosen.charged_ms = 0.75
    log.ended(outcome(chosen, 1.005))
    log.close()
    assert read(tmp_path / "log").records["charged_ms"].tolist() == [0.75]
    assert log.records == 1


def test_endings_find_their_own_choice_among_equals(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    first, second = decision(1.0), decision(1.2)
    log.chosen(first, 1.0)
    log.chosen(second, 1.2)
    log.ended(outcome(second, 1.25, "error", "timed_out"))
    log.ended(outcome(first, 1.4))
    log.close()
    found = read(tmp_path / "log")
    assert found.records["at"].tolist() == [1.0, 1.2]
    assert found.records["actual_ms"].tolist() == pytest.approx([400.0, 50.0])
    assert found.records["ending"].tolist() == [1, 2]
    assert found.names[found.records["reason"][1]] == "timed_out"


def test_what_never_ended_is_written_as_open(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    log.chosen(decision(1.0), 1.0)
    log.write(log.take(2.0))
    assert log.records == 0
    log.write(log.take(500.0))
    assert log.records == 1
    log.chosen(decision(501.0), 501.0)
    log.close()
    found = read(tmp_path / "log").records
    assert found["ending"].tolist() == [0, 0]
    assert np.isnan(found["actual_ms"]).all()


def test_an_ending_without_its_choice_is_left_out(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    log.ended(outcome(decision(1.0), 1.1))
    log.close()
    assert len(read(tmp_path / "log").records) == 0


def test_a_fallbacks_parts_are_unknown(tmp_path: Path) -> None:
    log = recorder(tmp_path / "log", table())
    chosen = decision(1.0, parts_ms=(1.0,))
    log.chosen(chosen, 1.0)
    log.ended(outcome(chosen, 1.1))
    log.close()
    assert np.isnan(read(tmp_path / "log").records["parts_ms"]).all()


def test_keyframes_hold_what_changed(tmp_path: Path) -> None:
    on = table()
    log = recorder(tmp_path / "log", on)
    log.write(log.take(1.0))
    log.write(log.take(1.1))  # nothing changed: nothing is written
    on.columns["queue_ms"][1] = 7.0
    log.write(log.take(1.2))
    on.row_tables["rtt_ms"].row(0)
    on.row_tables["rtt_ms"].row(1)[:] = 9.0
    on.touch_row("rtt_ms", 1)
    log.write(log.take(1.3))
    on.epoch += 1
    log.write(log.take(1.4))
    log.close()
    frames = read(tmp_path / "log").keyframes
    assert [frame.at for frame in frames] == [1.0, 1.2, 1.3, 1.4]
    assert set(frames[0].columns) == {"queue_ms", "slots"}
    assert [row.key for row in frames[0].rows["rtt_ms"]] == [1]
    assert set(frames[1].columns) == {"queue_ms"}
    assert frames[1].columns["queue_ms"].array().tolist() == [0.0, 7.0, 0.0]
    assert {row.key: row.row.array().tolist() for row in frames[2].rows["rtt_ms"]} == {
        0: [0.0, 1.0, 2.0],
        1: [9.0, 9.0, 9.0],
    }
    assert (frames[3].columns, frames[3].rows, frames[3].epoch) == ({}, {}, 1)


def test_a_full_file_is_put_aside_and_each_can_be_read_alone(tmp_path: Path) -> None:
    on = table()
    log = recorder(tmp_path / "log", on, mb_max=0.02)
    for step in range(400):
        chosen = decision(float(step))
        log.chosen(chosen, chosen.now)
        log.ended(outcome(chosen, step + 0.1))
        on.columns["queue_ms"][0] = step
        log.write(log.take(step + 0.2))
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 0.02e6 + 4000
    last, before = read(tmp_path / "log"), read(tmp_path / "log.1")
    for found in (last, before):
        assert set(found.keyframes[0].columns) == {"queue_ms", "slots"}
        assert found.names[found.records["model"][0]] == "mlp"
    assert last.records["at"][-1] == 399.0
    assert before.records["at"][-1] + 1 == last.records["at"][0]


def test_a_log_that_is_there_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("something else")
    recorder(tmp_path / "log", table()).close()
    assert (tmp_path / "log.1").read_text() == "something else"


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.decision_log = .*nowhere"):
        recorder(tmp_path / "nowhere" / "log", table())


class FullDisk:
    """A file that takes ``room`` bytes more."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, content: bytes) -> int:
        part = content[: self.room]
        self.room -= len(part)
        return int(self.file.write(part))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_full_disk_drops_decisions_and_leaves_whole_frames(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    on = table()
    log = recorder(tmp_path / "log", on)
    disk = FullDisk(log._file._file, 700)
    log._file._file = disk  # type: ignore[assignment]  # stands in for the disk
    for step in range(20):
        chosen = decision(float(step))
        log.chosen(chosen, chosen.now)
        log.ended(outcome(chosen, step + 0.1))
        on.columns["queue_ms"][0] = step
        if step == 15:
            disk.room = 10**6
        log.write(log.take(step + 0.2))
    log.close()
    found = read(tmp_path / "log")
    assert found.notes == ()
    assert len(found.records) == log.records == 20 - log.dropped
    assert found.records["at"][-5:].tolist() == [15, 16, 17, 18, 19]
    assert len(caplog.records) == 1
    whole = [frame for frame in found.keyframes if frame.at == 15.2]
    assert set(whole[0].columns) == {"queue_ms", "slots"}  # a change was lost, so all of it


def test_events_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.telemetry.decision_log.EVENTS_MAX", 3)
    log = recorder(tmp_path / "log", table())
    for step in range(5):
        log.chosen(decision(float(step)), float(step))
    assert log.dropped == 2
    log.close()
    assert log.records == 3
