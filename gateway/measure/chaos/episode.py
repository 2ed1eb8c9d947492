"""One episode: the stage stands, requests come open loop, the plan happens, figures remain."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from gateway.measure.arrivals import poisson
from gateway.measure.chaos.answers import Checker, KnownAnswers
from gateway.measure.chaos.conductor import Conductor
from gateway.measure.chaos.plan import ChaosPlan, Fault
from gateway.measure.chaos.stage import Stage
from gateway.measure.chaos.watch import Watch
from gateway.measure.chaos.windows import SETTLED_S, FaultFigures, Stretch, figures
from gateway.measure.endpoint import Endpoint, Limits
from gateway.measure.first_request import model_path
from gateway.measure.open_loop import Plan, drive
from gateway.measure.samples import Samples

CONNECTIONS_MAX = 3000
"""More than a gateway that answers nobody has requests in its budget: none waits for a turn."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent in an episode. ``timeout_ms``: the budget that every request names."""

    model: str
    known: KnownAnswers
    rate: float
    warmup_s: float
    duration_s: float
    origin: str
    other_model: str = ""
    timeout_ms: float = 3000.0
    patience_s: float = 6.0
    """How long the generator waits: longer than the budget, so that nothing honest is lost."""
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """What one fault did."""

    title: str
    fault: Fault
    figures: FaultFigures
    detected_s: float
    back_s: float
    """From the lifting until every target was in service again."""
    targets: tuple[str, ...]
    attempt_share: float
    """Of the attempts that ended from half a second after the beginning on: at the target."""
    done: int


@dataclass(frozen=True, slots=True)
class Episode:
    """``rows`` by fault. ``cpu``: the machine's busy share, whoever kept it so; ``own_cpu``: what
    the gateway, the centers, the proxy and the generator made of it. ``words``: errors as clients
    saw them."""

    title: str
    rows: tuple[Row, ...]
    cpu: float
    own_cpu: float
    failed: tuple[str, ...]
    words: dict[str, int] = field(default_factory=dict)


class Trouble:
    """A plan of faults beside a run of the open loop: ``asked``, ``begin``, ``end``, in this order.

    The plan's times count after the warm-up.
    """

    def __init__(
        self,
        stage: Stage,
        plan: ChaosPlan,
        known: KnownAnswers,
        warmup_s: float,
        duration_s: float,
        other_model: str = "",
    ) -> None:
        self._stage = stage
        self._plan = plan
        self._known = known
        self._warmup_s = warmup_s
        self._duration_s = duration_s
        self._check = Checker(known)
        self._watch = Watch()
        self._conductor = Conductor(stage, plan, other_model, self._watch.busiest)
        self._tasks: list[asyncio.Task[None]] = []
        self._ticks = (0, 0)
        self._own: dict[int, int] = {}

    def asked(self, run: Plan, seed: int = 1) -> Plan:
        """The run with inputs drawn among those whose answers are known."""
        return asked(run, self._known, self._check, seed)

    def begin(self, start_s: float) -> None:
        """The run's times count from here."""
        at_s = start_s + self._warmup_s
        for name, work in (
            ("conductor", self._conductor.run(at_s)),
            ("watch", self._watch.run(self._stage, at_s)),
        ):
            self._tasks.append(asyncio.create_task(work, name=f"chaos: {name}"))
        self._ticks = cpu_ticks()
        ours = [os.getpid(), *(child.pid for child in self._stage.children)]
        self._own = own_ticks(dict.fromkeys([*ours, *children_of(ours)]))

    async def end(self, samples: Samples) -> Episode:
        """What came of it; ``samples`` with their warm-up."""
        busy, whole = (now - was for now, was in zip(cpu_ticks(), self._ticks, strict=True))
        own = own_ticks(self._own)
        own_busy = sum(ticks - self._own[pid] for pid, ticks in own.items())
        conducting, watching = self._tasks
        await conducting
        watching.cancel()
        measured = since(samples, self._warmup_s)
        return Episode(
            self._plan.title,
            self._rows(measured),
            busy / whole if whole else math.nan,
            own_busy / whole if whole else math.nan,
            tuple(self._conductor.failed),
            dict(self._check.words),
        )

    def _rows(self, samples: Samples) -> tuple[Row, ...]:
        """A row a fault, by the instants at which it really began and was lifted."""
        rows = []
        plan, watch, conductor = self._plan, self._watch, self._conductor
        for fault in plan.faults:
            begun = conductor.begun_s.get(fault, fault.at_s)
            lifted = conductor.lifted_s.get(fault, fault.until_s)
            targets = conductor.hit.get(fault, ())
            rows.append(
                Row(
                    plan.title if len(plan.faults) == 1 else str(fault),
                    fault,
                    figures(samples, Stretch(begun, lifted), self._duration_s, targets),
                    watch.detected_s(targets, begun, lifted),
                    watch.back_s(targets, lifted),
                    targets,
                    watch.attempt_share(targets, begun + SETTLED_S, lifted),
                    conductor.done.get(fault, 0),
                )
            )
        return tuple(rows)


async def play(stage: Stage, plan: ChaosPlan, load: Load) -> tuple[Episode, Samples]:
    """Drive the stage while the plan happens."""
    trouble = Trouble(stage, plan, load.known, load.warmup_s, load.duration_s, load.other_model)
    run = trouble.asked(open_loop_plan(stage.url, load), load.seed)
    samples = await drive(run, on_start=trouble.begin)
    return await trouble.end(samples), since(samples, load.warmup_s)


def asked(run: Plan, known: KnownAnswers, check: Checker, seed: int) -> Plan:
    """``run`` with inputs drawn among those whose answers are known."""
    random = np.random.default_rng(seed)
    return replace(
        run,
        headers={**run.headers, **known.headers},
        bodies=known.bodies,
        variant=random.integers(0, len(known.variants), run.times_s.size, dtype=np.int32),
        check=check,
    )


def open_loop_plan(url: str, load: Load) -> Plan:
    """Poisson arrivals of one origin; the loop sleeps between them."""
    times_s = poisson(load.rate, load.warmup_s + load.duration_s, load.seed)
    return Plan(
        endpoint=Endpoint.parse(url),
        path=f"{model_path(load.model)}/infer",
        times_s=times_s,
        origin=np.zeros(times_s.size, dtype=np.int32),
        origins=(load.origin,),
        body=b"",
        warmup_s=load.warmup_s,
        headers={"x-request-timeout-ms": f"{load.timeout_ms:g}"},
        limits=Limits(connections_max=CONNECTIONS_MAX, timeout_s=load.patience_s),
        polls=False,
    )


def since(samples: Samples, warmup_s: float) -> Samples:
    """Without the warm-up, times counted from its end."""
    kept = samples.after(warmup_s)
    return replace(kept, intended_s=kept.intended_s - warmup_s)


def cpu_ticks() -> tuple[int, int]:
    """(busy, whole) of all cores since they started; zeros where the kernel does not tell."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0, 0
    told = [int(word) for word in stat.read_text().splitlines()[0].split()[1:9]]
    idle = told[3] + told[4]
    return sum(told) - idle, sum(told)


def children_of(pids: Iterable[int]) -> list[int]:
    """The processes that these have started, as far as the kernel tells."""
    found: list[int] = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def own_ticks(pids: Iterable[int]) -> dict[int, int]:
    """By process that still is there: the ticks it has had, its children that ended included."""
    ticks = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            # The name may hold spaces, so the fields are counted from the bracket behind it.
            told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks[pid] = sum(map(int, told[11:15]))
    return ticks
