"""The system under attack: the gateway's own parts, put together as the runtime does it.

Real are the hot lane, intake, admission, exchange, hedges, deadlines, router, plugins, fleet,
health, prober, the framed and remote ports with their pools and links, local and emulated
centers, batching, the decision log, and what a reload hands from one generation to the next.
Simulated are the loop, the sockets, the disk and the model's arithmetic.
"""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Any, cast

from gateway.fleet import Fleet
from gateway.serving.hot_lane import HotLane
from gateway.telemetry import Metrics
from gateway.testing.adversary.disk import Disk
from gateway.testing.adversary.generation import Generation, Lasting
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.network import HTTP_DOOR, Network
from gateway.testing.adversary.plugins import Mood
from gateway.testing.adversary.ports import CenterPorts, OrderedSet
from gateway.testing.adversary.processes import engine_of
from gateway.testing.adversary.shapes import Shape, redraw_settings
from gateway.testing.adversary.trace import Trace
from gateway.wan import PROFILES, PathModel

BEAT_S = 0.05
LOG_EVERY_S = 0.1
EPOCH_S = 1.7e9


class System:
    """The gateway, its centers and what lies between. ``start`` and ``stop`` it in the loop.

    ``generation`` is the one in force, ``generations`` are all there were.
    """

    def __init__(
        self, loop: VirtualLoop, network: Network, trace: Trace, random: Random, shape: Shape
    ) -> None:
        self.loop = loop
        self.network = network
        self.trace = trace
        self.wall_offset_s = 0.0
        self._random = random
        self._timers: dict[str, asyncio.TimerHandle] = {}
        path_model = PathModel(PROFILES["premium"], border_ms=0.0, last_mile_ms=0.0)
        self.ports = CenterPorts(loop, network, shape, random, path_model)
        self.engine = engine_of(loop, Random(random.random()), self._residency_changed)
        self.ports.make(self.engine, self._residency_changed, self._reach_changed)
        centers = tuple(self.ports.centers)
        self.lasting = Lasting(
            loop,
            self.ports,
            path_model,
            Metrics(tuple(center.id for center in centers)),
            trace,
            Disk(),
            Mood(Random(random.random())),
            {},
        )
        self.generation = Generation(self.lasting, shape.settings, centers, random)
        self.generations = [self.generation]
        self.lane = HotLane(self.generation.front, lambda: None, loop, self._wall)
        self.ordered = OrderedSet()
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Wherever the lane walks its connections it does so in their order."""
        for owner in (self.lane, getattr(self.lane, "_sweep", None)):
            for name in ("connections", "_connections"):
                if isinstance(getattr(owner, name, None), set):
                    setattr(owner, name, cast(Any, self.ordered))

    # ---- life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything up, models loaded, the door open."""
        ports = self.ports
        for process in ports.processes:
            process.start()
        ports.adopt()
        opening = [one.open() for one in ports.reached]
        await asyncio.gather(*opening)
        await self.generation.residency.ask()
        self.generation.residency.start()
        self.network.listen(HTTP_DOOR, self.lane.connect)
        self._beat()
        self._write_log()

    async def stop(self) -> None:
        """In the runtime's order."""
        ports = self.ports
        self.lasting.ready = False
        await self.lane.close(0.5)
        for timer in self._timers.values():
            timer.cancel()
        for generation in self.generations:
            generation.recorder.close()
            await generation.residency.stop()
        for one in ports.reached:
            await one.close()
        for process in ports.processes:
            process.crash(machine=False)

    async def reload(self, random: Random) -> None:
        """Another config, the centers in another order. Raises ConfigError: nothing changed."""
        before = self.generation
        centers = list(before.centers)
        random.shuffle(centers)
        settings = redraw_settings(random, before.settings)
        after = Generation(self.lasting, settings, tuple(centers), random)
        after.come_into_force(before)
        self.generation = after
        self.generations.append(after)
        self.lasting.metrics.take_centers([center.id for center in centers])
        self.lane.take(after.front)
        after.residency.start()
        await before.residency.stop()

    # ---- now and then -----------------------------------------------------------------------

    def _wall(self) -> float:
        return EPOCH_S + self.loop.time() + self.wall_offset_s

    def _beat(self) -> None:
        """As the runtime's beat."""
        now, generation = self.loop.time(), self.generation
        fleet, front = generation.fleet, generation.front
        fleet.tick(now, ahead_s=0.5 * BEAT_S)
        for center in fleet.to_probe(now):
            front.prober.ask_health(center, partial(self._probed, fleet))
        generation.router.look(*fleet.residuals.sums, now)
        if front.admission.adaptive:
            front.admission.learn(*fleet.residuals.attempts(), now)
        self._timers["beat"] = self.loop.call_later(BEAT_S, self._beat)

    def _probed(self, fleet: Fleet, center: int, alive: bool) -> None:
        self.trace.note("probed", center, alive)
        fleet.probed(center, alive=alive, now=self.loop.time())

    def _write_log(self) -> None:
        for generation in self.generations:
            generation.recorder.write(generation.recorder.take(self.loop.time()))
        self._timers["log"] = self.loop.call_later(LOG_EVERY_S, self._write_log)

    def _reach_changed(self, center: str, reachable: bool) -> None:
        self.trace.note("reach", center, reachable)
        self.generation.reach_changed(center, reachable)

    def _residency_changed(self, model: str, row: int, resident: bool, run_ms: float) -> None:
        self.generation.told(model, row, resident, run_ms)
