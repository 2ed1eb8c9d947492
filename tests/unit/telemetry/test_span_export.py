from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.telemetry import span_export
from gateway.telemetry.span_export import SpanExport
from gateway.telemetry.spans import Span

BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == 'opentelemetry':
            raise ImportError('no module named opentelemetry', name='opentelemetry')
sys.meta_path.insert(0, Blocked())
"""


def a_span(error: str = "") -> Span:
    return Span("attempt", "client", 1, 2, 3, 10.0, 10.5, {"nearway.center": "a"}, error)


def test_a_file_gets_a_line_a_span_with_its_parent_and_times_of_the_wall(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    path = tmp_path / "spans.jsonl"
    export = SpanExport(str(path), "nearway-gateway", "7")
    export.export([a_span(), a_span("center_down")], 1_000_000.0)
    export.export([], 0.0)
    export.close()
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["name"] == "attempt"
    assert first["kind"] == "SpanKind.CLIENT"
    assert int(first["context"]["trace_id"], 16) == 1
    assert int(first["parent_id"], 16) == 3
    assert first["start_time"].startswith("1970-01-12T13:46:50")
    assert first["attributes"] == {"nearway.center": "a"}
    assert first["resource"]["attributes"]["service.name"] == "nearway-gateway"
    assert first["status"]["status_code"] == "UNSET"
    assert second["status"] == {"status_code": "ERROR", "description": "center_down"}
    assert (export.exported, export.dropped) == (2, 0)


def test_a_destination_that_fails_costs_the_batch_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("opentelemetry.sdk")
    folder = tmp_path / "there"
    folder.mkdir()
    export = SpanExport(str(folder / "spans"), "s", "7")
    (folder / "spans").unlink()
    folder.rmdir()
    for _ in range(3):
        export.export([a_span()], 0.0)
    folder.mkdir()
    export.export([a_span()], 0.0)
    export.close()
    assert (export.exported, export.dropped) == (1, 3)
    told = [each.message for each in caplog.records if each.name == "nearway.traces"]
    assert len(told) == 2
    assert "dropped" in told[0]
    assert "3 spans were dropped" in told[1]


def test_a_url_without_a_host_is_refused() -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with pytest.raises(ConfigError, match=r'telemetry.traces = "http://" has no host'):
        SpanExport("http://", "s", "7")


def test_a_url_of_another_kind_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.sdk")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="expected http:// or https://"):
        SpanExport("grpc://127.0.0.1:4317", "s", "7")
    assert list(tmp_path.iterdir()) == []


def test_nobody_listens_and_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setattr(span_export, "EXPORT_TIMEOUT_S", 0.05)
    export = SpanExport("http://127.0.0.1:9", "s", "7")
    export.export([a_span()], 0.0)
    assert (export.exported, export.dropped) == (0, 1)
    export.hurry()
    export.export([a_span()], 0.0)
    export.close()
    assert (export.exported, export.dropped) == (0, 2)


def test_a_process_that_stops_waits_for_no_collector_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An export that would try for an hour ends when it is told to hurry."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setattr(span_export, "EXPORT_TIMEOUT_S", 3600.0)
    patient = SpanExport("http://127.0.0.1:9", "s", "7")
    patient._failing = True
    thread = threading.Thread(target=patient.export, args=([a_span()], 0.0))
    thread.start()
    patient.hurry()
    thread.join(60)
    assert not thread.is_alive()
    assert patient.dropped == 1


def test_without_opentelemetry_it_says_how_to_get_it_and_the_rest_works() -> None:
    script = f"""{BLOCKED}
import gateway.runtime.gateway
from gateway.api import ConfigError
from gateway.telemetry.span_export import SpanExport
for destination in ("http://127.0.0.1:4318", "spans.jsonl"):
    try:
        SpanExport(destination, "s", "7")
    except ConfigError as error:
        print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.count("pip install 'nearway[otel]'") == 2
