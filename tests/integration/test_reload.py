"""A running gateway takes over new configs: no request lost, nothing half taken, work refunded.

A real process under a steady load of keep-alive clients. The long form stands in the soak.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import sys
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

MODEL = "grid-load"
BODY = (repository() / MODEL / "example.json").read_bytes()
HEADERS = {"content-type": "application/json", "x-nearway-origin": "Hohhot"}
POLICIES = ("nearest", "two_choices", "predicted_completion", "least_request")


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Poll; a busy machine takes its time."""
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, "did not happen in time"
        time.sleep(0.02)


class Load:
    """Keep-alive clients; counts answers by status, and how often a connection was lost."""

    def __init__(self, address: str, clients: int = 6) -> None:
        self.seen: Counter[Any] = Counter()
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        host, _, port = self._address.partition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=30)
        while not self._stop.wait(0.002):
            try:
                client.request("POST", f"/v2/models/{MODEL}/infer", BODY, HEADERS)
                answer = client.getresponse()
                answer.read()
                self.seen[answer.status] += 1
                if answer.will_close:
                    self.seen["closed"] += 1
            except (OSError, http.client.HTTPException) as error:
                self.seen[type(error).__name__] += 1
                client.close()
        client.close()

    def more(self, answers: int) -> None:
        """Wait for so many more answers."""
        wanted = self.seen[200] + answers
        until(lambda: self.seen[200] >= wanted)


class Running:
    """A gateway whose config this test writes, over a model folder of its own."""

    def __init__(self, gateway: Any, folder: Path) -> None:
        self.gateway = gateway
        self.folder = folder

    def write(self, more: str = "", server: str = "") -> None:
        write(self.folder, more, server)

    def reload(self) -> tuple[int, dict[str, Any]]:
        """(status, what it said)."""
        try:
            return 200, self.gateway.admin("POST", "/reload", {})
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.gateway.admin("GET", "/fleet")["centers"]
        return found

    def at_rest(self) -> bool:
        return not any(row["in_flight"] or row["work_ms"] for row in self.rows())

    def ask(self, model: str = MODEL) -> int:
        host, _, port = self.gateway.address.partition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=30)
        client.request("POST", f"/v2/models/{model}/infer", BODY, HEADERS)
        status = client.getresponse().status
        client.close()
        return status


def write(folder: Path, more: str = "", server: str = "") -> None:
    """Beside and renamed, so that nobody reads half of it."""
    config = folder / "nearway.toml"
    part = config.with_suffix(".part")
    part.write_text(
        f'[models]\nshipped = false\ndirs = ["models"]\n[server]\ndrain_s = 5.0\n{server}\n{more}\n'
    )
    part.replace(config)


@contextmanager
def started(start_gateway: Callable[..., Any], folder: Path, server: str = "") -> Iterator[Running]:
    shutil.copytree(repository() / MODEL, folder / "models" / MODEL)
    write(folder, server=server)
    with start_gateway("--config", str(folder / "nearway.toml")) as gateway:
        yield Running(gateway, folder)


@pytest.fixture(scope="module")
def shared(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    with started(start_gateway, tmp_path_factory.mktemp("reload")) as one:
        yield one


@pytest.fixture
def running(shared: Running) -> Running:
    """With its first config in force; what it counts goes on."""
    shared.write()
    assert shared.reload()[0] == 200
    return shared


def config_of(number: int) -> str:
    """Another policy each time, another fleet now and then."""
    sites = '[fleet]\nsites = "core"\n' if number % 3 == 0 else ""
    return f'{sites}[routing]\npolicy = "{POLICIES[number % len(POLICIES)]}"\n'


def reload_often(running: Running, times: int) -> Load:
    with Load(running.gateway.address) as load:
        load.more(50)
        for number in range(times):
            running.write(config_of(number))
            status, told = running.reload()
            assert status == 200, told
            assert told["changed"]["routing.policy"][1] == POLICIES[number % len(POLICIES)]
            load.more(10)
    return load


def test_reloads_under_load_lose_nothing_and_close_no_connection(running: Running) -> None:
    load = reload_often(running, 8)
    assert set(load.seen) == {200}, load.seen
    until(running.at_rest)


def test_what_is_wrong_changes_nothing_and_says_why(running: Running) -> None:
    before = running.gateway.admin("GET", "/state")
    for more, word in [
        ("[fleet]\nsites = 3\n", "sites"),
        ("[fleet]\nfile = 'nowhere.toml'\n", "nowhere.toml"),
        ('[routing]\npolicy = "nobody"\n', "nobody"),
        ('[policies.mine]\npicker = "no_such"\n[routing]\npolicy = "mine"\n', "no_such"),
        ('[origins]\ndefault = "Atlantis"\n', "Atlantis"),
        ('[telemetry]\ndecision_log = "no/such/folder/log"\n', "decision_log"),
        ("not toml at all", "TOML"),
    ]:
        running.write(more)
        status, told = running.reload()
        assert status == 409, told
        assert word in told["error"]
        assert running.ask() == 200
    state = running.gateway.admin("GET", "/state")
    assert state["policy"] == before["policy"]
    assert state["reload"]["refused"] - before["reload"]["refused"] == 7
    assert "TOML" in state["reload"]["last_error"]
    assert state["reload"]["reloads"] == before["reload"]["reloads"]


def test_a_model_whose_file_is_wrong_refuses_it_and_the_old_one_serves(running: Running) -> None:
    file = running.folder / "models" / MODEL / "1" / "model.onnx"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    status, told = running.reload()
    assert status == 409
    assert "model.onnx" in told["error"]
    assert running.ask() == 200
    file.write_bytes(good)
    status, told = running.reload()
    assert status == 200
    assert told["models"]["reloaded"] == [MODEL]


def test_models_come_and_go_under_load(running: Running) -> None:
    models = running.folder / "models"
    with Load(running.gateway.address) as load:
        for _ in range(3):
            shutil.copytree(models / MODEL, running.folder / "other")
            (running.folder / "other").rename(models / "second")
            assert running.reload()[1]["models"]["added"] == ["second"]
            assert running.ask("second") == 200
            shutil.rmtree(models / "second")
            assert running.reload()[1]["models"]["removed"] == ["second"]
            assert running.ask("second") == 404
            load.more(10)
    assert set(load.seen) == {200}


def test_models_are_loaded_and_unloaded_by_hand_under_load(running: Running) -> None:
    models = running.folder / "models"
    shutil.copytree(models / MODEL, models / "second")
    running.reload()

    def told(verb: str, model: str) -> int:
        host, _, port = running.gateway.address.partition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=30)
        client.request("POST", f"/v2/repository/models/{model}/{verb}")
        status = client.getresponse().status
        client.close()
        return status

    try:
        with Load(running.gateway.address) as load:
            for _ in range(3):
                assert told("unload", "second") == 200
                assert running.ask("second") == 503  # known, and loaded nowhere
                assert told("load", MODEL) == 200  # anew, while it is asked
                assert told("load", "second") == 200
                assert running.ask("second") == 200
                load.more(10)
        assert set(load.seen) == {200}
    finally:
        shutil.rmtree(models / "second")


