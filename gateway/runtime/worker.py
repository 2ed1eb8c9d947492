"""One worker: a gateway at a seat of a shared table, led by a supervisor.

    python -m gateway.runtime.worker DESCRIPTOR

started by ``supervisor`` with one end of a socket pair, which tells the rest (``Hello``). A
worker accepts on the public sockets it inherited and serves its admin door on a Unix socket
for the supervisor alone. It ends when it is told to retire or to stop, by SIGTERM, or when
its supervisor is gone; in each case what was begun is answered first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from enum import Enum

import aiohttp
import msgspec
import uvloop

from gateway.api import NearwayError, NoCenter
from gateway.config import Settings
from gateway.fleet.shared_fleet import SharedFleet
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.runtime.fast_tick import FastTick
from gateway.runtime.gateway import Gateway
from gateway.runtime.shared_memory import SharedMemory
from gateway.runtime.worker_channel import (
    Accept,
    Channel,
    Failed,
    Hello,
    Ready,
    Retire,
    Stop,
    ToChild,
)
from gateway.runtime.worker_seat import WorkerSeat, worker_settings

METRICS_TIMEOUT_S = 5.0
COULD_NOT_START = 1
LEFT_REQUESTS = 2
"""Exit codes."""


class Ending(Enum):
    """Why a worker ends."""

    RETIRED = "retired"
    STOPPED = "stopped"
    ALONE = "alone"


def main() -> None:
    """Serve until the supervisor says otherwise; exits 1 when the worker could not start."""
    sys.exit(uvloop.run(_work(socket.socket(fileno=int(sys.argv[1])))))


async def _work(end: socket.socket) -> int:
    channel = await Channel.over(end)
    with contextlib.closing(channel):
        orders = channel.to_child()
        hello = await anext(orders, None)
        if not isinstance(hello, Hello):
            return COULD_NOT_START
        settings = worker_settings(msgspec.convert(hello.settings, Settings), hello.seat)
        set_up_log(settings.telemetry.log_level, f"worker {hello.seat} ")
        try:
            left = await _serve(settings, hello, channel, orders)
        except NearwayError as error:
            await channel.say_last(Failed(str(error)))
            return COULD_NOT_START
        return LEFT_REQUESTS if left else 0


async def _serve(
    settings: Settings, hello: Hello, channel: Channel, orders: AsyncIterator[ToChild]
) -> int:
    """Returns how many requests were left without their answer."""
    loop = asyncio.get_running_loop()
    gateway = Gateway(settings, loop, seat=_seat(hello))
    gateway.front.whole_metrics = _MetricsOfAll(hello.supervisor_path).text
    fleet = gateway.deciding.fleet
    assert isinstance(fleet, SharedFleet)
    ticking = FastTick(fleet, loop)
    try:
        await gateway.load_models()
        await gateway.open_doors()
        names = tuple(name for name, *_ in gateway.repository.index())
        channel.tell(Ready(len(gateway.ports), names))
        alive = asyncio.create_task(channel.keep_alive(settings.server.hung_s), name="alive")
        why = await _obey(gateway, orders)
        alive.cancel()
        if why is Ending.RETIRED:
            await gateway.retire()
            left = gateway.front.metrics.in_flight
        else:
            left = await gateway.drain()
        if why is Ending.ALONE:
            shutil.rmtree(hello.folder, ignore_errors=True)
        return left
    finally:
        ticking.stop()
        await gateway.close()


def _seat(hello: Hello) -> WorkerSeat:
    size = TableSize(*hello.table)
    memory = SharedMemory(hello.memory_fd, size.bytes)
    return WorkerSeat(
        hello.seat,
        SharedTable(memory.buffer, size),
        tuple(socket.socket(fileno=each) for each in hello.sockets),
        hello.own_sockets,
        hello.admin_path,
        hello.supervisor_path,
        hello.centers_url,
    )


async def _obey(gateway: Gateway, orders: AsyncIterator[ToChild]) -> Ending:
    """Accept where it is told to, until it is to end."""

    async def only_endings() -> AsyncIterator[ToChild]:
        async for order in orders:
            if isinstance(order, Accept):
                await gateway.accept(order.number, wanted=order.wanted)
            else:
                yield order

    return await told_to_end(only_endings())


async def told_to_end(orders: AsyncIterator[ToChild]) -> Ending:
    """Until the order to end, SIGTERM, or the end of the supervisor."""
    stopped: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    def stop() -> None:
        if not stopped.done():
            stopped.set_result(Ending.STOPPED)

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    listening = asyncio.create_task(_ending(orders), name="supervisor's orders")
    await asyncio.wait({stopped, listening}, return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        return listening.result()
    listening.cancel()
    return stopped.result()


async def _ending(orders: AsyncIterator[ToChild]) -> Ending:
    async for order in orders:
        if isinstance(order, Retire):
            return Ending.RETIRED
        if isinstance(order, Stop):
            return Ending.STOPPED
    return Ending.ALONE


class _MetricsOfAll:
    """What ``GET /metrics`` at a worker's public door says: the figures of all workers."""

    def __init__(self, supervisor_path: str) -> None:
        self._path = supervisor_path

    async def text(self) -> bytes:
        """Asked of the supervisor. Raises NoCenter when it does not answer."""
        timeout = aiohttp.ClientTimeout(total=METRICS_TIMEOUT_S)
        connector = aiohttp.UnixConnector(self._path)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get("http://localhost/metrics") as answer,
            ):
                if answer.status == 200:
                    return await answer.read()
        raise NoCenter("the supervisor does not answer; the figures of all workers are with it")


def set_up_log(level: str, who: str = "") -> None:
    """Warnings of every part on standard error, ``who`` before the part's name."""
    logging.basicConfig(level=level.upper(), format=f"%(levelname)s {who}%(name)s: %(message)s")
    # It writes a traceback for every malformed request; handlers' own errors are logged by us.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    main()
