"""A gateway before servers that have OpenAI's routes alone: a stream passes as it comes."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

openai = pytest.importorskip("openai")

MODEL = "large/one-70b"
FLEET = """
[[center]]
id = "nobody"
city = "Wuhu"
country = "CN"
lat = 31.33
lon = 118.38
url = "http://127.0.0.1:1"
models = ["large/*"]

[[center]]
id = "upstream"
city = "Hangzhou"
country = "CN"
lat = 30.27
lon = 120.16
url = "{url}"
models = ["large/*"]
"""
QUESTION = [{"role": "user", "content": "hello"}]


class Upstream:
    """Speaks as vLLM does, a token each ``pace_s``; keeps what it was sent and who left."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.left_after: list[int] = []
        self.pace_s = 0.0
        self.app = web.Application()
        self.app.router.add_get("/v1/models", self.models)
        self.app.router.add_post("/v1/chat/completions", self.chat)
        self.loop = asyncio.new_event_loop()
        self.port = 0
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        async def main() -> None:
            runner = web.AppRunner(self.app, handler_cancellation=True)
            await runner.setup()
            listener = socket.create_server(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            await web.SockSite(runner, listener).start()
            self.over = asyncio.Event()
            self.ready.set()
            await self.over.wait()
            await runner.cleanup()

        self.loop.run_until_complete(main())

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(10)
        self.loop.close()

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if body.get("max_tokens", 1) < 0:
            error = {"message": "max_tokens must be positive", "param": "max_tokens", "code": 400}
            return web.json_response({"error": {**error, "type": "BadRequestError"}}, status=400)
        if not body.get("stream"):
            return web.json_response(_answer("message", "whole"))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        sent = 0
        try:
            for sent in range(body.get("max_tokens", 5)):
                event = json.dumps(_answer("delta", f"t{sent} " + "x" * body.get("padding", 0)))
                await response.write(f"data: {event}\n\n".encode())
                await asyncio.sleep(self.pace_s)
            await response.write(b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionError):
            self.left_after.append(sent)
            raise
        return response


def _answer(kind: str, content: str) -> dict[str, Any]:
    told = {"role": "assistant", "content": content}
    choice = {"index": 0, kind: told, "finish_reason": None if kind == "delta" else "stop"}
    name = "chat.completion.chunk" if kind == "delta" else "chat.completion"
    return {"id": "x", "object": name, "created": 1, "model": MODEL, "choices": [choice]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    upstream.thread.start()
    assert upstream.ready.wait(10)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def client(
    upstream: Upstream,
    start_gateway: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("openai")
    (folder / "fleet.toml").write_text(FLEET.format(url=f"http://127.0.0.1:{upstream.port}"))
    (folder / "nearway.toml").write_text(
        f'[remote]\nindex_s = 0.2\n[models]\nshipped = false\naliases = {{"one" = "{MODEL}"}}\n'
        "[server]\nready_centers_min = 0.1\n"
    )
    flags = ("--config", str(folder / "nearway.toml"), "--fleet", str(folder / "fleet.toml"))
    with (
        start_gateway(*flags) as gateway,
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as client,
    ):
        until_s = time.monotonic() + 20.0
        while MODEL not in [model.id for model in client.models.list()]:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        yield client


def test_its_models_are_listed(client: Any) -> None:
    assert [model.id for model in client.models.list()] == [MODEL, "one"]
    assert client.models.retrieve(MODEL).id == MODEL


def test_a_body_passes_with_fields_that_nobody_here_knows(client: Any, upstream: Upstream) -> None:
    told = client.chat.completions.create(
        model=MODEL, messages=QUESTION, extra_body={"guided_json": {"a": 1}, "top_k": 3}
    )
    assert told.choices[0].message.content == "whole"
    assert upstream.bodies[-1]["guided_json"] == {"a": 1}
    assert upstream.bodies[-1]["top_k"] == 3


def test_an_alias_is_put_into_the_body(client: Any, upstream: Upstream) -> None:
    client.chat.completions.create(model="one", messages=QUESTION, temperature=0.5)
    assert upstream.bodies[-1] == {"model": MODEL, "messages": QUESTION, "temperature": 0.5}


def test_a_stream_comes_as_it_is_written(client: Any, upstream: Upstream) -> None:
    upstream.pace_s = 0.05
    began_s = time.monotonic()
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, max_tokens=20
    )
    events = iter(stream)
    first = next(events)
    first_s = time.monotonic() - began_s
    rest = list(events)
    whole_s = time.monotonic() - began_s
    upstream.pace_s = 0.0
    said = [event.choices[0].delta.content for event in (first, *rest)]
    assert said == [f"t{number} " for number in range(20)]
    assert first_s < 0.5 * whole_s


def test_a_client_that_leaves_is_left_by_the_upstream(client: Any, upstream: Upstream) -> None:
    upstream.pace_s, upstream.left_after = 0.02, []
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, max_tokens=1000
    )
    next(iter(stream))
    stream.close()
    until_s = time.monotonic() + 10.0
    while not upstream.left_after:
        assert time.monotonic() < until_s
        time.sleep(0.01)
    upstream.pace_s = 0.0
    assert upstream.left_after[0] < 500


def test_its_errors_are_told_as_they_are(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=-1)
    assert caught.value.param == "max_tokens"
    assert "must be positive" in str(caught.value)


def asked(padding: int, tokens: int) -> tuple[bytes, bytes]:
    """A chat as bytes, and what its body is answered with."""
    told = {"model": MODEL, "messages": QUESTION, "stream": True, "max_tokens": tokens}
    body = json.dumps({**told, "padding": padding}).encode()
    events = (_answer("delta", f"t{sent} " + "x" * padding) for sent in range(tokens))
    answer = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, answer.encode()


def body_of(reader: Any) -> bytes:
    """Of one chunked answer, each size line as strict as it must be."""
    while reader.readline() != b"\r\n":
        pass
    body = b""
    while True:
        line = reader.readline()
        size = int(line, 16)
        assert line.lower() == b"%x\r\n" % size
        body += reader.read(size)
        assert reader.read(2) == b"\r\n"
        if not size:
            return body


def test_a_client_that_reads_late_gets_every_byte(client: Any) -> None:
    sent, expected = asked(1500, 3000)  # more than the buffers of four sockets hold
    address = (client.base_url.host, client.base_url.port)
    with socket.socket() as late:
        late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        late.settimeout(20)
        late.connect(address)
        late.sendall(sent)
        time.sleep(0.5)
        with late.makefile("rb") as reader:
            assert body_of(reader) == expected


def test_over_tls_a_stream_is_the_same(
    upstream: Upstream, start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey ec -nodes -days 2 -pkeyopt ec_paramgen_curve:prime256v1"
    made = [*command.split(), "-subj", "/CN=here", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(made, check=True, capture_output=True, cwd=tmp_path)
    (tmp_path / "fleet.toml").write_text(FLEET.format(url=f"http://127.0.0.1:{upstream.port}"))
    (tmp_path / "nearway.toml").write_text(
        "[remote]\nindex_s = 0.2\n[models]\nshipped = false\n[server]\nready_centers_min = 0.1\n"
        'tls_cert = "cert.pem"\ntls_key = "key.pem"\n[fleet]\nfile = "fleet.toml"\n'
    )
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    context.check_hostname = False
    sent, expected = asked(200, 100)
    with start_gateway("--config", str(tmp_path / "nearway.toml")) as gateway:
        address = ("127.0.0.1", int(gateway.url.rpartition(":")[2]))
        until_s = time.monotonic() + 20.0
        while True:
            with context.wrap_socket(socket.create_connection(address, 20)) as secure:
                secure.sendall(sent)
                with secure.makefile("rb") as reader:
                    if b" 200 " in reader.readline():
                        assert body_of(reader) == expected
                        return
            assert time.monotonic() < until_s
            time.sleep(0.05)
