"""Center processes: what runs at a host, dies there and comes back with nothing in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any, cast

import msgspec

from gateway.api import Center, InvalidRequest, NotFound
from gateway.centers.local import LocalCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import Runner
from gateway.serving.frames_door import FramesDoor, FramesPeer, Hosted
from gateway.testing.adversary.engine import (
    ELEMENTS_MAX,
    MODEL,
    SMALLER,
    SimulatedRepository,
    SimulatedRunner,
)
from gateway.testing.adversary.http_center import Habits, HttpCenter
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.network import Network
from gateway.wan import DelayLine, Faults
from gateway.wire import frames
from gateway.wire.frames import ResidencyLine

FRAMES_PORT = 9000
HTTP_PORT = 8000
QUEUE_MAX = 64
MODELS = (MODEL, SMALLER)
REPEATED = (frames.Answer, frames.Failure, frames.Probed)


class LoopLine:
    """Stands for ``DelayLine`` on a loop whose own timers are exact."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.now = loop.time
        self.call_at = loop.call_at


def line_of(loop: VirtualLoop) -> DelayLine:
    """A delay line of this loop."""
    return cast(DelayLine, LoopLine(loop))


@dataclass(slots=True)
class Engine:
    """One process's engine and whom it tells of models that come and go."""

    shared: SharedEngine
    runner: SimulatedRunner


def engine_of(loop: VirtualLoop, random: Random, on_residency: Any) -> Engine:
    """A simulated engine."""
    runner = SimulatedRunner(loop, random)
    shared = SharedEngine(
        SimulatedRepository(dict.fromkeys(MODELS)),
        cast(Runner, runner),
        on_residency,
        tensor_elements_max=ELEMENTS_MAX,
    )
    return Engine(shared, runner)


class FramedProcess:
    """``nearway center`` with some local centers. ``repeats``: probability that an answer's
    frame is sent twice.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        network: Network,
        host: str,
        centers: list[Center],
        random: Random,
    ) -> None:
        self.host = host
        self.faults = Faults()
        self.repeats = 0.0
        self.up = False
        self.door: FramesDoor | None = None
        self.engine: Engine | None = None
        self._loop = loop
        self._network = network
        self._centers = centers
        self._random = random
        self._resident: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """From nothing: engine, centers, door."""
        self._resident = {}
        self.door = None
        self.engine = engine_of(self._loop, self._random, self._on_residency)
        self.faults = Faults()
        line = line_of(self._loop)
        ports = {}
        for row, center in enumerate(self._centers):
            port = LocalCenter(
                row,
                center,
                engine=self.engine.shared,
                faults=self.faults,
                line=line,
                call_soon=self._loop.call_soon,
                random=self._random,
                queue_max=QUEUE_MAX,
            )
            ports[center.id] = port
            for model in MODELS:
                port.adopt(model)
        hosted = Hosted(ports, _no_place, self._residencies, self._loop.time, "simulated")
        self.door = FramesDoor(hosted)
        self._network.back(self.host)
        self._network.listen((self.host, FRAMES_PORT), self._connection)
        self.up = True

    def crash(self, *, machine: bool) -> None:
        """The process dies, or its machine."""
        self.up = False
        self._network.crash(self.host, machine=machine)

    def leave(self) -> None:
        """It says goodbye and answers what is under way."""
        if self.door is not None and self.up:
            self.door.leave("the operator said so")

    @property
    def ports(self) -> list[LocalCenter]:
        """Its centers."""
        assert self.door is not None
        return [cast(LocalCenter, port) for port in self.door.hosted.ports.values()]

    @property
    def rows(self) -> range:
        """Its centers' rows in its own faults."""
        return range(len(self._centers))

    def _on_residency(self, model: str, row: int, resident: bool, run_ms: float) -> None:
        center = self._centers[row].id
        if resident:
            self._resident[center, model] = run_ms
        else:
            self._resident.pop((center, model), None)
        if self.door is not None:
            self.door.tell([ResidencyLine(center, model, resident, run_ms)])

    def _residencies(self) -> list[ResidencyLine]:
        return [
            ResidencyLine(center, model, True, run_ms)
            for (center, model), run_ms in self._resident.items()
        ]

    def _connection(self) -> asyncio.Protocol:
        assert self.door is not None
        return _RepeatingPeer(self.door, self)


class _RepeatingPeer(FramesPeer):
    """Sends an answer's frame twice now and then, as a peer with a fault might."""

    def __init__(self, door: FramesDoor, process: FramedProcess) -> None:
        super().__init__(door)
        self._process = process

    def write(self, data: bytes) -> None:
        """Once or twice."""
        super().write(data)
        process = self._process
        if process.repeats and process._random.random() < process.repeats and _repeatable(data):
            super().write(data)


def _repeatable(data: bytes) -> bool:
    size = int.from_bytes(data[4:6], "big")
    kind: int = msgspec.msgpack.decode(data[6 : 6 + size])[0]
    return any(kind == frame.__struct_config__.tag for frame in REPEATED)


def _no_place(name: str) -> int:
    raise InvalidRequest(f"there is no place {name!r} here: no path is emulated")


class HttpProcess:
    """A server of another make at a host."""

    def __init__(self, loop: VirtualLoop, network: Network, host: str, random: Random) -> None:
        self.host = host
        self.habits = Habits()
        self.up = False
        self._loop = loop
        self._network = network
        self._random = random

    def start(self) -> None:
        """Listen."""
        center = HttpCenter(self._loop, self._random, self.habits)
        self._network.back(self.host)
        self._network.listen((self.host, HTTP_PORT), center.connection)
        self.up = True

    def crash(self, *, machine: bool) -> None:
        """The process dies, or its machine."""
        self.up = False
        self._network.crash(self.host, machine=machine)


async def toggle_model(port: LocalCenter, model: str, *, resident: bool) -> None:
    """Load or unload at one center; what is so already stays so."""
    try:
        if resident:
            await port.load(model)
        else:
            await port.unload(model)
    except NotFound:
        return
