"""Center processes: reached by frames and by HTTP beside centers of the gateway's own process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

from gateway.config.fleet_file import load_fleet
from gateway.config.fleet_writing import fleet_toml
from gateway.wire import frames

MODEL = "blast-furnace"
BODY = (repository() / MODEL / "example.json").read_bytes()
START_WITHIN_S = 60.0


class Process:
    """A ``nearway center`` that is ready."""

    def __init__(self, process: subprocess.Popen[bytes], said: dict[str, Any], log: Path) -> None:
        self.process = process
        self.url: str = said["urls"][0]
        self.http: str = said["http"]
        self.log = log

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def center_process(folder: Path, name: str, *flags: str) -> Iterator[Process]:
    announce, log = folder / f"{name}.json", folder / f"{name}.log"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.cli.main", "center"),
                *("--announce", str(announce), *flags),
            ],
            stderr=printed,
            stdout=printed,
        )
    try:
        until_s = time.monotonic() + START_WITHIN_S
        while not announce.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise AssertionError(log.read_text())
            time.sleep(0.05)
        yield Process(process, json.loads(announce.read_text()), log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def mixed_fleet(folder: Path, framed: Process, plain: Process) -> Path:
    """Four centers at one place: two in the gateway's process, one framed, one by HTTP."""
    here, near, far, off = load_fleet(None, "core")[:4]
    centers = [
        replace(here, url=None, emulate="gateway"),
        replace(near, url=framed.url, emulate="none"),
        replace(far, url=plain.http, emulate="none"),
        replace(off, url=None, emulate="none"),
    ]
    file = folder / "fleet.toml"
    file.write_text(fleet_toml(centers))
    return file


def flags_for(row: int) -> tuple[str, ...]:
    center = load_fleet(None, "core")[row]
    return ("--region", center.region, "--zone", center.zone, "--port", "0")


def test_mixed_centers_give_the_same_bits_and_outlive_one_another(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    with (
        center_process(tmp_path, "framed", *flags_for(1)) as framed,
        center_process(tmp_path, "plain", *flags_for(2)) as plain,
        start_gateway("--fleet", str(mixed_fleet(tmp_path, framed, plain))) as gateway,
    ):
        ids = [row["center"] for row in gateway.admin("GET", "/fleet")["centers"]]
        the_same_bits_everywhere(gateway, ids)
        nothing_is_lost_when_one_is_killed(gateway, framed, ids)


def the_same_bits_everywhere(gateway: Any, ids: list[str]) -> None:
    answers = {}
    for wanted in ids:
        for other in ids:
            drain(gateway, other, draining=other != wanted)
        document, headers = gateway.infer(MODEL, BODY, "Wuhu")
        assert headers["x-nearway-center"] == wanted
        assert "service;dur=" in headers["server-timing"]
        answers[wanted] = json.dumps(document, sort_keys=True)
    assert len(set(answers.values())) == 1
    for each in ids:
        drain(gateway, each, draining=False)


def drain(gateway: Any, center: str, *, draining: bool) -> None:
    gateway.admin("POST", "/drain", {"center": center, "draining": draining})


def nothing_is_lost_when_one_is_killed(gateway: Any, framed: Process, ids: list[str]) -> None:
    """Everybody goes to the framed center; then its process is gone, and they go elsewhere."""
    for other in (ids[0], ids[2], ids[3]):
        drain(gateway, other, draining=True)
    answered: list[str] = []
    wrong: list[Any] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answered.append(gateway.infer(MODEL, BODY, "Wuhu")[1]["x-nearway-center"])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answered) > 20)
    assert set(answered) == {ids[1]}
    for other in (ids[0], ids[2], ids[3]):
        drain(gateway, other, draining=False)
    framed.process.kill()
    framed.process.wait(10)
    before = len(answered)
    wait_until(lambda: len(answered) > before + 100)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert set(answered[before + 50 :]) <= {ids[0], ids[2], ids[3]}


def wait_until(true: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.01)


@pytest.fixture(scope="module")
def emulating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("emulating")
    with center_process(folder, "one", *flags_for(2), "--emulate-wan") as process:
        yield process


