"""What serving a small model in this process costs, beside a bare onnxruntime loop.

    python bench/hot_path/run.py [--json FILE] [--rounds 40]

One process, no socket and no event loop: ``LocalCenter.start`` for every request of a turn,
then the turn, until each has its answer. The parts are timed alone, on the same objects; what
is left of the whole is the visit. All arms take turns, in short blocks; the figure of an arm is
the median of its blocks. See README.md for what is not measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from time import thread_time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from gateway.api import Center, InferRequest, Location
from gateway.centers import Attempt, Event, Whole
from gateway.centers.local import LocalCenter
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, Runner, join
from gateway.engine.session import session_options
from gateway.wan import Faults

NAME = "mlp"
INPUTS, HIDDEN, OUTPUTS = 64, 64, 8
BATCH_MAX = 64
TURNS = (1, 16)
BLOCK_REQUESTS = 320
SEED = 1
FOREVER_S = 1e12
ELEMENTS_MAX = 1_000_000

Arm = tuple[Callable[[], object], int]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result; times in µs a request. ``ratio``: of ``whole_us`` to bare."""

    wire: str
    a_turn: int
    decode_us: float
    run_us: float
    encode_us: float
    visit_us: float
    whole_us: float
    ratio: float


class Rig:
    """A local center with the model in it, and requests in both wire forms."""

    def __init__(self, root: Path) -> None:
        write_model(root)
        repository = ModelRepository([root], tensor_elements_max=ELEMENTS_MAX)
        repository.scan()
        repository.load(NAME)
        self._soon: list[Callable[[], None]] = []
        self._heard: list[Event] = []
        engine = SharedEngine(
            repository,
            Runner(1, 0.1, lambda *_: None),
            lambda *_: None,
            tensor_elements_max=ELEMENTS_MAX,
        )
        self.center = LocalCenter(
            0,
            Center("here", "here", "a", "Here", "CN", Location(0.0, 0.0)),
            engine=engine,
            faults=Faults(),
            line=_Clock(),  # type: ignore[arg-type]  # nothing is held here, so nobody waits
            call_soon=self._soon.append,
            random=Random(SEED),
            queue_max=BATCH_MAX,
        )
        self.center.adopt(NAME)
        self.served = engine.served(NAME, "")
        self.inputs = np.random.default_rng(SEED).normal(size=(1, INPUTS)).astype(np.float32)
        self.bodies = {"JSON": (json_body(self.inputs), None), "binary": binary_body(self.inputs)}

    def serve(self, wire: str, count: int) -> None:
        """``count`` requests in one turn, until all are answered."""
        body, head_bytes = self.bodies[wire]
        heard = self._heard
        for _ in range(count):
            attempt = Attempt("r", 0, NAME, "", body, head_bytes, FOREVER_S)
            self.center.start(attempt, heard.append)
        self._soon.pop()()
        if len(heard) != count or not isinstance(heard[-1], Whole):
            raise AssertionError(f"{len(heard)} of {count} were answered: {heard[-1:]}")
        heard.clear()

    def arms(self) -> dict[str, Arm]:
        """By name: what is called, and how many requests one call is for."""
        served = self.served
        session = onnxruntime.InferenceSession(
            served.model.path, session_options(), providers=["CPUExecutionProvider"]
        )
        bare, names = {"x": self.inputs}, ["y"]
        arms: dict[str, Arm] = {
            "bare": (partial(session.run, names, bare), 1),
            "bare below the wrapper": (partial(session._sess.run, names, bare, None), 1),
        }
        for count in TURNS:
            arms[f"run {count}"] = (partial(self._run, [{"x": self.inputs}] * count), count)
        for wire, (body, head_bytes) in self.bodies.items():
            request = served.reader.decode(body, head_bytes)
            arms[f"decode {wire}"] = (partial(served.reader.decode, body, head_bytes), 1)
            arms[f"encode {wire}"] = (self._encoding(request), 1)
            for count in TURNS:
                arms[f"whole {wire} {count}"] = (partial(self.serve, wire, count), count)
        return arms

    def _run(self, many: list[dict[str, Any]]) -> list[Any]:
        return self.served.model.run(join(many) if len(many) > 1 else many[0], ["y"])

    def _encoding(self, request: InferRequest) -> Callable[[], object]:
        writer = self.served.writer
        form = writer.form(request)
        arrays = self.served.model.run(request.inputs, form.names)
        return partial(writer.encode, request, form, arrays)


