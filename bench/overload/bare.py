"""A server that only refuses: what a refusal costs the client and the machine by themselves.

    async with bare_server() as url:
        ...

A process of its own, a protocol of asyncio's, nothing is parsed but where a request ends. Whoever
asks it in the same loops at the same time knows what of a refusal's time is not the gateway's.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import cast

import uvloop

BODY = b'{"error":"' + b"." * 200 + b'","reason":"waiting"}'
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"x-nearway-reason: waiting\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
END = b"\r\n\r\n"


class Refusing(asyncio.Protocol):
    """Answers when head and body of a request are there; one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio``."""
        self._transport = cast(asyncio.Transport, transport)
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        """Count to the end of the request."""
        self._unread += data
        head, end, body = self._unread.partition(END)
        if end and len(body) >= _length(head):
            self._unread = b""
            self._transport.write(ANSWER)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


@contextlib.asynccontextmanager
async def bare_server() -> AsyncIterator[str]:
    """Its address, while it runs; it ends when its standard input does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.overload.bare",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = await asyncio.wait_for(process.stdout.readline(), 30.0)
        yield f"http://127.0.0.1:{int(told)}"
    finally:
        process.stdin.close()
        await process.wait()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Refusing, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    uvloop.run(_serve())
