"""Health, metadata, configuration, statistics and the repository, asked over a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import CenterDown
from gateway.serving.grpc_door.messages import message


async def test_the_server_lives_and_is_ready(grpc_door: Any) -> None:
    client = await grpc_door()
    assert (await client("ServerLive")).answer.live
    assert (await client("ServerReady")).answer.ready
    client.front.unready = lambda: "too few centers"
    assert not (await client("ServerReady")).answer.ready
    told = (await client("ServerMetadata")).answer
    assert (told.name, told.version) == ("nearway", client.front.version)
    assert "binary_tensor_data" in told.extensions


@pytest.mark.parametrize(
    ("model", "loaded", "ready"), [("mlp", True, True), ("mlp", False, False), ("x", True, False)]
)
async def test_a_model_is_ready_where_some_center_has_it(
    grpc_door: Any, model: str, loaded: bool, ready: bool
) -> None:
    client = await grpc_door()
    for port in client.front.ports:
        port.models["mlp"] = loaded
    told = await client("ModelReady", message("ModelReadyRequest")(name=model))
    assert (told.code, told.answer.ready) == ("OK", ready)


async def test_metadata(grpc_door: Any) -> None:
    client = await grpc_door()
    told = await client("ModelMetadata", message("ModelMetadataRequest")(name="mlp"))
    assert (told.answer.name, list(told.answer.versions)) == ("mlp", ["1"])
    [spec] = told.answer.inputs
    assert (spec.name, spec.datatype, list(spec.shape)) == ("x", "FP32", [-1, 4])
    missing = await client("ModelMetadata", message("ModelMetadataRequest")(name="other"))
    assert missing.code == "NOT_FOUND"
    assert "declared by no center" in missing.details


async def test_config_and_statistics(grpc_door: Any) -> None:
    client = await grpc_door()
    told = await client("ModelConfig", message("ModelConfigRequest")(name="mlp"))
    assert (told.answer.config.name, told.answer.config.max_batch_size) == ("mlp", 8)
    told = await client("ModelStatistics")
    assert [line.name for line in told.answer.model_stats] == ["mlp"]


async def test_a_configuration_that_is_none_is_the_centers_fault(
    grpc_door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await grpc_door()

    async def config(*_: Any) -> Any:
        return {"max_batch_size": "many"}

    for port in client.front.ports:
        monkeypatch.setattr(port, "config", config)
    told = await client("ModelConfig", message("ModelConfigRequest")(name="mlp"))
    assert told.code == "INTERNAL"
    assert "none of the protocol" in told.details


async def test_the_repository(grpc_door: Any) -> None:
    client = await grpc_door()
    unload, load = message("RepositoryModelUnloadRequest"), message("RepositoryModelLoadRequest")
    assert (await client("RepositoryModelUnload", unload(model_name="mlp"))).code == "OK"
    told = await client("RepositoryIndex")
    assert [(line.name, line.state, line.reason) for line in told.answer.models] == [
        ("mlp", "UNAVAILABLE", "unloaded")
    ]
    ready = await client("RepositoryIndex", message("RepositoryIndexRequest")(ready=True))
    assert list(ready.answer.models) == []
    assert (await client("RepositoryModelLoad", load(model_name="mlp"))).code == "OK"
    assert all(port.models["mlp"] for port in client.front.ports)


@pytest.mark.parametrize(
    "name", ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"]
)
async def test_there_is_one_repository(grpc_door: Any, name: str) -> None:
    client = await grpc_door()
    told = await client(name, message(f"{name}Request")(repository_name="other"))
    assert told.code == "UNIMPLEMENTED"
    assert "there is one repository" in told.details


async def test_a_model_sent_along_is_refused(grpc_door: Any) -> None:
    client = await grpc_door()
    request = message("RepositoryModelLoadRequest")(model_name="mlp")
    request.parameters["file:1/model.onnx"].bytes_param = b"x"
    told = await client("RepositoryModelLoad", request)
    assert told.code == "UNIMPLEMENTED"
    assert "models.dirs" in told.details
    assert not any(port.calls for port in client.front.ports)


async def test_a_center_that_fails_is_told(grpc_door: Any) -> None:
    client = await grpc_door()
    for port in client.front.ports:
        port.refusals["metadata"] = CenterDown("gone")
    told = await client("ModelMetadata", message("ModelMetadataRequest")(name="mlp"))
    assert (told.code, told.trailers["x-nearway-reason"]) == ("UNAVAILABLE", "center_down")


async def test_a_client_that_goes_ends_the_question(
    grpc_door: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await grpc_door()
    asked, ended = asyncio.Event(), asyncio.Event()

    async def forever(*_: Any) -> Any:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(client.front.ports[0], "metadata", forever)
    call = client.begin("ModelMetadata", message("ModelMetadataRequest")(name="mlp"))
    await until(asked.is_set)
    call.cancel()
    await until(ended.is_set)
