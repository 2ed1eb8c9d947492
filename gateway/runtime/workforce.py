"""The workers of one config, the table they share, and the process that hosts their centers.

Theory of operation. Slots are places at the public sockets, seats rows of the table. Each slot
has a keeper (``keeper``). When a worker ends, in the same loop turn its seat is cleared (what
it had in flight is gone with its connections) and the other workers begin to accept on its
public sockets; when its successor is ready they leave them to it. So nobody who connects waits
for a dead worker.

Centers without a URL are hosted by one child more, kept running the same way; while it is away
workers find their connections to it lost, and reconnect.

A new config gets a new workforce, with a table of its own (``supervisor``); what the one
before knew is carried over where it fits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Coroutine
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from gateway.api import Center
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.config.framed_url import FramedAddress
from gateway.fleet.kept_rows import kept_rows
from gateway.fleet.shared_merge import MERGE_S, Merger
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.runtime.child_process import (
    ChildLost,
    ChildProcess,
    Worker,
    start_centers,
    start_worker,
)
from gateway.runtime.crash_loop import CrashLoop
from gateway.runtime.keeper import Keeper
from gateway.runtime.public_sockets import PublicSockets
from gateway.runtime.shared_memory import SharedMemory
from gateway.runtime.worker_channel import Accept, Hello, HostCenters, Retire, Stop
from gateway.wan import Gazetteer, load_cities

GRACE_S = 5.0
"""How much longer than ``server.drain_s`` a child may take to end before it is killed."""

log = logging.getLogger("nearway.supervisor")


def table_size(settings: Settings, centers: tuple[Center, ...]) -> TableSize:
    """Of the table that the workers of ``settings`` share."""
    places = len(Gazetteer(load_cities(), centers).places)
    return TableSize(len(centers), settings.server.workers, places)


class Workforce:
    """Workers of one config. Raises ConfigError for a wrong fleet before any is started.

    ``number`` tells workforces of one supervisor apart; ``folder`` is private to both.
    """

    def __init__(
        self, settings: Settings, sockets: PublicSockets, folder: Path, number: int
    ) -> None:
        self.settings = settings
        self.centers: tuple[Center, ...] = load_fleet(
            Path(settings.fleet.file) if settings.fleet.file else None, settings.fleet.sites
        )
        self.slots = settings.server.workers
        self.restarts = 0
        self.given_up: list[int] = []
        self._leaving: list[ChildProcess] = []
        self._left: int | None = 0
        self.workers: dict[int, Worker] = {}
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sockets = sockets
        self._sockets_count = len(sockets.sockets)
        self._folder = folder
        self._number = number
        self.places = Gazetteer(load_cities(), self.centers).places
        self._size = table_size(settings, self.centers)
        self._memory = SharedMemory.make(self._size.bytes)
        self.shared = SharedTable(self._memory.buffer, self._size)
        self.merger = Merger(
            self.shared,
            [(center.region, center.zone) for center in self.centers],
            Random(f"{settings.routing.seed}:health"),
        )
        self.hosts_centers = any(center.url is None for center in self.centers)
        self.centers_host: ChildProcess | None = None
        self._free_seats = list(range(self._size.seats))
        self._keepers: list[asyncio.Task[None]] = []
        self._merging = self._watched(self._keep_merging(), "merge")

    # ---- life ------------------------------------------------------------------------------

    async def start(self, *, beside_others: bool = False) -> None:
        """Start the centers' process, then the workers; keep all of them running.

        ``beside_others``: one worker after another, so that those who serve are not slowed.
        Raises ChildLost when one cannot start; those that could are stopped again.
        """
        try:
            if self.hosts_centers:
                self._keep_centers(await self._start_centers())
            if beside_others:
                for slot in range(self.slots):
                    await self._fill(slot)
            else:
                await self._fill_all()
        except BaseException:
            await self.stop()
            raise

    async def _fill_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for slot in range(self.slots):
                    group.create_task(self._fill(slot), name=f"start worker {slot}")
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _fill(self, slot: int) -> None:
        self._keep_worker(slot, await self._start_worker(slot))

    @property
    def models(self) -> tuple[str, ...]:
        """What is served, by the centers here and by those with a URL."""
        told = [worker.process.models for worker in self.workers.values()]
        told += [] if self.centers_host is None else [self.centers_host.models]
        return tuple(sorted({name for names in told for name in names}))

    def carry_over(self, before: Workforce) -> None:
        """Begin with what another workforce was told and has learned of the same fleet."""
        self.restarts = before.restarts
        rows = {center.id: row for row, center in enumerate(before.centers)}
        for row, center in enumerate(self.centers):
            old = rows.get(center.id)
            if old is not None and before.merger.condition(old).draining:
                self.merger.drain(row, draining=True)
        pairs = zip(self.places, before.places, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self.merger.carry_over(before.shared, kept_rows(before.centers, self.centers), same)

    async def stop(self) -> None:
        """Stop every worker: no new work, what is in flight ends within ``server.drain_s``."""
        await self._dismiss(Stop())

    async def retire(self) -> None:
        """Others accept already: every worker answers what it began, and ends."""
        await self._dismiss(Retire())

    async def kill(self) -> None:
        """Whoever still runs, at once."""
        children = [worker.process for worker in self.workers.values()]
        children += [*self._leaving, *([] if self.centers_host is None else [self.centers_host])]
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(child.end(within_s=0.0) for child in children))
        self.workers.clear()
        self.centers_host = None
        self._merging.cancel()

    async def _dismiss(self, order: Stop | Retire) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        workers, host = list(self.workers.values()), self.centers_host
        self.workers.clear()
        self.centers_host = None
        self._leaving += [worker.process for worker in workers]
        self._leaving += [] if host is None else [host]
        for worker in workers:
            worker.process.tell(order)
        await asyncio.gather(*(self._end(worker.process) for worker in workers))
        for worker in workers:
            self._seat_left(worker.seat)
        if host is not None:  # last: the workers' requests end there
            host.tell(Stop())
            await self._end(host)
        self._merging.cancel()
        self._memory.close_descriptor()

    async def _end(self, child: ChildProcess) -> None:
        code = await child.end(within_s=self.settings.server.drain_s + GRACE_S)
        self._leaving.remove(child)
        if code:
            self._left = None
            log.warning("%s ended with %d", child, code)

    @property
    def left(self) -> int | None:
        """Requests without an answer when all had ended; None: some, nobody counted them."""
        return self._left

    def _watched(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task whose failure breaks the workforce."""

        def failed(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not self.broken.done():
                error = task.exception()
                if error is not None:
                    self.broken.set_exception(error)

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(failed)
        return task

    # ---- its children ----------------------------------------------------------------------

    async def _start_worker(self, slot: int) -> ChildProcess:
        seat = self._free_seats.pop(0)
        worker = await start_worker(slot, self._hello(slot, seat))
        try:
            await worker.process.wait_ready()
        except BaseException:
            await worker.process.end(within_s=0.0)
            self._seat_left(seat)
            raise
        worker.process.hung_s = self.settings.server.hung_s
        self.workers[slot] = worker
        self._divide_sockets()
        return worker.process

    def _keep_worker(self, slot: int, process: ChildProcess) -> None:
        keeper = Keeper(
            lambda: self._start_worker(slot),
            lambda: self._lost(slot),
            self._count_restart,
            self._crash_loop(),
        )
        kept = self._kept_as_long_as_it_helps(keeper.keep(process), slot)
        self._keepers.append(self._watched(kept, f"keep worker {slot}"))

    def _crash_loop(self) -> CrashLoop:
        server = self.settings.server
        return CrashLoop(server.restarts_max, server.restarts_window_s)

    async def _kept_as_long_as_it_helps(self, keeping: Awaitable[None], slot: int) -> None:
        """Raises ChildLost when this was the last worker there could be."""
        try:
            await keeping
        except ChildLost as error:
            self.given_up.append(slot)
            if len(self.given_up) == self.slots:
                raise
            left = self.slots - len(self.given_up)
            log.error("%s It is given up; %d of %d workers are left", error, left, self.slots)

    def _lost(self, slot: int) -> None:
        worker = self.workers.pop(slot, None)
        if worker is not None:
            self._seat_left(worker.seat)
            self._divide_sockets()

    def _count_restart(self) -> None:
        self.restarts += 1

    async def _start_centers(self) -> ChildProcess:
        told = HostCenters(msgspec.to_builtins(self.settings), self._centers_path)
        child = await start_centers(told)
        try:
            await child.wait_ready()
        except BaseException:
            await child.end(within_s=0.0)
            raise
        child.hung_s = self.settings.server.hung_s
        self.centers_host = child
        return child

    def _keep_centers(self, child: ChildProcess) -> None:
        def lost() -> None:
            self.centers_host = None

        keeper = Keeper(self._start_centers, lost, self._count_restart, self._crash_loop())
        kept = self._centers_kept(keeper.keep(child))
        self._keepers.append(self._watched(kept, "keep the centers"))

    async def _centers_kept(self, keeping: Awaitable[None]) -> None:
        """Raises ChildLost when there are no centers elsewhere to go on with."""
        try:
            await keeping
        except ChildLost as error:
            if all(center.url is None for center in self.centers):
                raise
            log.error("%s They are given up; the centers with a URL are left", error)

    @property
    def _centers_path(self) -> str:
        return str(self._folder / f"{self._number}-centers")

    def _hello(self, slot: int, seat: int) -> Hello:
        size = self._size
        folder, name = self._folder, f"{self._number}-{seat}"
        (folder / name).unlink(missing_ok=True)
        return Hello(
            msgspec.to_builtins(self.settings),
            seat,
            (size.centers, size.seats, size.vantages, size.models),
            self._memory.descriptor,
            self._sockets.descriptors,
            tuple(self._numbers_of(slot)),
            str(folder),
            str(folder / name),
            str(folder / "supervisor"),
            str(FramedAddress(path=self._centers_path)) if self.hosts_centers else "",
        )

    def _numbers_of(self, slot: int) -> range:
        """The public sockets of a slot: every socket is somebody's, whatever the workers."""
        return range(slot, self._sockets_count, self.slots)

    def _divide_sockets(self) -> None:
        """Everyone accepts on his own sockets, and on those of the slots that are empty."""
        for slot in range(self.slots):
            for worker in self.workers.values():
                wanted = worker.slot == slot or slot not in self.workers
                for number in self._numbers_of(slot):
                    worker.process.tell(Accept(number, wanted))
        first = min(self.workers, default=None)
        self.merger.let_probe(None if first is None else self.workers[first].seat)

    def _seat_left(self, seat: int) -> None:
        self.merger.seat_left(seat)
        self._free_seats.append(seat)

    async def _keep_merging(self) -> None:
        while True:
            self.merger.round(time.monotonic())
            await asyncio.sleep(MERGE_S)
