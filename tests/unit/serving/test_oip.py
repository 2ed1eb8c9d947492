"""Health, metadata and repository routes, as the protocol and Triton's clients expect them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.api import CenterDown, ConfigError
from gateway.serving.oip import EXTENSIONS

Door = Callable[..., Awaitable[Any]]
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
async def test_server_metadata(door: Door, path: str) -> None:
    response = await (await door()).get(path)
    told = await response.json()
    assert told["name"] == "nearway"
    assert tuple(told["extensions"]) == EXTENSIONS
    assert told["version"]


async def test_live_and_ready(door: Door) -> None:
    client = await door()
    assert await (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).status == 200
    client.front.ready = lambda: False
    response = await client.get("/v2/health/ready")
    assert response.status == 503
    assert "not ready" in (await response.json())["error"]
    assert (await client.get("/v2/health/live")).status == 200


async def test_model_metadata_with_and_without_version(door: Door) -> None:
    client = await door()
    told = await (await client.get("/v2/models/mlp")).json()
    assert told["name"] == "mlp"
    assert told["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    told = await (await client.get("/v2/models/mlp/versions/3/")).json()
    assert told["versions"] == ["3"]


async def test_config_and_statistics(door: Door) -> None:
    client = await door()
    config = await (await client.get("/v2/models/mlp/config")).json()
    assert config == {"name": "mlp", "max_batch_size": 8}
    for path in ("/v2/models/mlp/stats", "/v2/models/mlp/versions/1/stats", "/v2/models/stats"):
        stats = await (await client.get(path)).json()
        assert stats["model_stats"][0]["name"] == "mlp"


@pytest.mark.parametrize("suffix", ["", "/ready", "/config", "/stats", "/versions/1/ready"])
async def test_an_unknown_model_is_404(door: Door, suffix: str) -> None:
    response = await (await door()).get(f"/v2/models/nope{suffix}")
    assert response.status == 404
    assert "nope" in (await response.json())["error"]


async def test_a_model_is_ready_when_one_center_has_it(door: Door) -> None:
    client = await door()
    client.front.ports[0].models["mlp"] = False
    response = await client.get("/v2/models/mlp/ready")
    assert await response.json() == {"name": "mlp", "ready": True}
    for port in client.front.ports:
        port.models["mlp"] = False
    response = await client.get("/v2/models/mlp/ready")
    assert response.status == 503
    assert "load" in (await response.json())["error"]


async def test_the_index_merges_centers_and_can_leave_out_what_is_not_ready(door: Door) -> None:
    client = await door()
    client.front.ports[0].models.update({"mlp": False, "embed": False})
    everything = await (await client.post("/v2/repository/index")).json()
    assert [(line["name"], line["state"]) for line in everything] == [
        ("embed", "UNAVAILABLE"),
        ("mlp", "READY"),
    ]
    response = await client.post("/v2/repository/index", json={"ready": True})
    assert [line["name"] for line in await response.json()] == ["mlp"]


async def test_load_and_unload_reach_every_center_that_declares_the_model(door: Door) -> None:
    client = await door()
    response = await client.post(
        "/v2/repository/models/mlp/unload", json={"parameters": {"unload_dependents": False}}
    )
    assert response.status == 200
    assert [port.models["mlp"] for port in client.front.ports] == [False] * 3
    response = await client.post("/v2/repository/models/mlp/load")
    assert response.status == 200
    assert [port.models["mlp"] for port in client.front.ports] == [True] * 3


@pytest.mark.parametrize(
    ("error", "status"), [(CenterDown("gone"), 503), (ConfigError("bad file"), 400)]
)
async def test_a_load_that_fails_somewhere_names_the_centers(
    door: Door, error: Exception, status: int
) -> None:
    client = await door()
    client.front.ports[1].refusals["load"] = error
    response = await client.post("/v2/repository/models/mlp/load")
    assert response.status == status
    message = (await response.json())["error"]
    assert "c1" in message
    assert "1 of 3 centers" in message
    assert str(error) in message


async def test_loading_what_nobody_declares_or_has_is_404(door: Door) -> None:
    client = await door()
    assert (await client.post("/v2/repository/models/other/load")).status == 404
    assert (await client.post("/v2/repository/models/embed/unload")).status == 404


async def test_a_file_sent_along_is_501(door: Door) -> None:
    response = await (await door()).post(
        "/v2/repository/models/mlp/load", json={"parameters": {"file:1/model.onnx": "AA=="}}
    )
    assert response.status == 501
    assert "file:1/model.onnx" in (await response.json())["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 400), (b"{", 400), (b'{"ready":"yes"}', 400), (b"\xff", 400), (b"x" * 70_000, 413),
     (b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 400)],
)  # fmt: skip
async def test_wrong_bodies_of_index_are_named(door: Door, body: bytes, status: int) -> None:
    response = await (await door()).post("/v2/repository/index", data=body, headers=JSON)
    assert response.status == status
    assert (await response.json())["error"]


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def test_the_bound_of_a_control_body_holds_in_chunks_too(door: Door) -> None:
    response = await (await door()).post("/v2/repository/index", data=chunked(b" " * 70_000))
    assert response.status == 413
    assert "65536" in (await response.json())["error"]


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (gzip.compress(b'{"ready":true}', mtime=0), "gzip", 200),
        (b"{}", "gzip", 400),
        (b"{}", "br", 415),
        (gzip.compress(b" " * 70_000, mtime=0), "gzip", 413),
    ],
    ids=["whole", "not compressed", "unknown", "too large inside"],
)
async def test_a_control_body_may_come_compressed(
    door: Door, body: bytes, encoding: str, status: int
) -> None:
    headers = {"Content-Encoding": encoding, **JSON}
    response = await (await door()).post("/v2/repository/index", data=body, headers=headers)
    assert response.status == status


async def test_a_form_does_not_reach_the_repository(door: Door) -> None:
    client = await door()
    response = await client.post("/v2/repository/models/mlp/unload", data={"a": "b"})
    assert response.status == 415
    assert client.front.ports[0].models["mlp"]
