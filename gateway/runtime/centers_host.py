"""The centers of several workers: one process that hosts all that have no URL.

    python -m gateway.runtime.centers_host DESCRIPTOR

started by ``supervisor``. A center exists once: its slots, its line and its models must be the
same for every worker. It is ``nearway center --all --emulate-wan`` on a Unix socket, led as a
worker is: it ends when it is told to, by SIGTERM, or when its supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import uvloop

from gateway.api import NearwayError
from gateway.config import Settings
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterPlan
from gateway.runtime.worker import COULD_NOT_START, set_up_log, told_to_end
from gateway.runtime.worker_channel import Channel, Failed, HostCenters, Ready, ToChild


def main() -> None:
    """Serve until the supervisor says otherwise; exits 1 when it could not start."""
    sys.exit(uvloop.run(_host(socket.socket(fileno=int(sys.argv[1])))))


async def _host(end: socket.socket) -> int:
    channel = await Channel.over(end)
    with contextlib.closing(channel):
        orders = channel.to_child()
        told = await anext(orders, None)
        if not isinstance(told, HostCenters):
            return COULD_NOT_START
        try:
            await _serve(told, channel, orders)
        except NearwayError as error:
            await channel.say_last(Failed(str(error)))
            return COULD_NOT_START
        return 0


async def _serve(told: HostCenters, channel: Channel, orders: AsyncIterator[ToChild]) -> None:
    settings = msgspec.convert(told.settings, Settings)
    set_up_log(settings.telemetry.log_level, "centers ")
    plan = CenterPlan(socket=Path(told.socket), emulate_wan=True)
    process = CenterProcess(settings, plan, asyncio.get_running_loop())
    try:
        await process.load_models()
        listening = await process.open_doors()
        channel.tell(Ready(len(listening.centers), listening.models))
        alive = asyncio.create_task(channel.keep_alive(settings.server.hung_s), name="alive")
        await told_to_end(orders)
        alive.cancel()
        await process.drain()
    finally:
        await process.close()


if __name__ == "__main__":
    main()
