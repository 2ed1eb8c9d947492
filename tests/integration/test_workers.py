"""Several workers behind one port: one table, one health, one admin door; deaths and reloads.

The shared table is read from outside, through the supervisor's descriptor, as any process of
the same user could. Nothing here asserts a time; the long form with rates stands in the soak.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gateway_models import repository
from numpy.typing import NDArray

from gateway.config import load_settings
from gateway.config.fleet_file import load_fleet
from gateway.fleet.shared_table import SharedTable
from gateway.runtime.workforce import table_size

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="another process's memory is read through /proc"
)

MODEL = "grid-load"
BODY = (repository() / MODEL / "example.json").read_bytes()
HEADERS = {"content-type": "application/json", "x-nearway-origin": "Hohhot"}
WORKERS = 2
GRPC = ("--grpc-port", "0") if find_spec("grpc") else ()
"""A gRPC door beside, where that is installed."""
without_grpc = pytest.mark.skipif(not GRPC, reason="the extra grpc is not installed")


def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Poll; a worker takes as long to start as the machine lets it."""
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, "did not happen in time"
        time.sleep(0.02)


def table_of(supervisor: int) -> SharedTable:
    """The newest table of a running supervisor."""
    folder = Path(f"/proc/{supervisor}/fd")
    found = [fd for fd in folder.iterdir() if "nearway-table" in os.readlink(fd)]
    newest = max(found, key=lambda fd: int(fd.name))
    settings = load_settings(None, {"server.workers": WORKERS}).settings
    size = table_size(settings, load_fleet(None, "all"))
    with newest.open("r+b") as file:
        return SharedTable(memoryview(mmap(file.fileno(), size.bytes)), size)


def ask(gateway: Any, connection: http.client.HTTPConnection | None = None) -> tuple[int, str]:
    """One request; returns (status, center). On a connection of its own unless one is given."""
    host, _, port = gateway.address.partition(":")
    client = connection or http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        client.request("POST", f"/v2/models/{MODEL}/infer", BODY, HEADERS)
        answer = client.getresponse()
        answer.read()
        return answer.status, answer.headers.get("x-nearway-center", "")
    finally:
        if connection is None:
            client.close()


class Load:
    """Keep-alive clients that go on until they are stopped; each request is one line."""

    def __init__(self, gateway: Any, clients: int) -> None:
        self.seen: Counter[Any] = Counter()
        self._gateway = gateway
        self._stop = threading.Event()
        self._lock = threading.Lock()
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
        host, _, port = self._gateway.address.partition(":")
        client = http.client.HTTPConnection(host, int(port), timeout=30)
        while not self._stop.wait(0.002):
            try:
                seen: Any = ask(self._gateway, client)[0]
            except (OSError, http.client.HTTPException) as error:
                seen = type(error).__name__
                client.close()
            with self._lock:
                self.seen[seen] += 1
        client.close()

    def more(self, answers: int) -> None:
        """Wait for so many more answers."""
        wanted = self.seen[200] + answers
        until(lambda: self.seen[200] >= wanted)


class GrpcClient:
    """One connection to the gRPC door."""

    def __init__(self, gateway: Any) -> None:
        import grpc

        from gateway.serving.grpc_door.messages import SERVICE, ModelInferRequest

        self._failed = grpc.RpcError
        options = [("grpc.use_local_subchannel_pool", 1)]  # or channels would share a connection
        self._channel = grpc.insecure_channel(gateway.grpc, options)
        self._infer = self._channel.unary_unary(f"/{SERVICE}/ModelInfer")
        request = ModelInferRequest(model_name=MODEL)
        for told in json.loads(BODY)["inputs"]:
            fields = {name: told[name] for name in ("name", "datatype", "shape")}
            values = np.asarray(told["data"], np.float32).ravel().tolist()
            request.inputs.add(**fields).contents.fp32_contents.extend(values)
        self._request = request.SerializeToString()

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def ask(self) -> int | str:
        """200, or the name of another status."""
        try:
            self._infer(self._request, timeout=30)
        except self._failed as error:
            return str(error.code().name)
        return 200


