"""A way that breaks on command: a TCP proxy between a gateway and its centers.

    python -m gateway.measure.chaos.proxy SPEC

SPEC is a JSON file: ``{"control": path, "announce": path, "ways": {name: [host, port]}}``. Each
way gets a port of its own, announced as ``{name: port}``. The control socket takes a JSON line
``{"way": name, "do": what}`` and answers one. What can be done:

    open        all passes, as in the beginning; what half_open left is reset
    black_hole  nothing passes and nothing is closed; what was sent arrives when it is over
    half_open   the far ends of today's connections are gone, their near ends do not know it
    reset       today's connections are reset, new ones pass
    garbage     whatever the center says arrives as as many random bytes
    gone        nobody listens behind it: a connection is reset as soon as it is made

A black hole stops reading, so the kernel's buffers fill as they would on a cut cable. That a
connection is still taken is the kernel's doing; it just never says a word.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any, cast

import uvloop

DOINGS = ("open", "black_hole", "half_open", "reset", "garbage", "gone")
HELD_BYTES_MAX = 4 * 1024 * 1024


class End(asyncio.Protocol):
    """One side of a connection: what it reads goes to ``other``."""

    def __init__(self, pair: Pair, *, is_center: bool) -> None:
        self.pair = pair
        self.is_center = is_center
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read, unless nothing passes now."""
        self.transport = cast(asyncio.Transport, transport)
        self.pair.made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on."""
        self.pair.heard(self, data)

    def connection_lost(self, _error: Exception | None) -> None:
        """The other side learns of it, unless it must not."""
        self.transport = None
        self.pair.lost(self)


class Pair:
    """A gateway's connection and the one to the center behind it."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.near = End(self, is_center=False)
        self.far = End(self, is_center=True)
        self.dead = False
        self._held: list[bytes] = []
        self._dialling: asyncio.Task[None] | None = None

    def made(self, end: End) -> None:
        """A side is there."""
        assert end.transport is not None
        if end.is_center:
            held, self._held = self._held, []
            end.transport.writelines(held)
            if self.near.transport is None:
                end.transport.abort()
        else:
            self.way.pairs.add(self)
            if self.way.doing == "gone":
                end.transport.abort()
                return
            self._dialling = asyncio.create_task(self._dial(), name=f"dial {self.way.name}")
        if self.way.doing == "black_hole":
            end.transport.pause_reading()

    async def _dial(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self.far, self.way.host, self.way.port
            )
        except OSError:
            self.abort()

    def heard(self, end: End, data: bytes) -> None:
        """Bytes of one side, for the other."""
        if self.dead:
            return
        if end.is_center and self.way.doing == "garbage":
            data = random.randbytes(len(data))
        other = self.near if end.is_center else self.far
        if other.transport is not None:
            other.transport.write(data)
        elif not end.is_center and sum(map(len, self._held)) < HELD_BYTES_MAX:
            self._held.append(data)

    def lost(self, end: End) -> None:
        """A side is gone; the other is reset, but not when it is to believe in it."""
        if end.is_center and self.dead:
            return
        self.abort()

    def half_open(self) -> None:
        """The center's end is gone, the gateway's stays and hears nothing."""
        self.dead = True
        if self.far.transport is not None:
            self.far.transport.abort()

    def pause(self) -> None:
        """Read no more."""
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.resume_reading()

    def abort(self) -> None:
        """Reset both sides."""
        self.way.pairs.discard(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.abort()


class Way:
    """The way to one center."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.doing = "open"
        self.pairs: set[Pair] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Pair(self).near, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def do(self, what: str) -> None:
        """Raises ValueError for what cannot be done."""
        if what not in DOINGS:
            raise ValueError(f"{what!r} cannot be done; expected one of {', '.join(DOINGS)}")
        before, self.doing = self.doing, what
        pairs = tuple(self.pairs)
        if before == "black_hole":
            for pair in pairs:
                pair.resume()
        for pair in pairs:
            if what in ("reset", "gone") or (what == "open" and pair.dead):
                pair.abort()
            elif what == "half_open":
                pair.half_open()
            elif what == "black_hole":
                pair.pause()

    def close(self) -> None:
        """Everything ends."""
        if self._server is not None:
            self._server.close()
        for pair in tuple(self.pairs):
            pair.abort()


async def obey(
    ways: dict[str, Way], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """A line is an order; the answer a line that says what is wrong with it, if anything."""
    while line := await reader.readline():
        told = {"error": ""}
        try:
            order = json.loads(line)
            ways[order["way"]].do(order["do"])
        except (ValueError, KeyError, TypeError) as error:
            told = {"error": str(error) or repr(error)}
        writer.write(json.dumps(told).encode() + b"\n")
    writer.close()


async def run(spec: dict[str, Any], stop: asyncio.Event | None = None) -> None:
    """Until ``stop``, or for ever."""
    ways = {name: Way(name, host, port) for name, (host, port) in spec["ways"].items()}
    ports = {name: await way.listen() for name, way in ways.items()}

    async def ordered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await obey(ways, reader, writer)

    control = await asyncio.start_unix_server(ordered, spec["control"])
    announce = Path(spec["announce"])
    part = announce.with_name(announce.name + ".part")
    part.write_text(json.dumps(ports))
    part.replace(announce)
    try:
        await (stop or asyncio.Event()).wait()
    finally:
        control.close()
        for way in ways.values():
            way.close()


def main() -> None:
    """Read the spec that the one argument names, and proxy."""
    uvloop.run(run(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
