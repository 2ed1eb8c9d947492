"""Run a gateway until it is told to stop; read its config again when told to, or when it changes.

SIGHUP, ``POST /reload`` and the file watch all end in ``Reloader.reload``. The first SIGTERM or
SIGINT drains within ``server.drain_s``, the second ends at once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from gateway.config import Settings
from gateway.runtime.file_watch import FileWatch, watched_paths
from gateway.runtime.gateway import Gateway
from gateway.runtime.listening import Listening, announce_to
from gateway.runtime.reload import Reloader
from gateway.runtime.reloading import Reloading
from gateway.runtime.stopping import Stopping


def serve(
    load: Callable[[], Settings],
    announce: Path | None = None,
    on_ready: Callable[[Listening], None] = lambda _: None,
    config: Path | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, then drain; returns the exit code: 0, or 1 when requests
    were left. Raises ConfigError before listening.

    ``load`` reads the config, at first and at each reload; ``config``: its file, to be watched.
    ``announce``: a file that receives ``{"url", "admin_url", "pid"}`` once ready.
    """
    return uvloop.run(_serve(load, announce, on_ready, config))


async def _serve(
    load: Callable[[], Settings],
    announce: Path | None,
    on_ready: Callable[[Listening], None],
    config: Path | None,
) -> int:
    loop = asyncio.get_running_loop()
    stopping = Stopping(loop)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # what is being read is new anyhow
    gateway = Gateway(load(), loop)
    gateway.reloader = reloader = Reloader(gateway, load)
    try:
        await gateway.load_models()
        url, admin_url = await gateway.open_doors()
        names = gateway.repository.names()
        listening = Listening(url, admin_url, len(gateway.ports), names, gateway.grpc_address)
        if announce is not None:
            announce_to(announce, listening)
        on_ready(listening)
        reloading = Reloading(reloader.reload)
        loop.add_signal_handler(signal.SIGHUP, reloading.soon)
        watch = FileWatch(lambda: watched_paths(gateway.settings, config), reloading.again)
        watching = asyncio.create_task(watch.keep(lambda: gateway.settings.server.watch_s))
        await stopping.asked.wait()
        watching.cancel()
        reloading.stop()
        left = await stopping.unless_again(gateway.drain())
        await stopping.unless_again(reloader.stop())
        return stopping.exit_code(left)
    finally:
        await stopping.unless_again(gateway.close())