class GrpcLoad:
    """The same as ``Load`` over gRPC; without the extra it does nothing."""

    def __init__(self, gateway: Any, clients: int) -> None:
        self.seen: Counter[Any] = Counter()
        self._gateway = gateway
        self._stop = threading.Event()
        self._lock = threading.Lock()
        count = clients if GRPC else 0
        self._threads = [threading.Thread(target=self._go_on) for _ in range(count)]

    def __enter__(self) -> GrpcLoad:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _go_on(self) -> None:
        with GrpcClient(self._gateway) as client:
            while not self._stop.wait(0.002):
                seen = client.ask()
                with self._lock:
                    self.seen[seen] += 1

    def more(self, answers: int) -> None:
        """Wait for so many more answers."""
        wanted = self.seen[200] + answers
        until(lambda: not self._threads or self.seen[200] >= wanted)


def pids(gateway: Any) -> dict[str, int]:
    found: dict[str, int] = gateway.admin("GET", "/state")["supervisor"]["processes"]
    return found


def all_at_rest(table: SharedTable) -> bool:
    return not table["in_flight"].any() and not table["work_ns"].any()


@pytest.fixture(scope="module")
def two(start_gateway: Callable[..., Any]) -> Iterator[Any]:
    with start_gateway("--workers", str(WORKERS), *GRPC) as gateway:
        yield gateway


def test_every_worker_serves_and_figures_are_their_sum(two: Any) -> None:
    before = two.admin("GET", "/state")["prediction"]["by_model"].get(MODEL, {"answers": 0})
    assert [ask(two)[0] for _ in range(60)] == [200] * 60
    state = two.admin("GET", "/state")
    assert state["prediction"]["by_model"][MODEL]["answers"] - before["answers"] == 60
    answers = [w["prediction"]["by_model"][MODEL]["answers"] for w in state["workers"]]
    assert len(answers) == WORKERS
    assert min(answers) > 0  # 60 connections all to one worker: once in 2^59
    assert sum(answers) == state["prediction"]["by_model"][MODEL]["answers"]
    assert sum(row["answers"] for row in two.admin("GET", "/fleet")["centers"]) >= 60


@without_grpc
def test_every_worker_has_a_grpc_door_on_the_one_port(two: Any) -> None:
    def answers() -> list[int]:
        workers = two.admin("GET", "/state")["workers"]
        return [w["prediction"]["by_model"].get(MODEL, {"answers": 0})["answers"] for w in workers]

    before = answers()
    for _ in range(40):
        with GrpcClient(two) as client:
            assert client.ask() == 200
    gained = [after - was for after, was in zip(answers(), before, strict=True)]
    assert sum(gained) == 40
    assert min(gained) > 0  # 40 connections all to one worker: once in 2^39


@pytest.mark.parametrize("door", ["url", "admin_url"])
def test_metrics_at_either_door_are_of_all_workers(two: Any, door: str) -> None:
    ask(two)
    host, _, port = getattr(two, door).removeprefix("http://").partition(":")
    texts = []
    for _ in range(4):  # at whichever worker
        client = http.client.HTTPConnection(host, int(port), timeout=30)
        client.request("GET", "/metrics")
        text = client.getresponse().read().decode()
        client.close()
        texts.append([line for line in text.splitlines() if line.startswith("nearway_requests_t")])
        assert "nearway_workers 2.0" in text
    assert len({tuple(text) for text in texts}) == 1