def test_what_was_learned_and_ordered_stays(running: Running) -> None:
    with Load(running.gateway.address) as load:
        load.more(300)
    until(running.at_rest)
    running.gateway.admin("POST", "/drain", {"center": "cn-north-1a", "draining": True})
    fault = {"center": "cn-north-4b", "kind": "delay", "value": 7.0}
    running.gateway.admin("POST", "/faults", fault)
    running.gateway.admin("POST", "/drain", {"center": "cn-north-1b", "draining": True})
    before = {row["center"]: row for row in running.rows()}
    asked = max(before, key=lambda name: before[name]["answers"])
    running.write('[routing]\npolicy = "least_request"\n')
    assert running.reload()[0] == 200
    after = {row["center"]: row for row in running.rows()}
    for name in ("cn-north-1a", "cn-north-1b"):
        assert after[name]["health"] == "draining"
        running.gateway.admin("POST", "/drain", {"center": name, "draining": False})
    assert [one["kind"] for one in after["cn-north-4b"]["faults"]] == ["delay"]
    assert after[asked]["answers"] == before[asked]["answers"] > 0
    assert after[asked]["prediction"]["answers"] == before[asked]["prediction"]["answers"]
    # a center known to be slow is shown at its usual speed while it is looked at again
    same_speed = after[asked]["speed"] == before[asked]["speed"]
    assert same_speed or after[asked]["health"] == before[asked]["health"] == "slow"
    running.gateway.admin("DELETE", "/faults")


def test_keys_of_the_process_are_named_and_stay(running: Running) -> None:
    running.write("[routing]\nseed = 5\n", server='lane = "aiohttp"\nhead_bytes_max = 4096')
    status, told = running.reload()
    assert status == 200
    assert set(told["needs_restart"]) == {"server.lane", "server.head_bytes_max"}
    assert told["changed"] == {"routing.seed": [1, 5]}
    assert running.ask() == 200
    assert running.reload()[1]["changed"] == {}


def test_a_signal_reloads_too(running: Running) -> None:
    running.write('[routing]\npolicy = "nearest"\n')
    running.gateway.process.send_signal(signal.SIGHUP)
    until(lambda: running.gateway.admin("GET", "/state")["policy"] == "nearest")


def test_a_change_on_disk_is_taken_over_by_itself(running: Running) -> None:
    running.write(server="watch_s = 0.05")
    assert running.reload()[0] == 200
    time.sleep(1.5)  # it has begun to look
    running.write('[routing]\npolicy = "nearest"\n', server="watch_s = 0.05")
    until(lambda: running.gateway.admin("GET", "/state")["policy"] == "nearest")


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read in /proc")
def test_a_hundred_reloads_lose_nothing_and_keep_nothing(running: Running) -> None:
    pid = running.gateway.process.pid
    load = reload_often(running, 20)
    assert set(load.seen) == {200}, load.seen
    before_mb = resident_mb(pid)
    load = reload_often(running, 100)
    assert set(load.seen) == {200}, load.seen
    until(running.at_rest)
    grown_mb = resident_mb(pid) - before_mb
    print(f"100 reloads under load: {load.seen[200]} answers; memory grew by {grown_mb:.1f} MB")
    assert grown_mb < 40.0
