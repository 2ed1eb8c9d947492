"""``nearway serve`` with several workers: start them, lead them, replace them.

Theory of operation. The supervisor serves no request. It holds the public port, the admin
door, the table's memory and its published block, and one *workforce* in charge: workers of
one config. It stops

* with SIGTERM or SIGINT: every worker drains within ``server.drain_s``; a second one kills them;
* when children that end again and again are given up (``crash_loop``) and nobody is left to
  serve: a ChildLost tells why.

SIGHUP, ``POST /reload`` and the file watch read the config again. It is checked in this process
first: fleet, policies, plugins, places. A new workforce is started beside the old one, one
worker after another; each accepts from the sockets that the old ones accept from too. When all
of them are ready the old ones retire: they accept no more, each of their connections closes with
its next answer, idle ones after ``server.drain_s``; so nobody is refused and no request is lost.
Should the config be wrong or a new worker not start, the new ones are stopped, the old ones never
noticed, and the reason is printed and answered. What cannot change while running is the two
addresses (``FIXED``): they are named, and stay. New processes read everything anew, so SIGHUP
replaces them also when nothing in the config has changed: plugins may have.

The gRPC door's port is held by a socket here, too, which never listens: each worker's door has
its own sockets on that port, and what waits at those of a worker that dies is reset.

The centers of the fleet that have no URL exist once, in a process of their own
(``centers_host``); each workforce has one. A supervisor that is killed leaves nothing: the
memory has no name, and workers and centers end when it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from gateway.api import ConfigError, NearwayError
from gateway.config import Settings
from gateway.config.changes import Changes, center_changes, settings_changes, with_kept
from gateway.config.file_signature import Signature, signature_of
from gateway.engine.repository import model_folders
from gateway.runtime.alias_check import check_aliases
from gateway.runtime.child_process import ChildLost
from gateway.runtime.deciding import build_deciding, model_roots
from gateway.runtime.file_watch import FileWatch, watched_paths
from gateway.runtime.listening import Listening, announce_to
from gateway.runtime.plugin_clock import plugin_clock
from gateway.runtime.public_sockets import PublicSockets
from gateway.runtime.reloading import Reloading
from gateway.runtime.stopping import Stopping
from gateway.runtime.supervisor_door import SupervisorDoor
from gateway.runtime.workforce import Workforce
from gateway.serving.intake import Intake
from gateway.wan import Gazetteer, load_cities

log = logging.getLogger("nearway.supervisor")
FIXED = (
    "server.host",
    "server.port",
    "server.grpc_port",
    "server.admin_host",
    "server.admin_port",
)


def supervise(
    load: Callable[[], Settings],
    announce: Path | None = None,
    on_ready: Callable[[Listening], None] = lambda _: None,
    config: Path | None = None,
) -> int:
    """Serve with ``server.workers`` processes until SIGTERM or SIGINT, then drain; returns the
    exit code: 0, or 1 when requests were left.

    ``load`` reads the config, at first and at each reload; ``config``: its file, to be watched.
    Raises ConfigError before listening, ChildLost when workers end again and again.
    """
    return asyncio.run(_supervise(load, announce, on_ready, config))


async def _supervise(
    load: Callable[[], Settings],
    announce: Path | None,
    on_ready: Callable[[Listening], None],
    config: Path | None,
) -> int:
    loop = asyncio.get_running_loop()
    stopping = Stopping(loop)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # what is being read is new anyhow
    supervisor = Supervisor(load)
    reloading = Reloading(supervisor.reload)
    try:
        listening = await supervisor.start()
        if announce is not None:
            announce_to(announce, listening)
        on_ready(listening)
        loop.add_signal_handler(signal.SIGHUP, reloading.soon)
        watch = FileWatch(lambda: watched_paths(supervisor.settings, config), reloading.again)
        watching = asyncio.create_task(watch.keep(lambda: supervisor.settings.server.watch_s))
        await _until_stopped(supervisor, stopping)
        watching.cancel()
        reloading.stop()
        return stopping.exit_code(await stopping.unless_again(supervisor.drain()))
    finally:
        reloading.stop()
        await supervisor.close()


async def _until_stopped(supervisor: Supervisor, stopping: Stopping) -> None:
    """Raises what made the workforce in charge give up."""
    asked = asyncio.create_task(stopping.asked.wait(), name="stop")
    try:
        while not asked.done():
            replaced = asyncio.create_task(supervisor.replaced.wait(), name="replaced")
            broken = supervisor.workforce.broken
            waited: set[asyncio.Future[Any]] = {asked, replaced, broken}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            replaced.cancel()
            supervisor.replaced.clear()
            if broken.done() and broken is supervisor.workforce.broken:
                broken.result()
    finally:
        asked.cancel()


class Supervisor:
    """The workforce in charge, the public sockets, the admin door. ``replaced`` is set when
    another workforce has come into charge.
    """

    workforce: Workforce

    def __init__(self, load: Callable[[], Settings]) -> None:
        self._load = load
        self.settings = load()
        self.replaced = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._replacing: asyncio.Task[Changes] | None = None
        self._models: dict[str, Signature] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="nearway-"))
        self._sockets: PublicSockets | None = None
        self._grpc: PublicSockets | None = None
        self._numbers = 0
        self._doors: web.AppRunner | None = None
        self._door: SupervisorDoor | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> Listening:
        """Start the first workforce and open the doors. Raises ConfigError."""
        server = self.settings.server
        self._sockets = PublicSockets(server.host, server.port, server.workers)
        if server.grpc_port >= 0:
            self._grpc = PublicSockets(server.host, server.grpc_port, 1, "server.grpc_port")
        self.workforce = self._workforce(self.settings, self._sockets)
        self._models = await asyncio.to_thread(_models_on_disk, self.settings)
        if self.settings.models.aliases:  # workers believe them: all centers are elsewhere for them
            await asyncio.to_thread(_check, self.settings, tuple(self._models))
        admin_url = await self._open_door()
        try:
            await self.workforce.start()
        except ChildLost as error:
            raise ConfigError(str(error)) from None
        models, centers = self.workforce.models, len(self.workforce.centers)
        grpc = "" if self._grpc is None else self._grpc.address
        url = f"https://{self._sockets.address}" if server.tls_cert else self._sockets.url
        return Listening(url, admin_url, centers, models, grpc)

    async def reload(self) -> Changes:
        """Replace the workforce by one of the config as it is now. Raises NearwayError when that
        cannot be: then nothing has changed.
        """
        async with self._one_at_a_time:
            self._replacing = asyncio.create_task(self._replace(), name="take over the config")
            try:
                await asyncio.wait({self._replacing})
                if self._replacing.cancelled():
                    raise ConfigError("the process was told to stop meanwhile")
                changes = self._replacing.result()
            except NearwayError as error:
                log.error("the config was not taken over, the one before stays: %s", error)
                raise
        for line in changes.lines():
            log.warning("%s", line)
        log.warning("%d new workers serve; the old ones end", self.workforce.slots)
        return changes

    async def _replace(self) -> Changes:
        assert self._sockets is not None
        was = self.settings
        read = await asyncio.to_thread(self._load)
        differs = settings_changes(was, read)
        fixed = {key: pair for key, pair in differs.items() if key in FIXED}
        settings = with_kept(was, read, fixed)
        models = await asyncio.to_thread(_models_on_disk, settings)
        await asyncio.to_thread(_check, settings, tuple(models))
        self._sockets.grow(settings.server.workers)
        before, force = self.workforce, self._workforce(settings, self._sockets)
        force.carry_over(before)
        await force.start(beside_others=True)
        self.workforce, self.settings = force, settings
        self.replaced.set()
        task = asyncio.create_task(before.retire(), name="retire the old workers")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        old_models, self._models = self._models, models
        kept = old_models.keys() & models.keys()
        return Changes(
            {key: pair for key, pair in differs.items() if key not in fixed},
            fixed,
            *center_changes(before.centers, force.centers),
            tuple(sorted(models.keys() - old_models.keys())),
            tuple(sorted(old_models.keys() - models.keys())),
            tuple(sorted(name for name in kept if models[name] != old_models[name])),
        )

    async def drain(self) -> int | None:
        """Stop every worker; returns how many requests were left, None for an unknown number."""
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait({self._replacing})
        await asyncio.gather(self.workforce.stop(), *self._retiring)
        return self.workforce.left

    async def close(self) -> None:
        """Kill what still runs, close the doors, leave nothing behind."""
        if hasattr(self, "workforce"):
            await self.workforce.kill()
            for task in tuple(self._retiring):
                task.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)
        if self._door is not None:
            await self._door.feed.stop()
            logging.getLogger("nearway").removeHandler(self._door.events)
        if self._doors is not None:
            await self._doors.cleanup()
        for held in (self._sockets, self._grpc):
            if held is not None:
                held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _workforce(self, settings: Settings, sockets: PublicSockets) -> Workforce:
        self._numbers += 1
        if self._grpc is not None:
            settings = _with_grpc_port(settings, self._grpc.port)
        return Workforce(settings, sockets, self._folder, self._numbers)

    async def _open_door(self) -> str:
        """On the admin port for people, on a Unix socket for workers; returns its URL."""
        server = self.settings.server
        intake = Intake(self.settings, Gazetteer(load_cities(), self.workforce.centers).find)
        self._door = SupervisorDoor(
            lambda: self.workforce, self.reload, self.settings.telemetry.target_ms
        )
        logging.getLogger("nearway").addHandler(self._door.events)
        app = self._door.app(intake, server.admin_host)
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


def _with_grpc_port(settings: Settings, port: int) -> Settings:
    """Workers listen there by themselves, each on a socket of its own."""
    return replace(settings, server=replace(settings.server, grpc_port=port))


def _check(settings: Settings, models: tuple[str, ...]) -> None:
    """Whether workers could be made of it. Raises NearwayError."""
    deciding = build_deciding(settings, plugin_clock())
    check_aliases(settings.models.aliases, deciding.centers, models)


def _models_on_disk(settings: Settings) -> dict[str, Signature]:
    """By name, the signature of its folder. Raises ConfigError."""
    folders = [folder for root in model_roots(settings) for folder in model_folders(root)]
    return {folder.name: signature_of([folder]) for folder in folders}
