"""One trace from a stock OpenTelemetry client through the gateway and centers elsewhere.

All are real processes that export over OTLP to a receiver here, which reads what came with
OpenTelemetry's own messages.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.config.fleet_file import load_fleet
from gateway.config.fleet_writing import fleet_toml
from gateway.telemetry import CATALOGUE

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

MODEL = "blast-furnace"
BODY = (repository() / MODEL / "example.json").read_bytes()
WITHIN_S = 60.0
UNSET, ERROR = 0, 2


@dataclass(frozen=True)
class Got:
    """A span as it came. ``service``: which program it is of."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    status: int
    attributes: dict[str, Any]


class Receiver(ThreadingHTTPServer):
    """An OTLP receiver: every span that came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans: list[Got] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def of(self, trace: str, count: int) -> list[Got]:
        """All spans of a trace, once there are ``count``."""
        until_s = time.monotonic() + WITHIN_S
        while len(found := [s for s in self.spans if s.trace == trace]) < count:
            names = [(s.service, s.name) for s in found]
            assert time.monotonic() < until_s, names
            time.sleep(0.02)
        return found


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for of_one in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = plain(of_one.resource.attributes)["service.name"]
            for scope in of_one.scope_spans:
                self.server.spans += [got(span, service) for span in scope.spans]
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def got(span: Any, service: str) -> Got:
    return Got(
        span.name,
        service,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code,
        plain(span.attributes),
    )


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextmanager
def center(folder: Path, row: int, config: Path) -> Iterator[dict[str, Any]]:
    """A center process of the shipped fleet's ``row``; what it announces."""
    which = load_fleet(None, "core")[row]
    announce, log = folder / f"{row}.json", (folder / f"{row}.log").open("wb")
    command = [
        *(sys.executable, "-m", "gateway.cli.main", "center", "--config", str(config)),
        *("--region", which.region, "--zone", which.zone, "--port", "0"),
        *("--announce", str(announce)),
    ]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until_s = time.monotonic() + WITHIN_S
        while not announce.exists():
            assert process.poll() is None, (folder / f"{row}.log").read_text()
            assert time.monotonic() < until_s
            time.sleep(0.05)
        yield json.loads(announce.read_text())
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@dataclass(frozen=True)
class Traced:
    """A gateway in front of three centers: framed, by HTTP, and in its own process."""

    gateway: Any
    framed: str
    plain: str
    here: str
    access_log: Path
    config: Path

    def only(self, wanted: str) -> None:
        for each in (self.framed, self.plain, self.here):
            self.gateway.admin("POST", "/drain", {"center": each, "draining": each != wanted})


@pytest.fixture(scope="module")
def traced(
    start_gateway: Callable[..., Any], receiver: Receiver, tmp_path_factory: Any
) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    config = folder / "nearway.toml"
    config.write_text(
        '[models]\nload = "on_demand"\n[routing]\nexplain_every = 1\n'
        f'[telemetry]\ntraces = "{receiver.url}"\ntraces_share = 0.0\n'
        f'access_log = "{folder / "access.log"}"\n'
    )
    here, near, far = load_fleet(None, "core")[:3]
    with ExitStack() as stack:
        framed = stack.enter_context(center(folder, 1, config))
        http = stack.enter_context(center(folder, 2, config))
        fleet = folder / "fleet.toml"
        fleet.write_text(
            fleet_toml(
                [
                    replace(here, url=None, emulate="gateway"),
                    replace(near, url=framed["urls"][0], emulate="none"),
                    replace(far, url=http["http"], emulate="none"),
                ]
            )
        )
        flags = ("--config", str(config), "--fleet", str(fleet))
        gateway = stack.enter_context(start_gateway(*flags))
        yield Traced(gateway, near.id, far.id, here.id, folder / "access.log", config)