def test_what_all_have_under_way_is_what_each_goes_by(two: Any) -> None:
    """Requests that are held for a while: both workers' sums become the same, then nothing."""
    table = table_of(two.process.pid)
    for region in {row["region"] for row in two.admin("GET", "/fleet")["centers"]}:
        two.admin("POST", "/faults", {"center": region, "kind": "delay", "value": 1500.0})
    try:
        threads = [threading.Thread(target=ask, args=(two,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: int(table["in_flight"].sum()) >= 12)
        until(lambda: all(table["all_in_flight"].sum(axis=1) >= 12))
        until(lambda: bool((table["all_in_flight"] == table["in_flight"].sum(axis=0)).all()))
    finally:
        two.admin("DELETE", "/faults")
        for thread in threads:
            thread.join()
    until(lambda: all_at_rest(table))
    until(lambda: not table["all_in_flight"].any())


def test_after_load_every_row_is_exactly_zero(two: Any) -> None:
    table = table_of(two.process.pid)
    with Load(two, clients=8) as load:
        load.more(400)
        assert table["charges"].sum() > 0
    assert set(load.seen) == {200}
    until(lambda: all_at_rest(table))
    until(lambda: not table["all_in_flight"].any())


def region_of(center: str) -> str:
    return center.rstrip("abcdefg")


def test_a_drained_region_gets_nothing_more_from_any_worker(two: Any) -> None:
    region = region_of(ask(two)[1])
    two.admin("POST", "/drain", {"center": region, "draining": True})
    try:
        assert region not in {region_of(ask(two)[1]) for _ in range(40)}
    finally:
        two.admin("POST", "/drain", {"center": region, "draining": False})
    until(lambda: region_of(ask(two)[1]) == region)


def test_a_center_that_is_down_is_out_for_all_and_comes_back(two: Any) -> None:
    center = ask(two)[1]

    def row() -> Any:
        fleet = two.admin("GET", "/fleet")["centers"]
        return next(row for row in fleet if row["center"] == center)

    def chosen() -> bool:
        return ask(two)[1] == center

    two.admin("POST", "/faults", {"center": center, "kind": "down"})
    try:
        until(lambda: not chosen() and row()["health"] == "ejected")  # asked until it is tried
        assert not row()["healthy"]
        assert [fault["kind"] for fault in row()["faults"]] == ["down"]
        assert [ask(two)[0] for _ in range(20)] == [200] * 20  # of both workers
        assert not any(chosen() for _ in range(20))
    finally:
        two.admin("DELETE", "/faults")
    until(lambda: chosen() and row()["healthy"])  # probed by one worker, returned for both


def test_a_killed_worker_takes_its_own_connections_and_nothing_else(two: Any) -> None:
    clients = 8
    table = table_of(two.process.pid)
    victim = pids(two)["1"]
    restarts = two.admin("GET", "/state")["supervisor"]["restarts"]
    with Load(two, clients) as load:
        load.more(100)
        os.kill(victim, signal.SIGKILL)
        load.more(100)  # by the sibling
        until(lambda: two.admin("GET", "/state")["supervisor"]["running"] == WORKERS)
        load.more(100)
    lost = sum(count for seen, count in load.seen.items() if seen != 200)
    assert lost <= clients, load.seen  # a connection has one request under way
    assert all(isinstance(seen, str) or seen == 200 for seen in load.seen), load.seen
    assert pids(two)["1"] != victim
    assert two.admin("GET", "/state")["supervisor"]["restarts"] == restarts + 1
    until(lambda: all_at_rest(table))


def test_nobody_who_connects_waits_for_a_dead_worker(two: Any) -> None:
    """Its socket's queue is accepted from by its sibling while it is being started again."""
    os.kill(pids(two)["0"], signal.SIGKILL)
    until(lambda: two.admin("GET", "/state")["supervisor"]["running"] == WORKERS - 1)
    assert {ask(two)[0] for _ in range(30)} == {200}
    until(lambda: two.admin("GET", "/state")["supervisor"]["running"] == WORKERS)


def test_a_new_config_is_taken_over_without_a_lost_request(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    config = tmp_path / "nearway.toml"
    config.write_text("[server]\nworkers = 2\ndrain_s = 2.0\n")
    with start_gateway("--config", str(config), *GRPC) as gateway:
        before = pids(gateway)
        region = region_of(ask(gateway)[1])
        gateway.admin("POST", "/drain", {"center": region, "draining": True})
        with Load(gateway, clients=6) as load, GrpcLoad(gateway, clients=4) as grpc_load:
            load.more(50)
            grpc_load.more(20)
            config.write_text('[server]\nworkers = "many"\n')
            gateway.process.send_signal(signal.SIGHUP)
            load.more(200)
            assert pids(gateway) == before
            config.write_text(
                '[server]\nworkers = 2\ndrain_s = 2.0\n[routing]\npolicy = "nearest"\n'
            )
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: not set(pids(gateway).values()) & set(before.values()))
            until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before.values()))
            load.more(50)
            grpc_load.more(20)
        assert set(load.seen) == {200}, load.seen
        # Who connects to a socket in the moment when it closes is reset; no call is.
        assert sum(grpc_load.seen.values()) - grpc_load.seen[200] <= 4, grpc_load.seen
        assert set(grpc_load.seen) <= {200, "UNAVAILABLE"}
        assert gateway.admin("GET", "/state")["policy"] == "nearest"
        assert region_of(ask(gateway)[1]) != region  # what was drained stays drained


