"""A gRPC door before a fleet of fakes, and a client of plain calls. Skipped without the extra."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
WITHIN_S = 20.0


class WithoutGrpc(pytest.Module):
    """A test file that cannot be imported."""

    def collect(self) -> Iterable[Any]:
        pytest.skip("the extra grpc, or its clients, are not installed", allow_module_level=True)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    missing = any(find_spec(name) is None for name in ("google.protobuf", "grpc", "h2", "hpack"))
    if HERE in module_path.parents and missing:
        module: pytest.Module = WithoutGrpc.from_parent(parent, path=module_path)
        return module
    return None


class Told(NamedTuple):
    """How a call ended. ``code``: the name of its status."""

    answer: Any
    code: str
    details: str
    trailers: dict[str, str]


class Client:
    """Calls from a thread, so that the loop is the door's."""

    def __init__(self, address: str) -> None:
        import grpc

        # A connection of its own, where gRPC would share one between channels to one address.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.address = address
        self.channel = grpc.insecure_channel(address, options)

    def begin(
        self, method: str, request: Any, *, timeout: float = WITHIN_S, **metadata: str
    ) -> Any:
        """A call under way."""
        from gateway.serving.grpc_door.messages import SERVICE, message

        stub = self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=message(f"{method}Request").SerializeToString,
            response_deserializer=message(f"{method}Response").FromString,
        )
        return stub.future(request, timeout=timeout, metadata=pairs(metadata))

    async def __call__(self, method: str, request: Any = None, **given: Any) -> Told:
        """One call to its end; without a request the empty one."""
        from gateway.serving.grpc_door.messages import message

        asked = message(f"{method}Request")() if request is None else request
        call = self.begin(method, asked, **given)
        return await asyncio.to_thread(ended, call)

    def stream(self, requests: Iterable[Any], **metadata: str) -> Any:
        """``ModelStreamInfer`` under way."""
        from gateway.serving.grpc_door.messages import (
            SERVICE,
            ModelInferRequest,
            ModelStreamInferResponse,
        )

        stub = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=ModelInferRequest.SerializeToString,
            response_deserializer=ModelStreamInferResponse.FromString,
        )
        return stub(iter(requests), timeout=WITHIN_S, metadata=pairs(metadata))


def pairs(metadata: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", "-"), value) for name, value in metadata.items())


def ended(call: Any) -> Told:
    """Waits for the end of a call; any thread but the loop's."""
    code = call.code().name
    trailers = {name: str(value) for name, value in call.trailing_metadata()}
    return Told(call.result() if code == "OK" else None, code, call.details(), trailers)


OpenDoor = Callable[..., Awaitable[Client]]


@pytest.fixture
async def grpc_door(make_front: Any) -> AsyncIterator[OpenDoor]:
    """Opens doors; ``front`` and ``door`` ride along with the client."""
    from gateway.serving.grpc_door.door import GrpcDoor

    opened: list[Any] = []

    async def open_door(**settings: Any) -> Client:
        front = make_front(**settings)
        door = GrpcDoor(front, asyncio.get_running_loop(), reuse_port=False)
        client: Any = Client(await door.listen("127.0.0.1", 0))
        client.front, client.door = front, door
        opened.append(client)
        return client

    yield open_door
    for client in opened:
        client.channel.close()
        await client.door.close(0.0)


@pytest.fixture
def request_of() -> Callable[..., Any]:
    """Makes a ``ModelInferRequest``: four FP32 ones as ``x`` of ``mlp``, raw or typed."""

    def make(*, raw: bool = True, id_: str = "", model: str = "mlp") -> Any:
        from gateway.serving.grpc_door.messages import ModelInferRequest

        request = ModelInferRequest(model_name=model, id=id_)
        tensor = request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
        if raw:
            request.raw_input_contents.append(b"\x00\x00\x80\x3f" * 4)
        else:
            tensor.contents.fp32_contents.extend([1.0] * 4)
        return request

    return make


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Waits until something is so, or fails."""

    async def wait(so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not so():
                await asyncio.sleep(0.002)

    return wait
