"""How processes end and come back: drained, told twice, hung, dying again and again.

Real processes. Nothing here asserts a time; the bounds are those of the config.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="children are found through /proc"
)

MODEL = "grid-load"
BODY = (repository() / MODEL / "example.json").read_bytes()
HEADERS = {"content-type": "application/json", "x-nearway-origin": "Hohhot"}


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Poll; a busy machine takes its time."""
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, "did not happen in time"
        time.sleep(0.02)


@contextmanager
def gateway_with(start_gateway: Callable[..., Any], folder: Path, server: str) -> Iterator[Any]:
    """Over one model of its own; ``server``: lines of that section."""
    shutil.copytree(repository() / MODEL, folder / "models" / MODEL)
    (folder / "nearway.toml").write_text(
        f'[models]\nshipped = false\ndirs = ["models"]\n[fleet]\nsites = "core"\n'
        f"[server]\n{server}\n"
    )
    with start_gateway("--config", str(folder / "nearway.toml")) as gateway:
        yield gateway


class Client:
    """One keep-alive connection."""

    def __init__(self, gateway: Any) -> None:
        host, _, port = gateway.address.partition(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=30)

    def ask(self) -> http.client.HTTPResponse:
        self.connection.request("POST", f"/v2/models/{MODEL}/infer", BODY, HEADERS)
        answer = self.connection.getresponse()
        answer.read()
        return answer

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def status(gateway: Any) -> int:
    """Of one request on a connection of its own."""
    with Client(gateway) as client:
        return client.ask().status


def delayed(gateway: Any, ms: float) -> None:
    for region in {row["region"] for row in gateway.admin("GET", "/fleet")["centers"]}:
        gateway.admin("POST", "/faults", {"center": region, "kind": "delay", "value": ms})


def under_way(gateway: Any) -> int:
    rows = gateway.admin("GET", "/fleet")["centers"]
    return sum(row["in_flight"] for row in rows)


def begun(gateway: Any, told: list[Any]) -> threading.Thread:
    """A request that is under way when this returns; its status, or what broke it, is told."""

    def go() -> None:
        try:
            told.append(status(gateway))
        except (OSError, http.client.HTTPException) as error:
            told.append(type(error).__name__)

    thread = threading.Thread(target=go)
    thread.start()
    until(lambda: under_way(gateway) > 0)
    return thread


ONE_AND_IN_THE_LONG_PORTION_TWO = pytest.mark.parametrize(
    "workers", [1, pytest.param(2, marks=pytest.mark.soak)]
)


@ONE_AND_IN_THE_LONG_PORTION_TWO
def test_a_stop_answers_what_is_under_way_refuses_the_rest_and_ends_with_0(
    start_gateway: Callable[..., Any], tmp_path: Path, workers: int
) -> None:
    server = f"workers = {workers}\ndrain_s = 20.0"
    with gateway_with(start_gateway, tmp_path, server) as gateway:
        idle = Client(gateway)
        assert idle.ask().status == 200
        delayed(gateway, 1500.0)
        told: list[Any] = []
        thread = begun(gateway, told)
        gateway.process.send_signal(signal.SIGTERM)
        seen: list[tuple[int, str | None, str | None]] = []

        def refused() -> bool:
            try:
                answer = idle.ask()
            except (OSError, http.client.HTTPException):
                return True  # closed while it was idle
            seen.append(
                (answer.status, answer.headers["Retry-After"], answer.headers["Connection"])
            )
            return answer.status == 503

        until(refused)
        idle.connection.close()
        thread.join()
        assert told == [200]
        assert all(one == (503, "1", "close") for one in seen if one[0] == 503), seen
        assert gateway.process.wait(30) == 0


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
def test_what_does_not_end_in_time_is_left_and_told(
    start_gateway: Callable[..., Any], tmp_path: Path, workers: int
) -> None:
    server = f"workers = {workers}\ndrain_s = 0.5"
    with gateway_with(start_gateway, tmp_path, server) as gateway:
        delayed(gateway, 20_000.0)
        told: list[Any] = []
        thread = begun(gateway, told)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(15) == 1  # before it would have been answered
        thread.join()
        assert told[0] != 200


