"""The conductor: puts each fault of a plan on the stage at its instant, and takes it off again.

The instants are those of the run's own clock. What could not be done is a finding of its own
(``failed``), never silence: a reload that was refused, a model that did not load.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from gateway.api import NearwayError
from gateway.measure.chaos.plan import BUSIEST, CENTER, WIRE, ChaosPlan, Fault, Kind
from gateway.measure.chaos.stage import Stage

ORDER_S = 60.0
NEUTRAL: dict[Kind, float] = {"slow": 1.0, "delay": 0.0, "loss": 0.0, "error": 0.0}


class Conductor:
    """``begun_s`` and ``lifted_s``: when that really was, by fault, on the run's clock; ``hit``:
    the centers that it was done to. ``busiest`` tells which that is at the moment.

    ``other_model``: what "models" loads and unloads; never the one that is asked for.
    """

    def __init__(
        self,
        stage: Stage,
        plan: ChaosPlan,
        other_model: str,
        busiest: Callable[[], str] = lambda: "",
    ) -> None:
        self.hit: dict[Fault, tuple[str, ...]] = {}
        self._busiest = busiest
        self.begun_s: dict[Fault, float] = {}
        self.lifted_s: dict[Fault, float] = {}
        self.failed: list[str] = []
        self.done: dict[Fault, int] = {}
        self._stage = stage
        self._plan = plan
        self._other_model = other_model
        self._start_s = 0.0

    async def run(self, start_s: float) -> None:
        """Conduct the plan; its times count from ``start_s`` of the monotonic clock."""
        self._start_s = start_s
        async with asyncio.TaskGroup() as tasks:
            for fault in self._plan.faults:
                tasks.create_task(self._conduct(fault), name=f"chaos: {fault}")

    async def _conduct(self, fault: Fault) -> None:
        await self._at(fault.at_s)
        ids = self._plan.members(fault, self._stage.plan.centers)
        self.hit[fault] = ids = (self._busiest() or ids[0],) if fault.target == BUSIEST else ids
        begin, lift = self._acts(fault, ids)
        self.begun_s[fault] = self._now()
        await self._tried(fault, begin)
        await self._at(fault.until_s)
        self.lifted_s[fault] = self._now()
        await self._tried(fault, lift)

    async def _tried(self, fault: Fault, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (NearwayError, OSError, aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"{fault}: {error or repr(error)}")

    def _now(self) -> float:
        return time.monotonic() - self._start_s

    async def _at(self, when_s: float) -> None:
        await asyncio.sleep(max(0.0, when_s - self._now()))

    # ---- what is done ---------------------------------------------------------------------

    def _acts(
        self, fault: Fault, ids: tuple[str, ...]
    ) -> tuple[Callable[[], Awaitable[None]], ...]:
        """What begins the fault at these centers, and what lifts it."""
        kind, stage = fault.kind, self._stage

        async def all_ways(what: str) -> None:
            for center in ids:
                await stage.way(center, what)

        async def all_centers(value: float) -> None:
            for center in ids:
                await stage.center_fault(center, kind, value)

        async def all_processes(number: signal.Signals) -> None:
            for center in ids:
                stage.center_of[center].signal(number)

        async def start_again() -> None:
            for center in ids:
                await stage.center_of[center].kill()
                await stage.start_center(stage.center_of[center])

        if kind in WIRE:
            return lambda: all_ways(kind), lambda: all_ways("open")
        if kind in CENTER:
            return lambda: all_centers(fault.value), lambda: all_centers(NEUTRAL[kind])
        if kind == "kill":
            return lambda: all_processes(signal.SIGKILL), start_again
        if kind == "stop":
            return lambda: all_processes(signal.SIGSTOP), lambda: all_processes(signal.SIGCONT)
        of_gateway: dict[Kind, Callable[[Fault], Awaitable[None]]] = {
            "kill_worker": self._kill_workers,
            "reload": self._reload,
            "models": self._models,
            "restart": self._restart,
        }
        return lambda: of_gateway[kind](fault), _nothing

    async def _kill_workers(self, fault: Fault) -> None:
        state = await self._ask("GET", f"{self._stage.admin_url}/state")
        pids = list(state.get("supervisor", {}).get("processes", {}).values())
        if not pids:
            raise Refused("the admin door names no worker; expected a gateway with several")
        for pid in pids[: int(fault.value)]:
            signal_to(int(pid), signal.SIGKILL)
        self.done[fault] = min(len(pids), int(fault.value))

    async def _reload(self, fault: Fault) -> None:
        """As often as asked, a changed config each time, spread over the fault's time."""
        stage = self._stage
        for number in range(int(fault.value)):
            await self._at(fault.at_s + number * fault.for_s / fault.value)
            stage.change_config(number)
            if stage.plan.workers > 1:
                assert stage.gateway is not None
                stage.gateway.signal(signal.SIGHUP)
            else:
                await self._ask("POST", f"{stage.admin_url}/reload")
            self.done[fault] = number + 1

    async def _models(self, fault: Fault) -> None:
        """Unload and load another model at every center, as often as asked."""
        base = f"{self._stage.url}/v2/repository/models/{self._other_model}"
        for number in range(int(fault.value)):
            await self._at(fault.at_s + number * fault.for_s / fault.value)
            await self._ask("POST", f"{base}/unload")
            await self._ask("POST", f"{base}/load")
            self.done[fault] = number + 1

    async def _restart(self, fault: Fault) -> None:
        """A second gateway listens beside the first, which is then told to go."""
        stage = self._stage
        first = stage.gateway
        assert first is not None
        stage.gateway = await stage.start_gateway(beside=True)
        await first.stop()
        self.done[fault] = 1

    async def _ask(self, method: str, url: str) -> dict[str, Any]:
        """Raises NearwayError with what was answered instead of 200."""
        timeout = aiohttp.ClientTimeout(total=ORDER_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json={} if method == "POST" else None) as answer,
        ):
            told = await answer.read()
            if answer.status != 200:
                raise Refused(f"{method} {url}: {answer.status} {told[:500].decode()}")
            document: dict[str, Any] = msgspec.json.decode(told or b"{}")
            return document


class Refused(NearwayError):
    """A lever did not move."""


def signal_to(pid: int, number: signal.Signals) -> None:
    """Only to a process that runs this program: a number may have passed to another."""
    command = Path(f"/proc/{pid}/cmdline")
    if command.is_file() and b"gateway" not in command.read_bytes():
        raise Refused(f"process {pid} is none of the gateway's")
    os.kill(pid, number)


async def _nothing() -> None:
    pass