class _Clock:
    """As much of a delay line as a center uses that holds nothing."""

    now = staticmethod(time.monotonic)


def write_model(root: Path) -> None:
    """An MLP of 64 to 64 to 8 floats with a softmax, seeded, in Triton's layout."""
    draw = np.random.default_rng(SEED)

    def constant(name: str, *shape: int) -> Any:
        values = draw.normal(size=shape) / np.sqrt(shape[0])
        return numpy_helper.from_array(values.astype(np.float32), name)

    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "w2", "b2"], ["z"]),
            helper.make_node("Softmax", ["z"], ["y"]),
        ],
        NAME,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", OUTPUTS])],
        [
            constant("w1", INPUTS, HIDDEN),
            constant("b1", HIDDEN),
            constant("w2", HIDDEN, OUTPUTS),
            constant("b2", OUTPUTS),
        ],
    )
    folder = root / NAME / "1"
    folder.mkdir(parents=True)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
    (root / NAME / "config.toml").write_text(f"max_batch_size = {BATCH_MAX}\n", encoding="utf-8")


def json_body(inputs: Any) -> bytes:
    """Four digits a float, flat."""
    data = [round(float(value), 4) for value in inputs.ravel()]
    tensor = {"name": "x", "shape": list(inputs.shape), "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def binary_body(inputs: Any) -> tuple[bytes, int]:
    """(body, length of its head)."""
    tensor = {"name": "x", "shape": list(inputs.shape), "datatype": "FP32"}
    document = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": inputs.nbytes}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(document).encode()
    return head + inputs.tobytes(), len(head)


def measure(rig: Rig, rounds: int) -> dict[str, float]:
    """Median µs a request of every arm, in blocks that take turns."""
    arms = rig.arms()
    taken_us: dict[str, list[float]] = {name: [] for name in arms}
    gc.collect()
    gc.disable()
    for number in range(rounds + 1):
        for name, (call, count) in arms.items():
            calls = BLOCK_REQUESTS // count
            started_s = thread_time()
            for _ in range(calls):
                call()
            if number:  # the first round warms up
                taken_us[name].append((thread_time() - started_s) * 1e6 / (calls * count))
    gc.enable()
    return {name: median(values) for name, values in taken_us.items()}


def rows_of(figures: dict[str, float]) -> list[Row]:
    """The table: both wire forms, one and many a turn."""
    rows = []
    for wire in ("JSON", "binary"):
        for count in TURNS:
            parts = [figures[f"decode {wire}"], figures[f"run {count}"], figures[f"encode {wire}"]]
            whole = figures[f"whole {wire} {count}"]
            visit, ratio = whole - sum(parts), whole / figures["bare"]
            values = [round(value, 2) for value in (*parts, visit, whole, ratio)]
            rows.append(Row(wire, count, *values))
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="What serving a small model costs.")
    parser.add_argument("--json", metavar="FILE", help="write the figures here too")
    parser.add_argument("--rounds", type=int, default=40, help="blocks of every arm (default: 40)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        figures = measure(rig, arguments.rounds)
    rows, batching = rows_of(figures), rig.served.model.batching
    print(f"onnxruntime alone: {figures['bare']:.2f} µs a run, "
          f"{figures['bare below the wrapper']:.2f} below its Python wrapper")  # fmt: skip
    print(f"requests that share a run: up to {batching.rows_max} examples, "
          f"{batching.gain:.1f} times as fast {batching.why}".rstrip())  # fmt: skip
    print("\n| wire | a turn | decode | run | encode | visit | whole | whole / bare |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.wire} | {row.a_turn} | {row.decode_us:.1f} | {row.run_us:.1f} | "
            f"{row.encode_us:.1f} | {row.visit_us:.1f} | {row.whole_us:.1f} | {row.ratio:.2f} |"
        )
    if arguments.json:
        document = {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            "processor": platform.machine(),
            "bare_us": figures["bare"],
            "rows": [asdict(row) for row in rows],
        }
        Path(arguments.json).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