@ONE_AND_IN_THE_LONG_PORTION_TWO
def test_told_twice_it_ends_at_once_and_says_so(
    start_gateway: Callable[..., Any], tmp_path: Path, workers: int
) -> None:
    server = f"workers = {workers}\ndrain_s = 600.0"
    with gateway_with(start_gateway, tmp_path, server) as gateway:
        delayed(gateway, 20_000.0)
        told: list[Any] = []
        thread = begun(gateway, told)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert gateway.process.poll() is None
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 1
        thread.join()
        assert told[0] != 200


def children(gateway: Any) -> dict[str, int]:
    found: dict[str, int] = gateway.admin("GET", "/state")["supervisor"]["processes"]
    return found


def states(gateway: Any) -> dict[str, Any]:
    try:
        told: dict[str, Any] = gateway.admin("GET", "/state")["supervisor"]
    except urllib.error.HTTPError as error:
        error.close()
        return {"running": -1}
    return told


def test_a_hung_worker_is_replaced_one_that_keeps_dying_given_up_and_the_last_ends_it_all(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    server = "workers = 2\nrestarts_max = 1\nrestarts_window_s = 600.0\nhung_s = 1.0"
    with gateway_with(start_gateway, tmp_path, server) as gateway:
        victim = children(gateway)["1"]
        os.kill(victim, signal.SIGSTOP)
        until(lambda: not Path(f"/proc/{victim}").exists())
        until(lambda: states(gateway)["running"] == 2)
        assert states(gateway)["restarts"] == 1
        os.kill(children(gateway)["1"], signal.SIGKILL)
        until(lambda: states(gateway).get("given_up") == [1])
        assert {status(gateway) for _ in range(20)} == {200}  # by the other
        os.kill(children(gateway)["0"], signal.SIGKILL)
        until(lambda: states(gateway).get("restarts") == 2)
        os.kill(children(gateway)["0"], signal.SIGKILL)
        assert gateway.process.wait(30) == 3


def reloaded(gateway: Any) -> Any:
    """As many processes start as there are workers, which takes what it takes."""
    request = urllib.request.Request(
        f"{gateway.admin_url}/reload",
        method="POST",
        data=b"{}",
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


@pytest.mark.soak
def test_several_workers_take_over_a_config_at_the_admin_door(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    with gateway_with(start_gateway, tmp_path, "workers = 2\ndrain_s = 2.0") as gateway:
        before = set(children(gateway).values())
        config = tmp_path / "nearway.toml"
        good = config.read_text()
        config.write_text(f'{good}\n[routing]\npolicy = "nobody"\n')
        with pytest.raises(urllib.error.HTTPError) as refused:
            reloaded(gateway)
        assert refused.value.code == 409
        refused.value.close()
        assert set(children(gateway).values()) == before
        config.write_text(f'{good}host = "::1"\n[routing]\npolicy = "nearest"\n')
        told = reloaded(gateway)
        assert told["changed"] == {"routing.policy": ["predicted_completion", "nearest"]}
        assert told["needs_restart"] == {"server.host": ["127.0.0.1", "::1"]}
        assert not set(children(gateway).values()) & before
        assert status(gateway) == 200
        assert gateway.admin("GET", "/state")["policy"] == "nearest"


def test_a_center_process_drains_too(tmp_path: Path) -> None:
    shutil.copytree(repository() / MODEL, tmp_path / "models" / MODEL)
    (tmp_path / "c.toml").write_text('[models]\nshipped = false\ndirs = ["models"]\n')
    announce = tmp_path / "announce.json"
    command = [sys.executable, "-m", "gateway.cli.main", "center", "--all", "--port", "0"]
    command += ["--config", str(tmp_path / "c.toml"), "--announce", str(announce)]
    center = subprocess.Popen(command, stderr=subprocess.PIPE)
    until(announce.exists)
    center.send_signal(signal.SIGTERM)
    _, said = center.communicate(timeout=30)
    assert center.returncode == 0, said
    assert b"every request was answered" in said
