"""What the engine costs beside a bare onnxruntime loop, and what a model takes and gains.

    python -m bench.engine.run [--models DIR] [--model NAME] [--rounds 15] [--json FILE]

One process, one thread, no socket. For each model the arms take turns in short blocks; ratios are
taken within a round, and a figure is the median of its rounds. See README.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import msgspec
import onnxruntime
from gateway_models import repository as shipped

from bench.engine.bodies import binary_body
from bench.engine.claims import verdicts
from bench.engine.classes import CLASS_A, CLASS_C, Apart, classes_apart
from bench.engine.models import MLP, WIDE, write_mlp
from gateway.api import Center, Location, NdArray
from gateway.centers import Attempt, Event, Whole
from gateway.centers.local import LocalCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import LoadedModel, ModelRepository, Runner, join, part
from gateway.engine.batch_gain import SIZES, varied_rows
from gateway.engine.session import session_options
from gateway.engine.warm_up import read_example, zero_inputs
from gateway.wan import Faults

BLOCK_S = 0.02
AT_ONCE = 64
"""Requests of one turn in the saturated arms."""
ELEMENTS_MAX = 4_000_000
FOREVER_S = 1e12
RELOADS = 5

Inputs = Mapping[str, NdArray]
Arm = tuple[Callable[[], object], int]


@dataclass(frozen=True, slots=True)
class Row:
    """One model. Times of one request in us, throughputs in examples a second.

    ``engine_over_us``, ``center_over_us``: above the bare run, at one request, by the runner and
    by a whole center that reads and writes binary tensors. ``engine_share``, ``center_share``: of
    the bare loop with its best fixed batch (or none, where nothing is gained).
    """

    model: str
    file_mb: float
    memory_mb: float
    cold_load_ms: float
    warm_load_ms: float
    bare_us: float
    engine_over_us: float
    center_over_us: float
    batch: int
    gain: float
    best_batch: int
    bare_per_s: float
    engine_share: float
    center_share: float
    why: str


class Clock:
    """As much of a delay line as a center uses that holds nothing."""

    now = staticmethod(time.monotonic)


class Rig:
    """A model in a repository, in a runner, in a center and in a bare session."""

    def __init__(self, repository: ModelRepository, name: str) -> None:
        self.repository = repository
        self.name = name
        self.cold_ms = self._timed(lambda: repository.load(name))
        self.memory_bytes = repository.memory_bytes()
        self.warm_ms = median(self._reloaded() for _ in range(RELOADS))
        self.model: LoadedModel = repository.get(name)
        # Class C would run on a thread of its own; here every model runs on this one.
        self.model.config = msgspec.structs.replace(self.model.config, latency_class="A")
        self._soon: list[Callable[[], None]] = []
        self._heard: list[Event] = []
        self._runner = Runner(1, 1e9, lambda *_: None)
        engine = SharedEngine(
            repository, self._runner, lambda *_: None, tensor_elements_max=ELEMENTS_MAX
        )
        self.center = LocalCenter(
            0,
            Center("here", "here", "a", "Here", "CN", Location(0.0, 0.0)),
            engine=engine,
            faults=Faults(),
            line=Clock(),  # type: ignore[arg-type]  # nothing is held here, so nobody waits
            call_soon=self._soon.append,
            random=Random(1),
            queue_max=AT_ONCE,
        )
        self.center.adopt(name)
        self.names = [spec.name for spec in self.model.metadata.outputs]
        self.one = self._example()
        self.body, self.head_bytes = binary_body(self.one)
        session = onnxruntime.InferenceSession(
            self.model.path, session_options(), providers=["CPUExecutionProvider"]
        )
        self._session = session

    def _reloaded(self) -> float:
        self.repository.evict(self.name)
        return self._timed(lambda: self.repository.load(self.name))

    @staticmethod
    def _timed(call: Callable[[], object]) -> float:
        began_s = time.perf_counter()
        call()
        return (time.perf_counter() - began_s) * 1e3

    def _example(self) -> Inputs:
        specs = self.model.metadata.inputs
        try:
            example = read_example(self.model.path.parents[1], specs)
        except FileNotFoundError:
            example = zero_inputs(specs, 1)
        return {name: array[:1] for name, array in example.items()}

    # ---- arms -----------------------------------------------------------------------------

    def bare(self, size: int) -> Arm:
        """A fixed batch, made beforehand."""
        rows = varied_rows(self.one, size)
        run = self._session.run
        return (lambda: run(self.names, rows)), size

    def engine_one(self) -> Arm:
        """One request by the runner, inline."""
        submit, model, one, names = self._runner.submit, self.model, self.one, self.names
        return (lambda: submit(model, one, names, _nothing)), 1

    def engine_many(self) -> Arm:
        """As many requests as share a run: joined, run, parted."""
        size = self.model.batching.rows_max
        if size == 1:
            return self.engine_one()
        requests, each = [self.one] * size, [1] * size
        model, names = self.model, self.names
        return (lambda: part(model.run(join(requests), names), each)), size

    def center_arm(self, count: int) -> Arm:
        """So many requests in one turn, binary tensors in and out."""
        return (lambda: self._serve(count)), count

    def _serve(self, count: int) -> None:
        heard = self._heard
        for _ in range(count):
            attempt = Attempt("r", 0, self.name, "", self.body, self.head_bytes, FOREVER_S)
            self.center.start(attempt, heard.append)
        while len(heard) < count:
            self._soon.pop()()
        if not all(isinstance(event, Whole) for event in heard):
            raise AssertionError(f"{self.name}: {heard[-1]}")
        heard.clear()


def _nothing(*_: object) -> None:
    return None


HEADINGS = (
    *("model", "file MB", "memory MB", "cold ms", "warm ms", "bare us", "engine + us"),
    *("center + us", "batch", "gain", "bare/s (batch)", "engine", "center"),
)


def measure(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[float]]:
    """us an example of every arm, a value a round; arms take turns."""
    taken_us: dict[str, list[float]] = {name: [] for name in arms}
    calls: dict[str, int] = {}
    for name, (call, _) in arms.items():
        call()
        began_s = time.thread_time()
        call()
        calls[name] = max(1, int(BLOCK_S / max(time.thread_time() - began_s, 1e-6)))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, (call, examples) in arms.items():
                began_s = time.thread_time()
                for _ in range(calls[name]):
                    call()
                took_s = time.thread_time() - began_s
                taken_us[name].append(took_s * 1e6 / (calls[name] * examples))
    finally:
        gc.enable()
    return taken_us


def row_of(rig: Rig, rounds: int) -> Row:
    """Every figure of one model."""
    arms = {"engine 1": rig.engine_one(), "engine": rig.engine_many()}
    arms |= {"center 1": rig.center_arm(1), "center": rig.center_arm(AT_ONCE)}
    batching = rig.model.batching
    sizes = [s for s in SIZES if s == 1 or (batching.rows_max > 1 and s <= 2 * batching.rows_max)]
    arms |= {f"bare {size}": rig.bare(size) for size in sizes}
    taken = measure(arms, rounds)
    best = min(sizes, key=lambda size: median(taken[f"bare {size}"]))

    def over(arm: str) -> float:
        return median(a - b for a, b in zip(taken[arm], taken["bare 1"], strict=True))

    def share(arm: str) -> float:
        return median(b / a for a, b in zip(taken[arm], taken[f"bare {best}"], strict=True))

    return Row(
        rig.name,
        rig.model.path.stat().st_size / 1e6,
        rig.memory_bytes / 1e6,
        rig.cold_ms,
        rig.warm_ms,
        median(taken["bare 1"]),
        over("engine 1"),
        over("center 1"),
        batching.rows_max,
        batching.gain,
        best,
        1e6 / median(taken[f"bare {best}"]),
        share("engine"),
        share("center"),
        batching.why,
    )


def run(roots: list[Path], rounds: int, only: list[str]) -> list[Row]:
    """Every model whose sizes are free in the first place alone; of those named, where some are."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, widths in (MLP, WIDE):
            write_mlp(Path(folder), name, widths)
        found = ModelRepository([Path(folder), *roots], tensor_elements_max=ELEMENTS_MAX)
        found.scan()
        for name in only or found.names():
            repository = ModelRepository(found.roots, tensor_elements_max=ELEMENTS_MAX)
            repository.scan()
            rig = Rig(repository, name)
            if all(-1 not in spec.shape[1:] for spec in rig.model.metadata.inputs):
                rows.append(row_of(rig, rounds))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return rows


