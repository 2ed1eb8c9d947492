"""Tools that reflect find every service, and can make its messages from what they are told."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2

from gateway.serving.grpc_door.health import HEALTH
from gateway.serving.grpc_door.messages import SERVICE
from gateway.serving.grpc_door.reflection import SERVICES

Request = reflection_pb2.ServerReflectionRequest
SERVICE_MESSAGE = "inference.ModelInferRequest"


def ask(client: Any, service: str, *requests: Any) -> list[Any]:
    stub = client.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=Request.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    return list(stub(iter(requests), timeout=10))


@pytest.mark.parametrize("version", SERVICES)
async def test_every_service_is_listed_and_described(grpc_door: Any, version: str) -> None:
    client = await grpc_door()
    requests = [Request(list_services="")]
    requests += [Request(file_containing_symbol=name) for name in (SERVICE, HEALTH, *SERVICES[1:])]
    listed, *files = await asyncio.to_thread(ask, client, version, *requests)
    names = {one.name for one in listed.list_services_response.service}
    assert names == {SERVICE, HEALTH, *SERVICES}
    pool = descriptor_pool.DescriptorPool()
    for told in files:
        for raw in told.file_descriptor_response.file_descriptor_proto:
            pool.Add(descriptor_pb2.FileDescriptorProto.FromString(raw))
    methods = {method.name for method in pool.FindServiceByName(SERVICE).methods}
    assert {"ModelInfer", "ModelStreamInfer", "RepositoryIndex"} <= methods


async def test_what_is_not_here_is_an_error_of_the_answer(grpc_door: Any) -> None:
    client = await grpc_door()
    [told] = await asyncio.to_thread(
        ask, client, SERVICES[0], Request(file_containing_symbol="no.such.Service")
    )
    assert told.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"file_by_filename": "health.proto"}, "file_descriptor_response"),
        ({"all_extension_numbers_of_type": SERVICE_MESSAGE}, "all_extension_numbers_response"),
        ({"all_extension_numbers_of_type": "no.such"}, "error_response"),
        ({"file_by_filename": "no.such"}, "error_response"),
        (
            {"file_containing_extension": {"containing_type": SERVICE_MESSAGE}},
            "error_response",
        ),
        ({}, "error_response"),
    ],
)
async def test_other_questions(grpc_door: Any, given: dict[str, Any], kind: str) -> None:
    client = await grpc_door()
    asked = Request(host="me", **given)
    [told] = await asyncio.to_thread(ask, client, SERVICES[1], asked)
    assert told.WhichOneof("message_response") == kind
    assert told.original_request == asked


async def test_many_questions_at_once_are_answered_in_order(grpc_door: Any) -> None:
    client = await grpc_door()
    requests = [Request(file_containing_symbol=f"no.such.S{n}") for n in range(100)]
    told = await asyncio.to_thread(ask, client, SERVICES[0], *requests)
    assert [one.original_request for one in told] == requests


async def test_a_defect_ends_the_call_and_not_the_connection(
    grpc_door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await grpc_door()

    def broken(_request: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("gateway.serving.grpc_door.reflection.answer_to", broken)
    with pytest.raises(grpc.RpcError) as caught:
        await asyncio.to_thread(ask, client, SERVICES[0], Request(list_services=""))
    assert caught.value.code().name == "INTERNAL"
    assert "secret" not in caught.value.details()
    monkeypatch.undo()
    assert await asyncio.to_thread(ask, client, SERVICES[0], Request(list_services=""))
