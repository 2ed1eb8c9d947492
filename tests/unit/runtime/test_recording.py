from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.config.settings import Telemetry
from gateway.runtime import recording
from gateway.runtime.recording import Recording, epoch_of, recording_of
from gateway.telemetry import Recorded
from gateway.telemetry.request_record import RequestRecord

NAMES: dict[str, Any] = {"centers": ["a"], "origins": ["Wuhu"]}


def a_record(request_id: str = "id-1", status: int = 503) -> RequestRecord:
    now = time.monotonic()
    return RequestRecord(
        *(request_id, "mlp", "", "", 0, "anonymous", now), ended_s=now, status=status, reason="x"
    )


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_while_nothing_is_configured_there_is_none(tmp_path: Path) -> None:
    assert recording_of(Telemetry(), time.monotonic, **NAMES) is None
    logged = Telemetry(access_log=str(tmp_path / "log"))
    assert recording_of(logged, time.monotonic, center=True, **NAMES) is None
    assert not (tmp_path / "log").exists()


def test_a_file_that_cannot_be_written_is_an_error_before_anything_is_served() -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.access_log"):
        Recording(Telemetry(access_log="/nowhere/log"), time.monotonic, **NAMES)


def test_of_a_few_looks_at_both_clocks_the_quickest_counts() -> None:
    ticks = iter([0.0, 5.0, 10.0, 10.002, 20.0, 21.0])
    walls = iter([1004.0, 1010.001, 1020.9])
    assert epoch_of(lambda: next(ticks), lambda: next(walls)) == pytest.approx(1000.0)


def test_a_center_process_begins_no_trace(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    telemetry = Telemetry(traces=str(tmp_path / "spans"), traces_share=1.0)
    for center in (False, True):
        made = Recording(telemetry, time.monotonic, center=center, **NAMES)
        assert made.tracer is not None
        assert (made.tracer.begin("") is None) is center


async def test_it_writes_now_and_then_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "EVERY_S", 0.01)
    path = tmp_path / "log"
    made = Recording(Telemetry(access_log=str(path)), time.monotonic, **NAMES)
    made.start()
    made.recorder.ended(a_record("first"))
    while not path.read_text():
        await asyncio.sleep(0.005)
    path.rename(tmp_path / "log.1")  # as logrotate does
    made.recorder.ended(a_record("second"))
    await made.stop()
    await made.stop()
    assert [each["request_id"] for each in lines(tmp_path / "log.1")] == ["first"]
    (second,) = lines(path)
    assert second["request_id"] == "second"
    assert abs(time.time() - _epoch_s(second["time"])) < 60.0


async def test_a_disk_that_is_full_costs_lines_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "EVERY_S", 0.01)
    folder = tmp_path / "there"
    folder.mkdir()
    made = Recording(Telemetry(access_log=str(folder / "log")), time.monotonic, **NAMES)
    (folder / "log").unlink()
    folder.rmdir()
    made.start()
    assert made.access_log is not None
    for expected in (1, 2):
        made.recorder.ended(a_record())
        while made.access_log.dropped < expected:
            await asyncio.sleep(0.005)
    await made.stop()
    told = [each for each in caplog.records if each.name == "nearway.access_log"]
    assert len(told) == 1
    assert made.figures() == Recorded(access_log_dropped=2)


async def test_a_batch_that_cannot_be_made_is_lost_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "EVERY_S", 0.01)
    path = tmp_path / "log"
    made = Recording(Telemetry(access_log=str(path)), time.monotonic, **NAMES)
    made.start()
    broken = a_record("broken")
    broken.vantage = 99
    made.recorder.ended(broken)
    while not caplog.records:
        await asyncio.sleep(0.005)
    made.recorder.ended(a_record("whole"))
    await made.stop()
    assert [each["request_id"] for each in lines(path)] == ["whole"]


async def test_spans_and_lines_of_one_request_bear_the_same_trace(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    spans, log = tmp_path / "spans", tmp_path / "log"
    telemetry = Telemetry(traces=str(spans), traces_share=1.0, access_log=str(log))
    made = Recording(telemetry, time.monotonic, **NAMES)
    made.start()
    record = a_record()
    assert made.tracer is not None
    record.trace = made.tracer.begin("")
    made.recorder.ended(record)
    await made.stop()
    assert made.figures() == Recorded(spans_exported=1)
    (span,), (line,) = lines(spans), lines(log)
    assert span["context"]["trace_id"] == f"0x{line['trace_id']}"
    assert span["resource"]["attributes"]["service.name"] == "nearway-gateway"


def _epoch_s(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()