def print_table(rows: list[Row]) -> None:
    """Markdown."""
    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" + "|---:" * (len(HEADINGS) - 1) + "|")
    for row in rows:
        print(
            f"| {row.model} | {row.file_mb:.2f} | {row.memory_mb:.2f} | {row.cold_load_ms:.1f} | "
            f"{row.warm_load_ms:.1f} | {row.bare_us:.1f} | {row.engine_over_us:.1f} | "
            f"{row.center_over_us:.1f} | {row.batch} | {row.gain:.1f} | "
            f"{row.bare_per_s:,.0f} ({row.best_batch}) | {row.engine_share:.2f} | "
            f"{row.center_share:.2f} |"
        )


def print_apart(rows: list[Apart]) -> None:
    """Markdown."""
    beside = f"beside {CLASS_C} p50 ms | p99 ms"
    print(f"| {CLASS_A} runs | alone p50 ms | p99 ms | {beside} | ratio | {CLASS_C}/s |")
    print("|---" + "|---:" * 6 + "|")
    for row in rows:
        print(
            f"| {row.where} | {row.alone_p50_ms:.3f} | {row.alone_p99_ms:.3f} | "
            f"{row.beside_p50_ms:.3f} | {row.beside_p99_ms:.3f} | {row.ratio:.2f} | "
            f"{row.class_c_per_s:.0f} |"
        )


def main() -> None:
    """Measure, print, judge."""
    options = argparse.ArgumentParser(prog="nearway bench engine", description=__doc__)
    options.add_argument("--models", type=Path, action="append", help="a repository; repeatable")
    options.add_argument("--model", action="append", default=[], help="only this; repeatable")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--only-classes", action="store_true", help="are classes kept apart?")
    options.add_argument("--json", type=Path)
    told = options.parse_args()
    rows = [] if told.only_classes else run(told.models or [shipped()], told.rounds, told.model)
    if rows:
        print_table(rows)
        print()
    repository = ModelRepository([shipped()], tensor_elements_max=ELEMENTS_MAX)
    repository.scan()
    apart = classes_apart(repository, told.rounds)
    print_apart(apart)
    judged = verdicts(
        {row.model: asdict(row) for row in rows}, {row.where: row.ratio for row in apart}
    )
    for line in judged:
        print(line)
    if told.json is not None:
        document: dict[str, Any] = {
            "rows": [asdict(row) for row in rows],
            "classes": [asdict(row) for row in apart],
            "claims": judged,
        }
        told.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
