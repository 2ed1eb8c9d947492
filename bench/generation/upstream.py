"""A server with OpenAI's chat route that costs next to nothing: one event a stream and tick.

    python -m bench.generation.upstream PORT PACE_MS

Every stream gets an event at every tick, each a chunk of its own, until ``max_tokens`` of them
are out. Runs as a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, ClassVar, cast

import uvloop

MODEL = "bench-70b"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
TOLD = {
    "id": "chatcmpl-0123456789abcdef",
    "object": "chat.completion.chunk",
    "created": 1_760_000_000,
    "model": MODEL,
    "choices": [
        {"index": 0, "delta": {"content": " tuyere"}, "logprobs": None, "finish_reason": None}
    ],
}
EVENT = b"data: " + json.dumps(TOLD).encode() + b"\n\n"
LAST = b"data: [DONE]\n\n"
MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()


def chunk(payload: bytes) -> bytes:
    """As a chunk of HTTP/1.1."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


EVENT_CHUNK = chunk(EVENT)
END = chunk(LAST) + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """One connection; requests come one after another."""

    streams: ClassVar[dict[Server, int]] = {}

    def __init__(self) -> None:
        self._read = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """See ``asyncio``."""
        self.streams.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio``."""
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if len(body) < length:
            return
        self._read = body[length:]
        self._answer(head, json.loads(body[:length] or b"{}"))

    def _answer(self, head: bytes, asked: dict[str, Any]) -> None:
        if head.startswith(b"GET /v1/models"):
            self._whole(b"200 OK", MODELS)
        elif head.startswith(b"POST /v1/chat/completions"):
            self.transport.write(HEAD)
            if asked.get("max_tokens", 1) == 1:
                self.transport.write(EVENT_CHUNK + END)
            else:
                self.streams[self] = asked["max_tokens"]
        elif head.startswith(b"GET /health"):
            self._whole(b"200 OK", b"{}")
        else:
            self._whole(b"404 Not Found", b"{}")

    def _whole(self, status: bytes, body: bytes) -> None:
        told = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(told % (status, len(body)) + body)


async def serve(port: int, pace_s: float) -> None:
    """Until it is killed."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Server, "127.0.0.1", port)
    due_s = loop.time()
    while True:
        due_s = max(due_s + pace_s, loop.time())
        await asyncio.sleep(due_s - loop.time())
        for server, left in list(Server.streams.items()):
            server.transport.write(EVENT_CHUNK)
            Server.streams[server] = left - 1
            if left <= 1:
                server.transport.write(END)
                del Server.streams[server]


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1e3))
