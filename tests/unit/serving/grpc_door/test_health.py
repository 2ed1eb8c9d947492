"""gRPC's own health protocol says what the gateway knows, and tells who watches of a change."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.serving.grpc_door.messages import SERVICE

Status = health_pb2.HealthCheckResponse


def stub(client: Any) -> Any:
    return health_pb2_grpc.HealthStub(client.channel)


def asked(service: str = "") -> Any:
    return health_pb2.HealthCheckRequest(service=service)


async def check(client: Any, service: str = "") -> Any:
    return (await asyncio.to_thread(stub(client).Check, asked(service), timeout=10)).status


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_it_serves_until_it_drains(grpc_door: Any, service: str) -> None:
    client = await grpc_door()
    assert await check(client, service) == Status.SERVING
    client.front.ready = lambda: False
    assert await check(client, service) == Status.NOT_SERVING


async def test_a_service_that_is_not_here_is_not_found(grpc_door: Any) -> None:
    client = await grpc_door()
    call = stub(client).Check.future(asked("other"), timeout=10)
    assert (await asyncio.to_thread(call.code)).name == "NOT_FOUND"
    assert SERVICE in call.details()


async def test_who_watches_hears_the_state_and_each_change(grpc_door: Any) -> None:
    client = await grpc_door()
    call = stub(client).Watch(asked(), timeout=10)
    assert (await asyncio.to_thread(next, call)).status == Status.SERVING
    client.front.ready = lambda: False
    assert (await asyncio.to_thread(next, call)).status == Status.NOT_SERVING
    call.cancel()


async def test_who_watches_an_unknown_service_hears_that(grpc_door: Any) -> None:
    client = await grpc_door()
    call = stub(client).Watch(asked("other"), timeout=10)
    assert (await asyncio.to_thread(next, call)).status == Status.SERVICE_UNKNOWN
    call.cancel()


async def test_watchers_take_half_of_the_calls_and_give_them_back(
    grpc_door: Any, until: Any
) -> None:
    client = await grpc_door(server={"grpc_calls_max": 2})
    first = stub(client).Watch(asked(), timeout=10)
    await asyncio.to_thread(next, first)
    second = stub(client).Watch(asked(), timeout=10)
    assert (await asyncio.to_thread(second.code)).name == "UNAVAILABLE"
    assert dict(second.trailing_metadata())["x-nearway-reason"] == "streams_open"
    assert await check(client) == Status.SERVING
    first.cancel()

    async def again() -> Any:
        call = stub(client).Watch(asked(), timeout=10)
        try:
            return (await asyncio.to_thread(lambda: next(call, None))).status
        except grpc.RpcError:
            return None
        finally:
            call.cancel()

    async with asyncio.timeout(10):
        while await again() != Status.SERVING:
            await asyncio.sleep(0.02)
