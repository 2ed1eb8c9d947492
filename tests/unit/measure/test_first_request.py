import json

import pytest
from aiohttp import web

from gateway.api import ConfigError
from gateway.measure.endpoint import Endpoint
from gateway.measure.first_request import find_body, model_path, try_once

METADATA = {
    "name": "m",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [],
}


@pytest.fixture
async def endpoint():
    async def metadata(request):
        return web.json_response(METADATA)

    async def infer(request):
        asked = await request.json()
        if "inputs" not in asked or "x-nearway-origin" not in request.headers:
            return web.json_response({"error": "no inputs here"}, status=400)
        return web.json_response({"outputs": []})

    app = web.Application()
    app.router.add_get("/serving/v2/models/m", metadata)
    app.router.add_post("/serving/v2/models/m/infer", infer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield Endpoint("127.0.0.1", port, prefix="/serving")
    await runner.cleanup()


async def test_a_body_is_made_from_what_the_endpoint_tells(endpoint):
    body = json.loads(await find_body(endpoint, "m"))
    assert body["inputs"][0]["shape"] == [1, 2]


async def test_a_shipped_example_is_taken_without_asking(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "example.json").write_bytes(b"{}")
    nobody = Endpoint("127.0.0.1", 9)
    assert await find_body(nobody, "m", models_dir=tmp_path) == b"{}"


async def test_an_unknown_model_is_told_with_the_servers_answer(endpoint):
    with pytest.raises(ConfigError, match=r"v2/models/other answered 404 .*name right"):
        await find_body(endpoint, "other")


async def test_a_refused_body_is_told_in_the_servers_words(endpoint):
    path = f"{model_path('m')}/infer"
    await try_once(endpoint, path, b'{"inputs":[]}', {"x-nearway-origin": "Wuhu"})
    with pytest.raises(ConfigError, match=r"answered 400 .*no inputs here"):
        await try_once(endpoint, path, b"{}", {"x-nearway-origin": "Wuhu"})


async def test_nobody_there_is_told(unused_tcp_port):
    with pytest.raises(ConfigError, match="did not answer"):
        await find_body(Endpoint("127.0.0.1", unused_tcp_port), "m")


def test_paths_with_and_without_a_version():
    assert model_path("m") == "/v2/models/m"
    assert model_path("m", "3") == "/v2/models/m/versions/3"
