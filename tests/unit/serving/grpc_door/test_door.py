"""The server: what it listens on, what it takes, how it ends."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.serving.grpc_door.door import GrpcDoor
from gateway.serving.grpc_door.messages import SERVICE, message

openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


async def test_a_port_somebody_holds_is_an_error_of_the_system(make_front: Any) -> None:
    door = GrpcDoor(make_front(), asyncio.get_running_loop(), reuse_port=False)
    with socket.create_server(("127.0.0.1", 0)) as held, pytest.raises(OSError, match="127"):
        await door.listen("127.0.0.1", held.getsockname()[1])
    await door.close(0.0)


async def test_several_may_listen_on_one_port(make_front: Any) -> None:
    loop = asyncio.get_running_loop()
    one, other = (GrpcDoor(make_front(), loop, reuse_port=True) for _ in range(2))
    address = await one.listen("127.0.0.1", 0)
    assert await other.listen("127.0.0.1", int(address.rpartition(":")[2])) == address
    await one.close(0.0)
    await other.close(0.0)


async def test_an_ipv6_address_is_told_in_brackets(make_front: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    door = GrpcDoor(make_front(), asyncio.get_running_loop(), reuse_port=False)
    try:
        address = await door.listen("::1", 0)
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


def make(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def live(address: str, trusted: bytes) -> bool:
    credentials = grpc.ssl_channel_credentials(trusted)
    options = [
        ("grpc.ssl_target_name_override", "localhost"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.secure_channel(address, credentials, options) as channel:
        stub = channel.unary_unary(
            f"/{SERVICE}/ServerLive",
            response_deserializer=message("ServerLiveResponse").FromString,
        )
        return bool(stub(b"", timeout=20).live)


@openssl
async def test_a_handshake_shows_the_certificate_that_is_in_force(
    make_front: Any, tmp_path: Path
) -> None:
    cert, key = make(tmp_path)
    front = make_front(server={"tls_cert": str(cert), "tls_key": str(key)})
    door = GrpcDoor(front, asyncio.get_running_loop(), reuse_port=False)
    address = await door.listen("127.0.0.1", 0)
    host, _, port = address.rpartition(":")

    def shown() -> str:
        return ssl.get_server_certificate((host, int(port)), timeout=20)

    try:
        before = cert.read_text()
        assert await asyncio.to_thread(live, address, cert.read_bytes())
        assert (await asyncio.to_thread(shown)).split() == before.split()
        make(tmp_path)
        assert (await asyncio.to_thread(shown)).split() == before.split()  # not asked to yet
        door.take(front)
        assert await asyncio.to_thread(live, address, cert.read_bytes())
        assert (await asyncio.to_thread(shown)).split() == cert.read_text().split() != before
    finally:
        await door.close(0.0)


@openssl
async def test_a_client_that_does_not_say_h2_is_let_go(make_front: Any, tmp_path: Path) -> None:
    cert, key = make(tmp_path)
    front = make_front(server={"tls_cert": str(cert), "tls_key": str(key)})
    door = GrpcDoor(front, asyncio.get_running_loop(), reuse_port=False)
    host, _, port = (await door.listen("127.0.0.1", 0)).rpartition(":")
    context = ssl.create_default_context(cafile=str(cert))
    context.check_hostname = False
    try:
        for alpn, spoken in ((["h2"], True), (["http/1.1"], False), ([], False)):
            context.set_alpn_protocols(alpn)
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            async with asyncio.timeout(20):
                try:
                    told = await reader.read(9)
                except ConnectionError:
                    told = b""
            assert bool(told) == spoken
            writer.close()
    finally:
        await door.close(0.0)


async def test_one_connection_too_many_is_closed_and_counted(grpc_door: Any) -> None:
    client = await grpc_door(server={"connections_max": 1})
    host, _, port = client.address.rpartition(":")
    readers = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
    async with asyncio.timeout(20):
        assert await readers[1][0].read() == b""
    assert len(await readers[0][0].read(9)) == 9
    assert client.front.metrics.connections_refused == 1
    for _, writer in readers:
        writer.close()


async def test_the_closing_of_a_door_is_told_before_it_happens(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    """No call is lost by a client that goes on asking while the door closes."""
    client = await grpc_door()
    seen: list[str] = []

    async def go_on() -> None:
        while True:
            seen.append((await client("ModelInfer", request_of(), timeout=2.0)).code)

    going = asyncio.create_task(go_on())
    await until(lambda: len(seen) > 5)
    closing = asyncio.create_task(client.door.close(5.0))
    await until(lambda: seen[-1] != "OK")
    going.cancel()
    await closing
    # Refused before it was sent: the port is shut by then. None was broken off.
    assert set(seen) <= {"OK", "UNAVAILABLE"}
    assert "OK" not in seen[seen.index("UNAVAILABLE") :]
