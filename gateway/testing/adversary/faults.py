"""The adversary: what it does to a system, when and to whom, all drawn from one seed.

A blow has a name, falls at an instant, and where it has a duration is healed at its end. Blows
overlap. ``BLOWS`` says how often each kind is drawn; at ``heal_all`` everything is whole again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from gateway.api import ConfigError
from gateway.api.control import FaultKind
from gateway.centers.local import LocalCenter
from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.clients import Client
from gateway.testing.adversary.engine import MODEL, SMALLER
from gateway.testing.adversary.http_center import Habits
from gateway.testing.adversary.network import GATEWAY
from gateway.testing.adversary.processes import FramedProcess, HttpProcess, toggle_model
from gateway.testing.adversary.system import System

Heal = Callable[[], None]
SHORT_S = (0.01, 0.05, 0.2)
LONG_S = (0.1, 0.4, 1.2)
HABITS: tuple[tuple[str, dict[str, float]], ...] = (
    ("busy", {"busy": 0.5}),
    ("fails", {"fails": 0.6}),
    ("garbage", {"garbage": 0.9}),
    ("garbage", {"garbage": 0.4}),
    ("stops", {"stops_in_the_middle": 0.4}),
    ("breaks streams", {"stops_in_the_middle": 0.2, "streams": 0.8}),
    ("breaks streams", {"stops_in_the_middle": 0.1, "streams": 0.9}),
    ("silent", {"silent": 0.4}),
    ("streams", {"streams": 0.9}),
    ("closes", {"closes": 0.6}),
)


class Adversary:
    """``stops``: when the process did not run, as (from, to)."""

    def __init__(self, system: System, clients: list[Client], random: Random) -> None:
        self.stops: list[tuple[float, float]] = []
        self._system = system
        self._clients = clients
        self._random = random
        self._healing: dict[int, Heal] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False

    # ---- when -------------------------------------------------------------------------------

    def plan(self, blows: int, within_s: float) -> None:
        """So many blows from now on."""
        loop, random = self._system.loop, self._random
        weights = [weight for weight, _ in BLOWS.values()]
        for name in random.choices(list(BLOWS), weights, k=blows):
            self._at(loop.time() + within_s * random.random(), partial(self.strike, name))

    def strike(self, name: str) -> None:
        """One blow; one that has no target now does nothing."""
        if not self._over:
            BLOWS[name][1](self)

    def heal_all(self) -> None:
        """Nothing is wrong any more, and nothing more is done."""
        self._over = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for number in sorted(self._healing):
            self._heal(number)

    async def finished(self) -> None:
        """What was begun is done."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def after_stops(self, at_s: float) -> float:
        """``at_s``, or when the process ran again if it did not then."""
        for from_s, to_s in self.stops:
            if from_s <= at_s <= to_s:
                at_s = to_s + 0.003
        return at_s

    def _at(self, at_s: float, callback: Callable[[], None]) -> int:
        self._count += 1
        number = self._count

        def run() -> None:
            self._timers.pop(number, None)
            callback()

        self._timers[number] = self._system.loop.call_at(at_s, run)
        return number

    def _note(self, blow: str, *about: Any) -> None:
        self._system.trace.note(f"! {blow}", *about)

    def _for(self, seconds: float, heal: Heal) -> None:
        number = self._at(self._system.loop.time() + seconds, lambda: self._heal(number))
        self._healing[number] = heal

    def _heal(self, number: int) -> None:
        heal = self._healing.pop(number, None)
        if heal is not None:
            self._system.trace.note("healed", number)
            heal()

    def _spawn(self, work: Any) -> None:
        task = self._system.loop.create_task(work, name="adversary")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- processes --------------------------------------------------------------------------

    def crash(self) -> None:
        """A center's process, or its machine, dies and comes back."""
        process = self._process()
        if process is None or not process.up:
            return
        machine = self._random.random() < 0.4
        self._note("machine dies" if machine else "crash", process.host)
        process.crash(machine=machine)
        self._for(self._random.choice(LONG_S), process.start)

    def leave(self) -> None:
        """A framed process drains, and then goes."""
        framed = [process for process in self._system.ports.framed if process.up]
        if not framed:
            return
        process = self._random.choice(framed)
        self._note("leaves", process.host)
        process.leave()

        def back() -> None:
            if process.up:
                process.crash(machine=False)
            process.start()

        self._for(self._random.choice(SHORT_S), back)

    def repeat(self) -> None:
        """Answers come twice."""
        process = self._process()
        if isinstance(process, FramedProcess):
            self._note("repeats", process.host)
            process.repeats = 0.5
            self._for(self._random.choice(LONG_S), lambda: setattr(process, "repeats", 0.0))
        elif isinstance(process, HttpProcess):
            self._habits(process, "repeats", twice=0.5)

    def bad_habits(self) -> None:
        """A server of another make does what such servers do."""
        if not self._system.ports.https:
            return
        process = self._random.choice(self._system.ports.https)
        name, changed = self._random.choice(HABITS)
        self._habits(process, name, **changed)

    def slow_center(self) -> None:
        """A center takes its time."""
        factor = self._random.choice((4.0, 20.0, 60.0))
        process = self._process()
        if isinstance(process, HttpProcess):
            self._habits(process, "slow", slow=factor)
        else:
            self._center_fault("slow", factor)

    def center_fault(self) -> None:
        """Down, failing or a black hole, by its own fault."""
        kinds: tuple[tuple[FaultKind, float], ...]
        kinds = (("down", 1.0), ("error", 0.5), ("black_hole", 1.0))
        kind, value = self._random.choice(kinds)
        self._center_fault(kind, value)

    def engine_fails(self) -> None:
        """Runs fail in one process."""
        engines = [self._system.engine]
        engines += [it.engine for it in self._system.ports.framed if it.engine is not None]
        engine = self._random.choice(engines)
        self._note("engine fails")
        engine.runner.failing = 0.5
        self._for(self._random.choice(SHORT_S), lambda: setattr(engine.runner, "failing", 0.0))

    def model_goes(self) -> None:
        """A model is unloaded at one center, and loaded again."""
        ports = [port for port in self._system.ports.here if isinstance(port, LocalCenter)]
        for process in self._system.ports.framed:
            ports += process.ports
        if not ports:
            return
        port, model = self._random.choice(ports), self._random.choice((MODEL, MODEL, SMALLER))
        self._note("model goes", port.center.id, model)
        self._spawn(toggle_model(port, model, resident=False))
        self._for(
            self._random.choice(SHORT_S),
            lambda: self._spawn(toggle_model(port, model, resident=True)),
        )

    def _process(self) -> FramedProcess | HttpProcess | None:
        all_of_them: list[FramedProcess | HttpProcess] = [
            *self._system.ports.framed,
            *self._system.ports.https,
        ]
        return self._random.choice(all_of_them) if all_of_them else None

    def _habits(self, process: HttpProcess, name: str, **changed: float) -> None:
        self._note(name, process.host)
        for key, value in changed.items():
            setattr(process.habits, key, value)

        def heal() -> None:
            for key in changed:
                setattr(process.habits, key, getattr(Habits(), key))

        self._for(self._random.choice(LONG_S), heal)

    def _center_fault(self, kind: FaultKind, value: float) -> None:
        """At a center of a process of ours, found by its port: its row may change meanwhile."""
        here: list[tuple[Any, Any]] = [
            (self._system.ports, port) for port in self._system.ports.here
        ]
        for process in self._system.ports.framed:
            here += [(process, port) for port in process.ports]
        if not here:
            return
        owner, port = self._random.choice(here)
        self._note(kind, port.center.id)
        owner.faults.set(port.row, kind, value, None)

        def heal() -> None:
            owner.faults.clear(port.row)

        self._for(self._random.choice(LONG_S), heal)

    # ---- the network ------------------------------------------------------------------------

    def partition(self) -> None:
        """One way, or both, between the gateway and a host."""
        process = self._process()
        if process is None:
            return
        network = self._system.network
        ways = [network.way(GATEWAY, process.host), network.way(process.host, GATEWAY)]
        cut = self._random.choice((ways, ways[:1], ways[1:]))
        self._note("partition", process.host, *(ways.index(way) for way in cut))
        for way in cut:
            way.block()

        def heal() -> None:
            for way in cut:
                way.heal()

        self._for(self._random.choice(LONG_S), heal)

    def slow_way(self) -> None:
        """A path takes many times as long."""
        ways = self._system.network.ways
        way = self._random.choice(ways)
        self._note("slow way", ways.index(way))
        way.factor = self._random.choice((5.0, 20.0, 80.0))
        self._for(self._random.choice(LONG_S), lambda: setattr(way, "factor", 1.0))

    def reset(self) -> None:
        """Somebody resets a connection, now or within its next bytes."""
        network = self._system.network
        open_now = [each for each in network.connected if each.open]
        if not open_now:
            return
        each = self._random.choice(open_now)
        side, after = self._random.randrange(2), self._random.choice((0, 1, 30, 200, 700))
        self._note("reset", each.source, each.target, side, after)
        for client in self._clients:
            if client.connected is each:
                client.was_reset = True
        network.reset_at(each, side, after)

    # ---- the gateway's own surroundings -----------------------------------------------------

    def stop_process(self) -> None:
        """The gateway does not run for a while: the monotonic clock jumps."""
        for_s = self._random.choice((0.004, 0.03, 0.2, 0.6))
        self._note("stopped", for_s)
        from_s = self._system.loop.time()
        self._system.loop.stop_process(for_s)
        self.stops.append((from_s, self._system.loop.time()))

    def step_clock(self) -> None:
        """The wall clock steps, forward or back."""
        self._note("clock steps")
        self._system.wall_offset_s += self._random.choice((-86_400.0, -2.5, 2.5, 3e8))

    def fill_disk(self) -> None:
        """Nothing can be written."""
        self._note("disk full")
        self._system.lasting.disk.full = True
        self._for(
            self._random.choice(LONG_S), lambda: setattr(self._system.lasting.disk, "full", False)
        )

    def plugin_raises(self) -> None:
        """A plugin misbehaves."""
        self._note("plugin raises")
        self._system.lasting.mood.bad = self._random.choice((0.2, 1.0))
        self._for(
            self._random.choice(LONG_S), lambda: setattr(self._system.lasting.mood, "bad", 0.0)
        )

    def drain_center(self) -> None:
        """The operator takes a center out."""
        center = self._random.choice(self._system.generation.centers)
        self._note("drains", center.id)

        def drain(*, draining: bool) -> None:
            generation = self._system.generation
            generation.fleet.drain(generation.centers.index(center), draining=draining)

        drain(draining=True)
        self._for(self._random.choice(LONG_S), lambda: drain(draining=False))

    def reload(self) -> None:
        """The config is read again in the middle; on a full disk it is refused."""
        self._note("reload")
        self._spawn(self._reload())

    async def _reload(self) -> None:
        before = self._system.generation
        try:
            await self._system.reload(self._random)
        except ConfigError:
            if self._system.generation is not before:
                raise InvariantBroken("reload", "a config was refused and is in force") from None
            self._note("reload refused")


BLOWS: dict[str, tuple[int, Callable[[Adversary], None]]] = {
    "crash": (8, Adversary.crash),
    "leave": (3, Adversary.leave),
    "repeat": (6, Adversary.repeat),
    "bad_habits": (12, Adversary.bad_habits),
    "slow_center": (5, Adversary.slow_center),
    "center_fault": (6, Adversary.center_fault),
    "engine_fails": (3, Adversary.engine_fails),
    "model_goes": (3, Adversary.model_goes),
    "partition": (6, Adversary.partition),
    "slow_way": (4, Adversary.slow_way),
    "reset": (12, Adversary.reset),
    "stop_process": (3, Adversary.stop_process),
    "step_clock": (2, Adversary.step_clock),
    "fill_disk": (2, Adversary.fill_disk),
    "plugin_raises": (4, Adversary.plugin_raises),
    "drain_center": (2, Adversary.drain_center),
    "reload": (6, Adversary.reload),
}
