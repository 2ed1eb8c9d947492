"""A gateway before centers that are servers of the protocol, by URL: a second gateway is one.

The fleet has two of them, a place where nobody listens, and one center of its own process.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MODEL = "blast-furnace"
FLEET = """
[[center]]
id = "there"
city = "Wuhu"
country = "CN"
lat = 31.33
lon = 118.38
url = "{url}"
models = ["blast-furnace", "grid-load"]

[[center]]
id = "there-too"
city = "Hangzhou"
country = "CN"
lat = 30.27
lon = 120.16
url = "{url}"
models = ["blast-furnace"]

[[center]]
id = "nobody"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
url = "http://127.0.0.1:1"
models = ["blast-furnace"]

[[center]]
id = "here"
city = "Beijing"
country = "CN"
lat = 39.9
lon = 116.4
models = ["rail-inspection"]
"""


@pytest.fixture(scope="module")
def upstream(start_gateway: Callable[..., Any]) -> Iterator[Any]:
    with start_gateway("--sites", "core") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def front(
    upstream: Any, start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "fleet.toml").write_text(FLEET.format(url=upstream.url))
    (folder / "nearway.toml").write_text("[remote]\nindex_s = 0.3\n")
    flags = ("--config", str(folder / "nearway.toml"), "--fleet", str(folder / "fleet.toml"))
    with start_gateway(*flags) as gateway:
        yield gateway


def body(rows: int = 1) -> bytes:
    window = np.random.default_rng(3).normal(100, 10, (rows, 24, 12)).round(3)
    tensor = {
        "name": "window",
        "datatype": "FP32",
        "shape": [rows, 24, 12],
        "data": window.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode()


def call(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    names = {"content-type": "application/json"}
    names |= {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=data, headers=names)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            told = {k.lower(): v for k, v in answer.headers.items()}
            return answer.status, answer.read(), told
    except urllib.error.HTTPError as error:
        return error.code, error.read(), {k.lower(): v for k, v in error.headers.items()}


def test_the_answer_is_the_remote_s_own(front: Any, upstream: Any) -> None:
    for rows in (1, 3, 8):
        sent = body(rows)
        mine, headers = front.infer(MODEL, sent, "Shanghai")
        theirs, _ = upstream.infer(MODEL, sent, "Shanghai")
        assert mine == theirs
        assert headers["x-nearway-center"] in ("there", "there-too")


def test_parts_are_told_for_a_center_that_is_not_ours(front: Any) -> None:
    _, headers = front.infer(MODEL, body(), "Guangzhou")
    parts = dict(part.split(";dur=") for part in headers["server-timing"].split(", "))
    assert float(parts["service"]) > 0.0
    assert float(parts["network"]) < 1000.0


def test_binary_tensors_pass(front: Any) -> None:
    window = np.ones((2, 24, 12), np.float32)
    raw = window.tobytes()
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "window",
                    "datatype": "FP32",
                    "shape": [2, 24, 12],
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    status, payload, headers = call(
        f"{front.url}/v2/models/{MODEL}/infer",
        head + raw,
        content_type="application/octet-stream",
        inference_header_content_length=str(len(head)),
    )
    assert status == 200
    told = json.loads(payload[: int(headers["inference-header-content-length"])])
    sizes = [output["parameters"]["binary_data_size"] for output in told["outputs"]]
    assert sum(sizes) == len(payload) - int(headers["inference-header-content-length"])


def test_what_the_remote_refuses_the_client_hears(front: Any) -> None:
    status, payload, _ = call(
        f"{front.url}/v2/models/{MODEL}/infer",
        b'{"inputs": [{"name": "wrong"}]}',
    )
    assert status == 400
    assert "wrong" in json.loads(payload)["error"] or "shape" in json.loads(payload)["error"]


def test_nobody_there_costs_no_answer(front: Any) -> None:
    for _ in range(20):
        _, headers = front.infer(MODEL, body(), "Shanghai")
        assert headers["x-nearway-center"] != "nobody"
    rows = {row["center"]: row for row in front.admin("GET", "/fleet")["centers"]}
    assert rows["there"]["answers"] + rows["there-too"]["answers"] >= 20


def test_own_and_remote_centers_serve_side_by_side(front: Any) -> None:
    status, payload, _ = call(f"{front.url}/v2/models/rail-inspection")
    assert status == 200
    assert json.loads(payload)["name"] == "rail-inspection"
    status, payload, _ = call(f"{front.url}/v2/models/{MODEL}")
    assert json.loads(payload)["platform"]
    lines = json.loads(call(f"{front.url}/v2/repository/index", b"{}")[1])
    assert {line["name"] for line in lines} == {MODEL, "grid-load", "rail-inspection"}
    assert all(line["state"] == "READY" for line in lines)


def test_a_model_that_is_unloaded_there_is_not_asked_for(front: Any, upstream: Any) -> None:
    def ready() -> bool:
        return call(f"{front.url}/v2/models/grid-load/ready")[0] == 200

    def wait_until(wanted: bool) -> None:
        until_s = time.monotonic() + 20.0
        while ready() is not wanted:
            assert time.monotonic() < until_s
            time.sleep(0.05)

    assert ready()
    assert call(f"{upstream.url}/v2/repository/models/grid-load/unload", b"{}")[0] == 200
    wait_until(False)
    assert call(f"{front.url}/v2/repository/models/grid-load/load", b"{}")[0] == 200
    wait_until(True)


def test_a_wrong_url_is_refused_before_listening(tmp_path: Path, start_gateway: Any) -> None:
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        '[[center]]\nid = "a"\ncity = "X"\ncountry = "CN"\nlat = 1\nlon = 1\n'
        'url = "http://h:1"\nemulate = "gateway"\n'
    )
    with (
        pytest.raises(AssertionError, match='emulate = "gateway"'),
        start_gateway("--fleet", str(fleet)),
    ):
        pass
