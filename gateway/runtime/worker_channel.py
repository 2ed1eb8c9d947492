"""What a supervisor and its children say to one another: JSON lines over a socket pair.

The supervisor's first line is ``Hello`` to a worker and ``HostCenters`` to the process that
hosts the centers: everything the child needs to know. The child answers ``Ready`` or
``Failed``. The end of the connection is a message too: a child whose supervisor is gone drains
and stops, a supervisor whose child is gone sees its process end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec

LINE_BYTES_MAX = 4 * 1024 * 1024
BEATS = 8


class Hello(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: who you are. ``settings``: a config as plain JSON.

    ``seat``: the worker's row in the shared table of ``table`` = (centers, seats, vantages,
    models), in the memory behind ``memory_fd``. ``sockets``: descriptors of all public
    sockets, of which it accepts on those at ``own_sockets``. ``folder``: a private folder
    for Unix sockets, with the worker's own admin door at ``admin_path`` and the supervisor's
    at ``supervisor_path``. ``centers_url``: where centers live that have no URL of their own.
    """

    settings: dict[str, Any]
    seat: int
    table: tuple[int, int, int, int]
    memory_fd: int
    sockets: tuple[int, ...]
    own_sockets: tuple[int, ...]
    folder: str
    admin_path: str
    supervisor_path: str
    centers_url: str = ""


class HostCenters(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: host the centers of the fleet of ``settings`` that have no URL.

    ``socket``: the Unix socket to serve them on, frames and the admin door.
    """

    settings: dict[str, Any]
    socket: str


class Accept(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: accept on public socket number ``number`` from now on, or no longer."""

    number: int
    wanted: bool


class Retire(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: another worker has taken over; answer what was begun, then exit."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Supervisor: refuse new work, wait for what is in flight, exit."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Child: it serves."""

    centers: int
    models: tuple[str, ...]


class Failed(msgspec.Struct, tag=True, frozen=True):
    """Child: it could not start, and why."""

    message: str


class Alive(msgspec.Struct, tag=True, frozen=True):
    """Child: its loop runs; said ``BEATS`` times within the ``server.hung_s`` of its config."""


ToChild = Hello | HostCenters | Accept | Retire | Stop
ToSupervisor = Ready | Failed | Alive


class Channel:
    """One end, on an event loop. ``tell`` never blocks; ``heard`` yields until the end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """Take over a connected socket."""
        reader, writer = await asyncio.open_connection(sock=end, limit=LINE_BYTES_MAX)
        return cls(reader, writer)

    def tell(self, message: ToChild | ToSupervisor) -> None:
        """Say it; nothing happens when the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(msgspec.json.encode(message) + b"\n")

    async def say_last(self, message: ToChild | ToSupervisor) -> None:
        """Say it, wait until it is on its way, and close."""
        self.tell(message)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        self.close()

    async def to_supervisor(self) -> AsyncIterator[ToSupervisor]:
        """What a child says."""
        async for line in self._lines():
            yield msgspec.json.decode(line, type=ToSupervisor)

    async def to_child(self) -> AsyncIterator[ToChild]:
        """What the supervisor says."""
        async for line in self._lines():
            yield msgspec.json.decode(line, type=ToChild)

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            try:
                line = await self._reader.readline()
            except (ConnectionError, ValueError):
                return
            if not line.endswith(b"\n"):
                return
            yield line

    async def keep_alive(self, hung_s: float) -> None:
        """Say that the loop runs, for ever; not at all when nobody wants to know."""
        while hung_s:
            self.tell(Alive())
            await asyncio.sleep(hung_s / BEATS)

    def close(self) -> None:
        """No more is said."""
        self._writer.close()