def test_a_supervisor_that_is_killed_leaves_nothing(start_gateway: Callable[..., Any]) -> None:
    with start_gateway("--workers", str(WORKERS), "--sites", "core") as gateway:
        state = gateway.admin("GET", "/state")
        children = [*pids(gateway).values(), state["centers_host"]["pid"]]
        (folder,) = {
            Path(word).parent
            for word in Path(f"/proc/{gateway.process.pid}/net/unix").read_text().split()
            if word.endswith("/supervisor") and _belongs(word, gateway.process.pid)
        }
        assert folder.is_dir()
        gateway.process.kill()
        gateway.process.wait(10)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
        assert not folder.exists()


def _belongs(path: str, supervisor: int) -> bool:
    """Whether the Unix socket at ``path`` is open in the supervisor."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    inodes = {line.split()[6] for line in lines if line.endswith(path)}
    open_there = {os.readlink(fd) for fd in Path(f"/proc/{supervisor}/fd").iterdir()}
    return any(f"socket:[{inode}]" in open_there for inode in inodes)


# ---- the long form -----------------------------------------------------------------------------

SOAK_RATE, SOAK_S, RAN_S = 2000, 10, 0.002


@dataclass(frozen=True)
class Readings:
    """What a probe read each millisecond: time, requests begun and under way, how far the two
    workers' sums were apart, and for how long one of them had not been run.
    """

    at_s: NDArray[np.float64]
    begun: NDArray[np.int64]
    under_way: NDArray[np.int64]
    apart: NDArray[np.int64]
    not_run_s: NDArray[np.float64]

    def moved(self, within_s: float) -> NDArray[np.int64]:
        """Requests begun or ended within so long before each reading."""
        before = np.searchsorted(self.at_s, self.at_s - within_s) - 1
        before = np.maximum(before, 0)
        begun = self.begun - self.begun[before]
        return 2 * begun - (self.under_way - self.under_way[before])


def probe(table: SharedTable, going: Callable[[], bool]) -> Readings:
    rows: list[tuple[float, int, int, int, float]] = []
    sums, own = table["all_in_flight"], table["in_flight"]
    while going():
        now = time.monotonic()
        apart = int(np.abs(np.subtract(sums[0], sums[1])).sum())
        not_run_s = now - float(table["gathered_s"].min())
        rows.append((now, int(table["charges"].sum()), int(own.sum()), apart, not_run_s))
        time.sleep(max(0.0, 0.001 - (time.monotonic() - now)))
    columns = list(zip(*rows, strict=True))
    return Readings(
        np.array(columns[0]),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int64),
        np.array(columns[3], dtype=np.int64),
        np.array(columns[4]),
    )


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_under_load_both_sums_are_equal_but_for_what_just_moved(
    start_gateway: Callable[..., Any],
) -> None:
    """A worker the machine did not run for 2 ms cannot know: such readings are counted apart."""
    with start_gateway("--workers", str(WORKERS)) as gateway:
        table = table_of(gateway.process.pid)
        words = ("--url", gateway.url, "--model", MODEL, "--rate", SOAK_RATE)
        words += ("--duration", SOAK_S, "--warmup", 2)
        command = [sys.executable, "-m", "gateway.cli.main", "load", *map(str, words)]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        read = probe(table, lambda: load.poll() is None)
        assert load.returncode == 0
        ran = (read.under_way > 0) & (read.not_run_s <= RAN_S)
        within = read.apart <= read.moved(RAN_S)
        print(f"{ran.mean():.1%} of readings found both run, {within[ran].mean():.2%} equal")
        assert ran.sum() > 500
        assert within[ran].mean() >= 0.99
        until(lambda: all_at_rest(table))
        assert not table["in_flight"].any()
        assert not table["work_ns"].any()