def ask_traced(traced: Traced, receiver: Receiver) -> str:
    """One request of a stock client, inside a span of its own; the trace's id."""
    provider = TracerProvider(resource=Resource.create({"service.name": "client"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{receiver.url}/v1/traces")))
    try:
        with provider.get_tracer("test").start_as_current_span("app") as span:
            headers: dict[str, str] = {}
            propagate.inject(headers)
            traced.gateway.infer(MODEL, BODY, "Wuhu", headers)
            return f"{span.get_span_context().trace_id:032x}"
    finally:
        provider.shutdown()


@pytest.mark.parametrize("way", ["framed", "plain"])
def test_a_stock_client_the_gateway_and_a_remote_center_are_one_trace(
    traced: Traced, receiver: Receiver, way: str
) -> None:
    wanted = getattr(traced, way)
    traced.only(wanted)
    spans = receiver.of(ask_traced(traced, receiver), 7)
    by_name = {span.name: span for span in spans}
    assert len(spans) == len(by_name) == 7
    app, request, decide, attempt, center, queue, compute = (
        by_name[name]
        for name in ("app", f"infer {MODEL}", "decide", "attempt", "center", "queue", "compute")
    )
    assert app.parent == ""
    assert request.parent == app.id
    assert decide.parent == attempt.parent == request.id
    assert center.parent == attempt.id
    assert queue.parent == compute.parent == center.id
    assert [s.service for s in (app, request, attempt, center)] == [
        *("client", "nearway-gateway", "nearway-gateway", "nearway-center")
    ]
    for span in (request, decide, attempt, center):
        assert span.attributes["nearway.center"] == wanted
    told = attempt.attributes
    assert told["nearway.ending"] == "answer"
    assert told["nearway.predicted.network_ms"] >= 0.0
    parts_ms = sum(told[f"nearway.{part}_ms"] for part in ("network", "queue", "service"))
    assert parts_ms == pytest.approx(told["nearway.attempt_ms"], abs=0.01)
    assert request.start <= decide.start <= attempt.start <= attempt.end <= request.end
    assert center.start <= queue.start <= queue.end <= compute.end <= center.end


def test_a_center_in_the_gateways_process_shows_queue_and_compute_below_its_attempt(
    traced: Traced, receiver: Receiver
) -> None:
    traced.only(traced.here)
    by_name = {s.name: s for s in receiver.of(ask_traced(traced, receiver), 6)}
    attempt = by_name["attempt"]
    assert {by_name[name].parent for name in ("queue", "compute")} == {attempt.id}
    assert attempt.attributes["nearway.center"] == traced.here
    assert attempt.start <= by_name["queue"].start <= by_name["compute"].end <= attempt.end


def test_who_does_not_want_to_be_traced_is_not(traced: Traced, receiver: Receiver) -> None:
    traced.only(traced.framed)
    silent = "0" * 31 + "7"
    traced.gateway.infer(MODEL, BODY, "Wuhu", {"traceparent": f"00-{silent}-{'1' * 16}-00"})
    traced.gateway.infer(MODEL, BODY, "Wuhu")
    last = ask_traced(traced, receiver)
    receiver.of(last, 7)
    assert [s for s in receiver.spans if s.trace == silent] == []
    assert {s.trace for s in receiver.spans if s.name == "app"} == {s.trace for s in receiver.spans}


def logged(traced: Traced, request_id: str) -> tuple[str, dict[str, Any]]:
    """The line of a request, as text and read."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        for line in traced.access_log.read_text().splitlines():
            if json.loads(line)["request_id"] == request_id:
                return line, json.loads(line)
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_the_access_log_has_a_line_of_it_and_no_secret(traced: Traced, receiver: Receiver) -> None:
    traced.only(traced.framed)
    trace = "0" * 31 + "9"
    secret = "Bearer sesame"
    headers = {
        "x-request-id": "log-1",
        "authorization": secret,
        "traceparent": f"00-{trace}-{'1' * 16}-01",
    }
    _, answered = traced.gateway.infer(MODEL, BODY, "Wuhu", headers)
    text, line = logged(traced, "log-1")
    assert (line["status"], line["center"], line["trace_id"]) == (200, traced.framed, trace)
    assert [each["ending"] for each in line["attempts"]] == ["answer"]
    told = dict(part.strip().split(";dur=") for part in answered["server-timing"].split(","))
    for part in ("network", "queue", "service"):
        assert line[f"{part}_ms"] == pytest.approx(float(told[part]), abs=0.01)
    assert secret not in text
    assert len(text) < 1000
    assert "inputs" not in text


@pytest.mark.parametrize("lane", ["hot", "aiohttp"])
def test_who_was_turned_away_is_in_the_access_log(traced: Traced, lane: str) -> None:
    asked = {"x-request-id": f"away-{lane}", "x-request-timeout-ms": "soon"}
    if lane == "aiohttp":
        asked["content-encoding"] = "gzip"
    body = BODY if lane == "hot" else gzip.compress(BODY)
    with pytest.raises(urllib.error.HTTPError):
        traced.gateway.infer(MODEL, body, "Wuhu", asked)
    _, line = logged(traced, f"away-{lane}")
    assert (line["status"], line["reason"], line["model"]) == (400, "invalid_request", MODEL)
    assert "attempts" not in line


def test_the_exposition_is_the_catalogue_and_leads_from_a_latency_to_its_trace(
    traced: Traced, receiver: Receiver
) -> None:
    traced.only(traced.framed)
    trace = ask_traced(traced, receiver)
    request = urllib.request.Request(
        f"{traced.gateway.url}/metrics", headers={"accept": "application/openmetrics-text"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        families = list(text_string_to_metric_families(answer.read().decode()))
    ours = {(one.name, one.type) for one in families if one.name.startswith("nearway_")}
    assert ours == {(family.name, family.kind) for family in CATALOGUE}
    led = {
        (sample.name, sample.labels.get("part", ""))
        for family in families
        for sample in family.samples
        if sample.exemplar is not None and sample.exemplar.labels == {"trace_id": trace}
    }
    parts = ("gateway", "network", "queue", "service")
    assert led == {
        ("nearway_request_duration_seconds_bucket", ""),
        *(("nearway_request_part_seconds_bucket", part) for part in parts),
    }


def test_predicted_stands_beside_measured(traced: Traced) -> None:
    traced.only(traced.framed)
    _, answered = traced.gateway.infer(MODEL, BODY, "Wuhu")
    (last, *_) = traced.gateway.admin("GET", "/decisions")["decisions"]
    told = dict(part.strip().split(";dur=") for part in answered["server-timing"].split(","))
    measured = last["measured"]
    assert measured["center"] == last["decision"]["center"] == traced.framed
    for part, ms in measured["parts_ms"].items():
        assert ms == pytest.approx(float(told[part]), abs=0.01)
    off_ms = measured["total_ms"] - measured["parts_ms"]["gateway"]
    assert measured["late_ms"] == pytest.approx(off_ms - last["decision"]["predicted_ms"], abs=0.01)
    recent = traced.gateway.admin("GET", f"/explain?origin=Wuhu&model={MODEL}")["recent"]
    assert recent[0]["measured"] == measured
    said = subprocess.run(
        [
            *(sys.executable, "-m", "gateway.cli.main", "explain", "--origin", "Wuhu"),
            *("--model", MODEL, "--admin-url", traced.gateway.admin_url),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    predicted_ms, took_ms = last["decision"]["predicted_ms"], off_ms
    assert f"{traced.framed}: {predicted_ms:.2f} predicted (" in said
    assert f"{took_ms:.2f} measured (" in said


def test_an_error_says_so(traced: Traced, receiver: Receiver) -> None:
    trace = "0" * 31 + "8"
    with pytest.raises(urllib.error.HTTPError):
        traced.gateway.infer("no-such-model", BODY, "Wuhu", {
            "traceparent": f"00-{trace}-{'1' * 16}-01"})  # fmt: skip
    (span,) = receiver.of(trace, 1)
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["error.type"] == "not_found"
    assert span.status == UNSET


def test_a_center_that_fails_is_an_error_of_attempt_and_request(
    traced: Traced, receiver: Receiver
) -> None:
    traced.only(traced.here)
    trace = "0" * 31 + "a"
    fault = {"center": traced.here, "kind": "error", "value": 1.0}
    traced.gateway.admin("POST", "/faults", fault)
    try:
        with pytest.raises(urllib.error.HTTPError):
            traced.gateway.infer(MODEL, BODY, "Wuhu", {"traceparent": f"00-{trace}-{'1' * 16}-01"})
    finally:
        traced.gateway.admin("DELETE", f"/faults?center={traced.here}")
    by_name = {span.name: span for span in receiver.of(trace, 3)}
    request, attempt = by_name[f"infer {MODEL}"], by_name["attempt"]
    assert (request.status, attempt.status) == (ERROR, ERROR)
    assert request.attributes["http.response.status_code"] >= 500
    assert attempt.attributes["nearway.ending"] == "error"
    assert attempt.attributes["error.type"]


def test_where_the_access_log_is_written_is_read_again(traced: Traced) -> None:
    other = traced.access_log.with_name("other.log")
    traced.config.write_text(
        traced.config.read_text().replace(str(traced.access_log), str(other), 1)
    )
    changed = traced.gateway.admin("POST", "/reload", {})["changed"]
    assert changed["telemetry.access_log"] == [str(traced.access_log), str(other)]
    traced.only(traced.plain)
    traced.gateway.infer(MODEL, BODY, "Wuhu", {"x-request-id": "after"})
    _, line = logged(replace(traced, access_log=other), "after")
    assert line["center"] == traced.plain
    assert '"after"' not in traced.access_log.read_text()
