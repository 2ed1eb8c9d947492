"""An attacker's sockets: send anything, see what comes back, never wait for ever."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from bench.abuse.target import MODEL, Target

CLOSED = "closed"
SILENT = "silent"
PATIENCE_S = 30.0
INFER = f"/v2/models/{MODEL}/infer"
ATTEMPTS_AT_ONCE = 256
"""Connections that are being made at once: a listening socket's queue has an end."""

Seen = Counter[str]
"""Statuses, as text, or ``closed`` or ``silent``, and how often."""


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> bool:
        """False: the gateway has closed."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError:
            return False
        return True

    async def status(self, within_s: float = PATIENCE_S) -> str:
        """Of the next answer, whose body is read too; or how it ended without."""
        try:
            async with asyncio.timeout(within_s):
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                sizes = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
                if sizes:
                    await self.reader.readexactly(sizes[0])
                return head.split(b" ", 2)[1].decode()
        except TimeoutError:
            return SILENT
        except (OSError, asyncio.IncompleteReadError, IndexError):
            return CLOSED

    async def end(self, within_s: float = PATIENCE_S) -> str:
        """Wait until the gateway closes: the first answer's status, if there was one."""
        told = b""
        try:
            async with asyncio.timeout(within_s):
                while piece := await self.reader.read(65536):
                    told = (told + piece)[:4096]
        except TimeoutError:
            return SILENT
        except OSError:
            pass
        return told[9:12].decode() if told.startswith(b"HTTP/1.") else CLOSED

    def stop_reading(self) -> None:
        """Leave whatever comes in the socket."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def read_again(self) -> None:
        """As before."""
        cast(asyncio.Transport, self.writer.transport).resume_reading()

    def reset(self) -> None:
        """Close so that the gateway gets a reset, and no port waits here."""
        raw = self.writer.get_extra_info("socket")
        if raw is not None and raw.fileno() >= 0:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def connect(target: Target, *, receive_bytes: int = 0) -> Client:
    """To the public door. Raises OSError."""
    raw = socket.socket()
    raw.setblocking(False)
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        await asyncio.get_running_loop().sock_connect(raw, target.address)
        return Client(*await asyncio.open_connection(sock=raw, limit=64 * 1024 * 1024))
    except OSError:
        raw.close()
        raise


async def many(count: int, one: Callable[[int], Awaitable[str]]) -> Seen:
    """``one`` so many times at once; what each saw."""
    seen: Seen = Counter()
    tasks = [asyncio.ensure_future(one(number)) for number in range(count)]
    for told in await asyncio.gather(*tasks):
        seen[told] += 1
    return seen


async def open_many(target: Target, count: int) -> list[Client]:
    """So many connections, or as many as can be had."""
    gate = asyncio.Semaphore(ATTEMPTS_AT_ONCE)

    async def one() -> Client | None:
        async with gate:
            try:
                return await connect(target)
            except OSError:
                return None

    made = await asyncio.gather(*(one() for _ in range(count)))
    return [client for client in made if client is not None]


async def ask(target: Target, data: bytes, within_s: float = PATIENCE_S) -> str:
    """One piece of bytes on a connection of its own; the answer's status."""
    try:
        client = await connect(target)
    except OSError:
        return CLOSED
    try:
        sending = asyncio.ensure_future(client.send(data))
        told = await client.status(within_s)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return told
    finally:
        client.reset()


async def ask_each(target: Target, requests: Iterable[bytes]) -> Seen:
    """One after another, each on a connection of its own."""
    seen: Seen = Counter()
    for data in requests:
        seen[await ask(target, data)] += 1
    return seen


def post(
    body: bytes, *fields: str, path: str = INFER, length: int | None = None, host: str = "a"
) -> bytes:
    """An inference request."""
    size = len(body) if length is None else length
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        *fields,
        f"Content-Length: {size}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + body


def post_chunked(chunks: bytes, *fields: str, path: str = INFER) -> bytes:
    """The same, framed by ``chunks`` as they are."""
    lines = [f"POST {path} HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", *fields, "", ""]
    return "\r\n".join(lines).encode() + chunks


def tensor(data: str, shape: str = "[1, 24, 12]", more: str = "", datatype: str = "FP32") -> bytes:
    """The body of a request whose one tensor is as told, right or wrong."""
    return (
        f'{{"inputs": [{{"name": "window", "shape": {shape}, "datatype": "{datatype}"'
        f'{more}, "data": {data}}}]}}'
    ).encode()


GOOD = tensor("[" + ", ".join(["0.5"] * 288) + "]")
