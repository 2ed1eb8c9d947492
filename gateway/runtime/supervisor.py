"""``nearway serve`` with several workers: start them, lead them, replace them.

Theory of operation. The supervisor serves no request. It holds the public port, the admin
door, the table's memory and its published block, and one *workforce* in charge: workers of
one config. It stops

* with SIGTERM or SIGINT: every worker drains within ``server.drain_s``;
* when a child that ends again and again is given up (``keeper``): a ChildLost tells why.

SIGHUP reads the config again. A new workforce is started beside the old one, one worker after
another; each accepts from the sockets that the old ones accept from too. When all of them are
ready the old ones retire: they accept no more, each of their connections closes with its next
answer, idle ones after ``server.drain_s``; so nobody is refused and no request is lost. Should
the config be wrong or a new worker not start, the new ones are stopped, the old ones never
noticed, and the reason is printed. What cannot change while running is the two addresses.

The centers of the fleet that have no URL exist once, in a process of their own
(``centers_host``); each workforce has one. A supervisor that is killed leaves nothing: the
memory has no name, and workers and centers end when it is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

from gateway.api import ConfigError, NearwayError
from gateway.config import Settings
from gateway.runtime.child_process import ChildLost
from gateway.runtime.listening import Listening, announce_to
from gateway.runtime.public_sockets import PublicSockets
from gateway.runtime.supervisor_door import SupervisorDoor
from gateway.runtime.workforce import Workforce
from gateway.serving.intake import Intake
from gateway.wan import Gazetteer, load_cities

log = logging.getLogger("nearway.supervisor")
FIXED = ("host", "port", "admin_host", "admin_port")


def supervise(
    load: Callable[[], Settings],
    announce: Path | None = None,
    on_ready: Callable[[Listening], None] = lambda _: None,
) -> None:
    """Serve with ``server.workers`` processes until SIGTERM or SIGINT, then drain.

    ``load`` reads the config, at first and at each SIGHUP. Raises ConfigError before
    listening, ChildLost when workers end again and again.
    """
    asyncio.run(_supervise(load, announce, on_ready))


async def _supervise(
    load: Callable[[], Settings], announce: Path | None, on_ready: Callable[[Listening], None]
) -> None:
    loop = asyncio.get_running_loop()
    supervisor = Supervisor(load)
    stop = asyncio.Event()
    again = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    try:
        listening = await supervisor.start()
        if announce is not None:
            announce_to(announce, listening)
        on_ready(listening)
        await _obey(supervisor, stop, again)
    finally:
        await supervisor.close()


async def _obey(supervisor: Supervisor, stop: asyncio.Event, again: asyncio.Event) -> None:
    """Until it is to stop; raises what made the workforce give up."""
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        while not stop.is_set():
            reloading = asyncio.create_task(again.wait(), name="reload")
            broken = supervisor.workforce.broken
            waited: set[asyncio.Future[Any]] = {stopping, reloading, broken}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            reloading.cancel()
            if broken.done():
                broken.result()
            elif again.is_set():
                again.clear()
                await _unless_stopped(supervisor.reload(), stopping)
    finally:
        stopping.cancel()


async def _unless_stopped(
    work: Coroutine[Any, Any, None], stopping: asyncio.Task[Literal[True]]
) -> None:
    task = asyncio.create_task(work, name="take over the config")
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


class Supervisor:
    """The workforce in charge, the public sockets, the admin door."""

    workforce: Workforce

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self._settings = load()
        self._folder = Path(tempfile.mkdtemp(prefix="nearway-"))
        self._sockets: PublicSockets | None = None
        self._numbers = 0
        self._doors: web.AppRunner | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> Listening:
        """Start the first workforce and open the doors. Raises ConfigError."""
        server = self._settings.server
        self._sockets = PublicSockets(server.host, server.port, server.workers)
        self.workforce = self._workforce(self._settings, self._sockets)
        admin_url = await self._open_door()
        try:
            await self.workforce.start()
        except ChildLost as error:
            raise ConfigError(str(error)) from None
        models = self.workforce.models
        return Listening(self._sockets.url, admin_url, len(self.workforce.centers), models)

    async def reload(self) -> None:
        """Replace the workforce by one of the config as it is now, or say why not."""
        assert self._sockets is not None
        try:
            settings = self._load()
            _check_fixed(self._settings, settings)
            self._sockets.grow(settings.server.workers)
            force = self._workforce(settings, self._sockets)
            force.carry_over(self.workforce)
            await force.start(beside_others=True)
        except NearwayError as error:
            log.error("the config was not taken over, the one before stays: %s", error)
            return
        before, self.workforce, self._settings = self.workforce, force, settings
        log.warning("%d workers of the new config serve; the old ones end", force.slots)
        task = asyncio.create_task(before.retire(), name="retire the old workers")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Drain the workers, close the doors, leave nothing behind."""
        if hasattr(self, "workforce"):
            await asyncio.gather(self.workforce.stop(), *self._retiring)
        if self._doors is not None:
            await self._doors.cleanup()
        if self._sockets is not None:
            self._sockets.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _workforce(self, settings: Settings, sockets: PublicSockets) -> Workforce:
        self._numbers += 1
        return Workforce(settings, sockets, self._folder, self._numbers)

    async def _open_door(self) -> str:
        """On the admin port for people, on a Unix socket for workers; returns its URL."""
        server = self._settings.server
        intake = Intake(self._settings, Gazetteer(load_cities(), self.workforce.centers).find)
        app = SupervisorDoor(lambda: self.workforce).app(intake, server.admin_host)
        self._doors = web.AppRunner(app, access_log=None)
        await self._doors.setup()
        await web.UnixSite(self._doors, str(self._folder / "supervisor")).start()
        site = web.TCPSite(self._doors, server.admin_host, server.admin_port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"server.admin_port = {server.admin_port}: cannot listen on "
                f"{server.admin_host}: {error.strerror}; another process may hold it. "
                "Set server.admin_port (0 picks a free one)."
            ) from None
        host, port = self._doors.addresses[1][:2]
        return f"http://{host}:{port}"


def _check_fixed(now: Settings, then: Settings) -> None:
    for key in FIXED:
        old, new = getattr(now.server, key), getattr(then.server, key)
        if old != new:
            raise ConfigError(
                f"server.{key} = {new!r}, but this process was started with {old!r} and keeps "
                "its doors; start it anew to change them"
            )
