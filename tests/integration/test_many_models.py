"""Many models in one gateway, loaded on demand within a memory budget; nothing is lost.

Copies with different weights, so that an answer tells whose it is. The long form, 400 of them,
stands in the soak.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

WIDTH = 48
FLEET = "".join(
    f"""
[[center]]
id = "here-{zone}"
zone = "{zone}"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
slots = 4
emulate = "none"
"""
    for zone in "ab"
)


def weights(number: int) -> Any:
    draw = np.random.default_rng(number)
    return (draw.normal(size=(WIDTH, WIDTH)) / 7.0).astype(np.float32)


def write_model(folder: Path, number: int) -> None:
    kind, shape = TensorProto.FLOAT, ["n", WIDTH]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["h"]),
            helper.make_node("Tanh", ["h"], ["y"]),
        ],
        "copy",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [numpy_helper.from_array(weights(number), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    version = folder / f"m{number:03d}" / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / "model.onnx")
    (version.parent / "config.toml").write_text("max_batch_size = 16\n")


class Client:
    """One connection; counts answers by status, checks each against numpy."""

    def __init__(self, address: str) -> None:
        host, _, port = address.partition(":")
        self._client = http.client.HTTPConnection(host, int(port), timeout=60)
        self.statuses: Counter[int] = Counter()
        self.taken_ms: list[float] = []
        self.wrong: list[str] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, number: int) -> None:
        x = np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32)
        tensor = {"name": "x", "shape": [1, WIDTH], "datatype": "FP32", "data": x.tolist()}
        body = json.dumps({"inputs": [tensor]}).encode()
        began_s = time.perf_counter()
        self._client.request(
            "POST",
            f"/v2/models/m{number:03d}/infer",
            body,
            {"content-type": "application/json", "x-nearway-origin": "Shanghai"},
        )
        answer = self._client.getresponse()
        text = answer.read()
        self.taken_ms.append((time.perf_counter() - began_s) * 1e3)
        self.statuses[answer.status] += 1
        if answer.status == 200:
            y = json.loads(text)["outputs"][0]["data"]
            if not np.allclose(y, np.tanh(x @ weights(number)), atol=1e-4):
                self.wrong.append(f"m{number:03d}")


class Many:
    """A running gateway with ``count`` models; the budget has room for ``room`` of them."""

    def __init__(self, gateway: Any, count: int, room: int) -> None:
        self.gateway = gateway
        self.count = count
        self.room = room

    def engine(self) -> dict[str, Any]:
        found: dict[str, Any] = self.gateway.admin("GET", "/state")["engine"]
        return found

    def hot_alone(self, requests: int) -> Client:
        with Client(self.gateway.address) as client:
            for _ in range(requests):
                client.ask(0)
        return client

    def hot_and_cold(self, requests: int, *, each_s: float) -> tuple[Client, Client]:
        """The hot model as before while others load, one every ``each_s``."""
        cold = Client(self.gateway.address)
        stop = threading.Event()

        def load_others() -> None:
            number = 1
            with cold:
                while not stop.wait(each_s):
                    cold.ask(number)
                    number = number % (self.count - 1) + 1

        thread = threading.Thread(target=load_others)
        thread.start()
        try:
            hot = self.hot_alone(requests)
        finally:
            stop.set()
            thread.join()
        return hot, cold


def p99_ms(taken_ms: list[float]) -> float:
    return float(np.percentile(taken_ms, 99))


def started(
    start_gateway: Callable[..., Any], folder: Path, count: int, room: int
) -> Iterator[Many]:
    for number in range(count):
        write_model(folder / "models", number)
    (folder / "fleet.toml").write_text(FLEET)
    config = folder / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{folder}/models"]\nload = "on_demand"\n'
        f'memory_mb_max = {room * 1.4}\n[fleet]\nfile = "{folder}/fleet.toml"\n'
    )
    began_s = time.perf_counter()
    with start_gateway("--config", str(config)) as gateway:
        print(f"{count} models: ready after {time.perf_counter() - began_s:.2f} s")
        yield Many(gateway, count, room)


@pytest.fixture(scope="module")
def some(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Many]:
    yield from started(start_gateway, tmp_path_factory.mktemp("some"), count=40, room=8)


def test_none_is_loaded_until_it_is_asked_for(some: Many) -> None:
    assert some.engine()["in_memory"] == 0
    index = some.gateway.admin("GET", "/state")["models"]
    assert len(index) == some.count
    with Client(some.gateway.address) as client:
        client.ask(7)
        client.ask(7)
    assert client.statuses == {200: 2}
    assert not client.wrong
    state = some.engine()
    assert (state["in_memory"], state["loads"]) == (1, 1)


def test_requests_at_once_share_one_load(some: Many) -> None:
    loads = some.engine()["loads"]
    clients = [Client(some.gateway.address) for _ in range(8)]

    def ask_and_close(client: Client) -> None:
        with client:
            client.ask(11)

    threads = [threading.Thread(target=ask_and_close, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(client.statuses == {200: 1} and not client.wrong for client in clients)
    assert some.engine()["loads"] == loads + 1


def check_within_budget(many: Many, requests: int) -> None:
    """Everything is asked for under load; nothing is lost, and memory stays within the budget."""
    alone = many.hot_alone(requests)
    hot, cold = many.hot_and_cold(requests, each_s=0.0)
    state = many.engine()
    print(
        f"p99 of the hot model: {p99_ms(alone.taken_ms):.1f} ms alone, "
        f"{p99_ms(hot.taken_ms):.1f} ms while {sum(cold.statuses.values())} others load; {state}"
    )
    for client in (alone, hot, cold):
        assert set(client.statuses) == {200}
        assert not client.wrong
    assert state["evictions"] > 0
    assert state["memory_mb"] <= state["memory_mb_max"]
    assert 0 < state["in_memory"] < many.count


def test_memory_stays_within_the_budget_and_nothing_is_lost(some: Many) -> None:
    check_within_budget(some, requests=300)


@pytest.mark.soak
def test_four_hundred(start_gateway: Callable[..., Any], tmp_path: Path) -> None:
    for many in started(start_gateway, tmp_path, count=400, room=40):
        check_within_budget(many, requests=3000)
        ratios = []
        for _ in range(5):
            alone = many.hot_alone(1500)
            hot, _ = many.hot_and_cold(1500, each_s=0.25)
            ratios.append(p99_ms(hot.taken_ms) / p99_ms(alone.taken_ms))
        print(f"p99 of the hot model while others load, to alone: {sorted(ratios)}")
        assert sorted(ratios)[1] < 2.0
