"""Are the latency classes kept apart? Class A alone, then beside class C that saturates the center.

One process with a running loop, one local center of four slots. Requests of the class A model come
at fixed intervals, whatever becomes of the earlier ones; each is timed from the instant it was due.
Blocks take turns: class A alone, and class A while as many requests of the class C model as the
center has slots, and as many again that wait, are under way at every instant. The ratio of the two
99th percentiles is taken within a round.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from random import Random
from statistics import median

import numpy as np

from bench.engine.bodies import binary_body
from gateway.api import Center, Location
from gateway.centers import Attempt, Event, Whole
from gateway.centers.local import LocalCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, Runner
from gateway.engine.warm_up import read_example
from gateway.wan import Faults

CLASS_A, CLASS_C = "blast-furnace", "clip-maker"
RATE_PER_S = 250
BLOCK_S = 2.0
SLOTS = 4
FOREVER_S = 1e12
ELEMENTS_MAX = 4_000_000


@dataclass(frozen=True, slots=True)
class Apart:
    """``where`` class A runs; p50 and p99 in ms, medians of the rounds; ``ratio`` of the p99s.

    ``class_c_per_s``: class C answers a second meanwhile.
    """

    where: str
    alone_p50_ms: float
    alone_p99_ms: float
    beside_p50_ms: float
    beside_p99_ms: float
    ratio: float
    class_c_per_s: float


class Clock:
    """As much of a delay line as a center uses that holds nothing."""

    now = staticmethod(time.monotonic)


class Center4:
    """The center, on the running loop, and the two models in it."""

    def __init__(self, repository: ModelRepository, *, inline: bool) -> None:
        loop = asyncio.get_running_loop()
        self.runner = Runner(0, 0.1 if inline else 0.0, loop.call_soon_threadsafe)
        engine = SharedEngine(
            repository, self.runner, lambda *_: None, tensor_elements_max=ELEMENTS_MAX
        )
        self.center = LocalCenter(
            0,
            Center("here", "here", "a", "Here", "CN", Location(0.0, 0.0), slots=SLOTS),
            engine=engine,
            faults=Faults(),
            line=Clock(),  # type: ignore[arg-type]  # nothing is held here, so nobody waits
            call_soon=loop.call_soon,
            random=Random(1),
            queue_max=64,
        )
        self.bodies = {}
        for name in (CLASS_A, CLASS_C):
            self.center.adopt(name)
            model = repository.get(name)
            example = read_example(model.path.parents[1], model.metadata.inputs)
            self.bodies[name] = binary_body({key: array[:1] for key, array in example.items()})

    def ask(self, name: str) -> asyncio.Future[None]:
        """Done when the answer is there."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def hear(event: Event) -> None:
            if isinstance(event, Whole):
                answered.set_result(None)
            else:
                answered.set_exception(AssertionError(f"{name}: {event}"))

        body, head_bytes = self.bodies[name]
        self.center.start(Attempt("r", 0, name, "", body, head_bytes, FOREVER_S), hear)
        return answered


async def _class_a_ms(center: Center4, block_s: float) -> list[float]:
    """A time for every request, ms from the instant it was due."""
    loop = asyncio.get_running_loop()
    count = int(block_s * RATE_PER_S)
    begun_s = time.monotonic() + 0.05
    taken_ms = [0.0] * count
    left = asyncio.Event()
    open_count = count

    def send(number: int, due_s: float) -> None:
        def over(_: object) -> None:
            nonlocal open_count
            taken_ms[number] = (time.monotonic() - due_s) * 1e3
            open_count -= 1
            if open_count == 0:
                left.set()

        center.ask(CLASS_A).add_done_callback(over)

    for number in range(count):
        due_s = begun_s + number / RATE_PER_S
        loop.call_at(due_s, send, number, due_s)
    await left.wait()
    return taken_ms


async def _saturate(center: Center4, over: asyncio.Event) -> int:
    answers = 0
    while not over.is_set():
        await center.ask(CLASS_C)
        answers += 1
    return answers


async def _round(center: Center4, block_s: float) -> tuple[list[float], list[float], float]:
    alone_ms = await _class_a_ms(center, block_s)
    over = asyncio.Event()
    askers = [asyncio.create_task(_saturate(center, over)) for _ in range(2 * SLOTS)]
    began_s = time.monotonic()
    beside_ms = await _class_a_ms(center, block_s)
    over.set()
    answers = await asyncio.gather(*askers)
    per_s = sum(answers) / (time.monotonic() - began_s)
    return alone_ms, beside_ms, per_s


async def _apart(
    repository: ModelRepository, rounds: int, block_s: float, *, inline: bool
) -> Apart:
    center = Center4(repository, inline=inline)
    await _class_a_ms(center, block_s / 4)
    taken = [await _round(center, block_s) for _ in range(rounds)]
    center.runner.close()

    def percentile(which: int, at: float) -> list[float]:
        return [float(np.percentile(one[which], at)) for one in taken]

    alone, beside = percentile(0, 99), percentile(1, 99)
    return Apart(
        "on the loop" if inline else "on a thread",
        median(percentile(0, 50)),
        median(alone),
        median(percentile(1, 50)),
        median(beside),
        median(b / a for a, b in zip(alone, beside, strict=True)),
        median(one[2] for one in taken),
    )


def classes_apart(
    repository: ModelRepository, rounds: int, block_s: float = BLOCK_S
) -> list[Apart]:
    """Class A on the loop, and on a thread, as slower models run."""
    for name in (CLASS_A, CLASS_C):
        repository.load(name)
    return [
        asyncio.run(_apart(repository, rounds, block_s, inline=inline)) for inline in (True, False)
    ]
