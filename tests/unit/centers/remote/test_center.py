"""What is asked of a center beside inference, against a little server of the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from gateway.api import ConfigError, ModelMetadata, NotFound, TensorSpec, Unsupported
from gateway.centers.port import ModelState, Whole

METADATA = {
    "name": "m",
    "versions": ["1", "2"],
    "platform": "onnx",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1]}],
    "more": "than the protocol says",
}


def error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


class Triton:
    """Model ``m`` is ready, ``cold`` is not loaded, ``bad`` cannot be; the rest is unknown."""

    def __init__(self, *, repository: bool) -> None:
        self.loaded: list[str] = []
        app = web.Application(client_max_size=8 << 20)
        app.router.add_get("/v2/models/stats", self.all_stats)
        app.router.add_get("/v2/models/{m}", self.metadata)
        app.router.add_get("/v2/models/{m}/versions/{v}", self.metadata)
        app.router.add_get("/v2/models/{m}/ready", self.ready)
        app.router.add_get("/v2/models/{m}/config", self.config)
        app.router.add_get("/v2/models/{m}/stats", self.stats)
        app.router.add_post("/v2/models/{m}/infer", self.infer)
        if repository:
            app.router.add_post("/v2/repository/index", self.index)
            app.router.add_post("/v2/repository/models/{m}/{verb}", self.control)
        self.app = app

    def unknown(self, request: web.Request) -> web.Response | None:
        name = request.match_info["m"]
        if name in ("m", "cold", "bad"):
            return None
        return error(404, f"unknown model {name}")

    async def metadata(self, request: web.Request) -> web.Response:
        return self.unknown(request) or web.json_response(METADATA)

    async def ready(self, request: web.Request) -> web.Response:
        wrong = self.unknown(request)
        return wrong or web.Response(status=200 if request.match_info["m"] == "m" else 400)

    async def config(self, request: web.Request) -> web.Response:
        return self.unknown(request) or web.json_response({"name": "m", "max_batch_size": 8})

    async def stats(self, request: web.Request) -> web.Response:
        return self.unknown(request) or web.json_response({"model_stats": [{"name": "m"}]})

    async def all_stats(self, _: web.Request) -> web.Response:
        return web.json_response({"model_stats": [{"name": "m"}, {"name": "cold"}]})

    async def infer(self, request: web.Request) -> web.Response:
        body = await request.read()
        return self.unknown(request) or web.Response(body=body[::-1], content_type="text/plain")

    async def index(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {"name": "m", "version": "2", "state": "READY"},
                {"name": "cold"},
                {"name": "bad", "version": "1", "state": "UNAVAILABLE", "reason": "no file"},
            ]
        )

    async def control(self, request: web.Request) -> web.Response:
        name = request.match_info["m"]
        if name == "bad":
            return error(400, "bad: no file")
        wrong = self.unknown(request)
        if wrong is None:
            self.loaded.append(f"{request.match_info['verb']} {name}")
        return wrong or web.json_response({})


@pytest.fixture
async def triton(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """(server, url); parametrised by whether it has a repository."""
    server = Triton(repository=getattr(request, "param", True))
    runner = web.AppRunner(server.app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_infer_through_aiohttp(triton: Any, reach: Any) -> None:
    center = await reach(triton[1])
    for size in (2, 10_000, 3_000_000):
        listener = center.ask(b"ab" * (size // 2))
        await listener.end()
        assert listener.body == b"ba" * (size // 2)
    many = [center.ask(b"%d" % n) for n in range(200)]
    for number, listener in enumerate(many):
        event = await listener.end()
        assert isinstance(event, Whole)
        assert event.payload == (b"%d" % number)[::-1]
        assert event.content_type == "text/plain"


async def test_index_of_what_is_declared(triton: Any, reach: Any) -> None:
    center = (await reach(triton[1], models=("m", "co*"))).center
    assert await center.index() == (
        ModelState("m", "2", "READY", ""),
        ModelState("cold", "", "UNAVAILABLE", ""),
    )


@pytest.mark.parametrize("triton", [False], indirect=True)
async def test_index_without_a_repository(triton: Any, reach: Any) -> None:
    center = (await reach(triton[1], models=("m", "cold", "absent", "x*"))).center
    assert {line.name: line.state for line in await center.index()} == {
        "m": "READY",
        "cold": "UNAVAILABLE",
        "absent": "UNAVAILABLE",
    }
    with pytest.raises(ConfigError, match="name them in the fleet file"):
        await (await reach(triton[1], models=("*",))).center.index()
    with pytest.raises(NotFound):
        await center.load("m")


async def test_metadata(triton: Any, reach: Any) -> None:
    center = (await reach(triton[1])).center
    expected = ModelMetadata(
        "m",
        ("1", "2"),
        "onnx",
        (TensorSpec("x", "FP32", (-1, 4)),),
        (TensorSpec("y", "FP32", (-1, 1)),),
    )
    assert await center.metadata("m", "") == expected
    assert await center.metadata("m", "2") == expected
    assert await center.config("m", "") == {"name": "m", "max_batch_size": 8}
    assert await center.statistics("m", "") == [{"name": "m"}]
    assert len(await center.statistics("", "")) == 2


async def test_ready(triton: Any, reach: Any) -> None:
    center = (await reach(triton[1])).center
    assert await center.ready("m", "")
    assert not await center.ready("cold", "")
    for question in (center.ready, center.metadata, center.config, center.statistics):
        with pytest.raises(NotFound, match="unknown model x"):
            await question("x", "")


async def test_what_is_not_declared_is_not_asked_for(reach: Any) -> None:
    center = (await reach("http://127.0.0.1:1", models=("m",))).center
    for question in (center.ready("x", ""), center.metadata("x", ""), center.load("x")):
        with pytest.raises(NotFound, match="not declared"):
            await question


async def test_load_and_unload(triton: Any, reach: Any) -> None:
    server, url = triton
    center = (await reach(url)).center
    await center.load("cold")
    await center.unload("m")
    assert server.loaded == ["load cold", "unload m"]
    with pytest.raises(ConfigError, match="no file"):
        await center.load("bad")
    with pytest.raises(NotFound):
        await center.load("x")


async def test_a_server_that_forbids_control(serve: Any, reach: Any, once: Any) -> None:
    server = await serve(once(b"HTTP/1.1 405 x\r\nContent-Length: 0\r\n\r\n"))
    with pytest.raises(Unsupported, match="no model repository"):
        await (await reach(server.url)).center.load("m")


async def test_questions_and_requests_share_connections(triton: Any, reach: Any) -> None:
    center = await reach(triton[1], connections_max=2)
    asked = [center.ask(b"ab") for _ in range(20)]
    indexes = await asyncio.gather(*(center.center.index() for _ in range(5)))
    assert all(len(index) == 3 for index in indexes)
    for listener in asked:
        assert isinstance(await listener.end(), Whole)
    assert center.center.pool.open_count <= 2