def post(url: str, headers: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    request = urllib.request.Request(
        f"{url}/v2/models/{MODEL}/infer",
        data=BODY,
        headers={"content-type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer), {k.lower(): v for k, v in answer.headers.items()}


def test_http_on_the_same_port_tells_load_and_the_delay_drawn(emulating: Process) -> None:
    assert emulating.http == emulating.url.replace("nearway:", "http:")
    wanted = {"endpoint-load-metrics-format": "text", "x-nearway-vantage": "Harbin"}
    _, far = post(emulating.http, wanted)
    assert "named_metrics.slots=" in far["endpoint-load-metrics"]
    _, near = post(emulating.http, {})
    assert float(far["x-nearway-drawn-ms"]) > 10.0 > float(near["x-nearway-drawn-ms"])
    assert f"network;dur={far['x-nearway-drawn-ms']}" in far["server-timing"]


def test_a_vantage_that_is_not_known_is_refused(emulating: Process) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(emulating.http, {"x-nearway-vantage": "Atlantis"})
    with caught.value as answer:
        assert answer.code == 400
        assert "x-nearway-vantage" in json.load(answer)["error"]


def test_a_probe_over_http_takes_the_path(emulating: Process) -> None:
    request = urllib.request.Request(
        f"{emulating.http}/v2/health/live",
        headers={"endpoint-load-metrics-format": "text", "x-nearway-vantage": "Harbin"},
    )
    began_s = time.monotonic()
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "named_metrics.slots=" in answer.headers["endpoint-load-metrics"]
    assert time.monotonic() - began_s > 0.010


def test_garbage_is_answered_with_a_reason_and_the_end(emulating: Process) -> None:
    with socket.create_connection(("127.0.0.1", emulating.port), timeout=10) as connection:
        connection.sendall(b"\0" * 64)
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"the peer sent a head of 0 bytes" in said


def test_another_version_is_told_which_one_is_spoken(emulating: Process) -> None:
    hello = frames.Hello(frames.PROTOCOL, 7, "future", 1, 1, 1)
    with socket.create_connection(("127.0.0.1", emulating.port), timeout=10) as connection:
        connection.sendall(frames.encode(hello))
        said = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"version 7 of nearway-frames; expected 1" in said


def test_a_gateway_over_a_fleet_that_emulates_itself(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    """Two commands: the centers, which write a fleet file, and the gateway that reads it."""
    fleet, path = tmp_path / "fleet.toml", tmp_path / "centers.sock"
    told = ("--all", "--sites", "core", "--socket", str(path), "--emulate-wan")
    with center_process(tmp_path, "all", *told, "--write-fleet", str(fleet)) as process:
        assert process.url == f"nearway+unix:{path}"
        with start_gateway("--fleet", str(fleet)) as gateway:
            _, headers = gateway.infer(MODEL, BODY, "Nanjing")
            drawn_ms = float(headers["server-timing"].partition("network;dur=")[2].split(",")[0])
            assert drawn_ms > 1.0
            state = gateway.admin("GET", "/state")
            assert state["models"][MODEL]["run_ms"] > 0.0
            with urllib.request.urlopen(f"{gateway.url}/v2/models/{MODEL}", timeout=10) as answer:
                assert json.load(answer)["name"] == MODEL
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0
            assert not path.exists()
            with pytest.raises(urllib.error.HTTPError) as caught:
                gateway.infer(MODEL, BODY, "Nanjing")
            with caught.value as answer:
                assert answer.code == 503


def refused(*flags: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "center", *flags],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    return " ".join(done.stderr.decode().split())


def test_emulating_where_others_reach_it_must_be_asked_for() -> None:
    told = refused("--all", "--port", "0", "--host", "0.0.0.0", "--emulate-wan")
    assert "--beyond-loopback" in told


def test_which_centers_must_be_said() -> None:
    assert "either --region" in refused("--port", "0")
    assert "either --region" in refused("--port", "0", "--all", "--region", "cn-east-4")


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        told = refused("--all", "--sites", "core", "--socket", str(path))
    assert "another process listens there" in told
    (tmp_path / "file").write_text("mine")
    told = refused("--all", "--sites", "core", "--socket", str(tmp_path / "file"))
    assert "a file that is no socket" in told
    assert (tmp_path / "file").read_text() == "mine"
