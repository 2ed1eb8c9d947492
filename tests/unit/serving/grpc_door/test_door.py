"""The server: what it listens on, what it takes, how it ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.serving.grpc_door.door import GrpcDoor
from gateway.serving.grpc_door.messages import message


async def test_a_port_somebody_holds_is_an_error_of_the_system(make_front: Any) -> None:
    door = GrpcDoor(make_front(), asyncio.get_running_loop(), reuse_port=False)
    with socket.create_server(("127.0.0.1", 0)) as held, pytest.raises(OSError, match="127"):
        door.listen("127.0.0.1", held.getsockname()[1])
    await door.close(0.0)


async def test_several_may_listen_on_one_port(make_front: Any) -> None:
    loop = asyncio.get_running_loop()
    one, other = (GrpcDoor(make_front(), loop, reuse_port=True) for _ in range(2))
    address = one.listen("127.0.0.1", 0)
    assert other.listen("127.0.0.1", int(address.rpartition(":")[2])) == address
    await one.close(0.0)
    await other.close(0.0)


async def test_an_ipv6_address_is_told_in_brackets(make_front: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    door = GrpcDoor(make_front(), asyncio.get_running_loop(), reuse_port=False)
    try:
        address = door.listen("::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    finally:
        await door.close(0.0)
    assert address.startswith("[::1]:")


async def test_a_call_goes_by_the_front_taken_last(
    grpc_door: Any, make_front: Any, request_of: Any
) -> None:
    client = await grpc_door()
    after = make_front()
    client.door.take(after)
    assert (await client("ModelInfer", request_of())).code == "OK"
    assert not client.front.ports[0].started
    assert len(after.ports[0].started) == 1


async def test_a_message_over_the_bound_is_refused(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door(server={"body_bytes_max": 1024})
    request = request_of()
    request.inputs[0].shape[:] = [1, 1024]
    request.raw_input_contents[0] = b"\0" * 4096
    told = await client("ModelInfer", request)
    assert told.code == "RESOURCE_EXHAUSTED"
    assert "server.body_bytes_max" in told.details or "message" in told.details
    request.raw_input_contents[0] = b"\0" * 200_000
    assert (await client("ModelInfer", request)).code == "RESOURCE_EXHAUSTED"


async def test_more_calls_than_there_may_be_are_refused_at_once(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door(server={"grpc_calls_max": 2})
    for port in client.front.ports:
        port.script = None
    calls = [client.begin("ModelInfer", request_of()) for _ in range(2)]
    await until(lambda: len(client.front.ports[0].started) == 2)
    other = type(client)(client.address)
    told = await other("ModelInfer", request_of())
    assert told.code == "RESOURCE_EXHAUSTED"
    for call in calls:
        call.cancel()
    other.channel.close()


async def test_a_method_that_is_not_offered_is_unimplemented(grpc_door: Any) -> None:
    client = await grpc_door()
    stub = client.channel.unary_unary("/inference.GRPCInferenceService/SystemSharedMemoryStatus")
    call = stub.future(b"", timeout=10)
    assert (await asyncio.to_thread(call.code)).name == "UNIMPLEMENTED"


async def test_closing_lets_what_is_under_way_end(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door(attempts={"max": 1, "timeout_ms": 10_000.0})
    for port in client.front.ports:
        port.script = None
    call = client.begin("ModelInfer", request_of(id_="last"))
    await until(lambda: client.front.ports[0].started)
    closing = asyncio.create_task(client.door.close(10.0))
    await asyncio.sleep(0.05)
    assert not closing.done()
    client.front.ports[0].started[0].answer()
    assert (await asyncio.to_thread(call.result)).id == "last"
    await closing


async def test_closing_cuts_off_what_does_not_end(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door()
    for port in client.front.ports:
        port.script = None
    call = client.begin("ModelInfer", request_of())
    await until(lambda: client.front.ports[0].started)
    await client.door.close(0.05)
    assert (await asyncio.to_thread(call.code)).name in ("CANCELLED", "UNAVAILABLE")
    await until(lambda: client.front.ports[0].started[0].cancelled)
    assert client.front.metrics.in_flight == 0


async def test_a_closed_door_hears_no_more(grpc_door: Any) -> None:
    client = await grpc_door()
    await client.door.close(0.0)
    told = await client("ServerLive", message("ServerLiveRequest")(), timeout=5.0)
    assert told.code in ("UNAVAILABLE", "CANCELLED")
