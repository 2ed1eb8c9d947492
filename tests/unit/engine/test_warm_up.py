"""Run time is measured with the example, else with zeros, else declared unknown."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gateway.api import ConfigError, TensorSpec
from gateway.engine.session import OpenedFile, open_file
from gateway.engine.warm_up import (
    BATCH,
    BATCH_RUNS,
    BATCH_WARM_UP_RUNS,
    BUDGET_S,
    RUNS,
    UNKNOWN_RUN_MS,
    WARM_UP_RUNS,
    measure_run_time,
    read_example,
    zero_inputs,
)

X = TensorSpec("x", "FP32", (-1, 3))


def example(**changes: Any) -> str:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3], **changes}
    return json.dumps({"inputs": [tensor]})


class Counting:
    """A session that fails where it is told to, and remembers what it was run with."""

    def __init__(self, refuse: Any = lambda inputs: False) -> None:
        self.refuse = refuse
        self.seen: list[dict[str, Any]] = []

    def opened(self, *specs: TensorSpec) -> OpenedFile:
        return OpenedFile(self.run, specs, (TensorSpec("y", "FP32", (-1,)),), {})

    def run(self, outputs: Any, inputs: Any, options: None) -> list[Any]:
        self.seen.append(dict(inputs))
        if self.refuse(inputs):
            raise RuntimeError("no such thing")
        return [np.zeros(1)]


def test_median_of_runs_and_what_a_batch_adds(workshop: Any, ticking: Any) -> None:
    session = Counting()
    taken, _ = measure_run_time(workshop.root, session.opened(X), ticking(0.002))
    assert taken.run_ms == pytest.approx(2.0)
    assert taken.extra_ms == pytest.approx(0.0)
    assert taken.guess == ""
    assert len(session.seen) == WARM_UP_RUNS + RUNS + BATCH_WARM_UP_RUNS + BATCH_RUNS
    assert session.seen[-1]["x"].shape == (BATCH, 3)


def test_extra_ms_is_per_further_example(workshop: Any) -> None:
    now_s = 0.0
    session = Counting()

    def clock() -> float:
        nonlocal now_s
        if session.seen:
            now_s += 0.001 * len(session.seen[-1]["x"])
        return now_s

    taken, _ = measure_run_time(workshop.root, session.opened(X), clock)
    assert taken.run_ms == pytest.approx(1.0)
    assert taken.extra_ms == pytest.approx(1.0)


def test_a_slow_model_is_run_once(workshop: Any, ticking: Any) -> None:
    session = Counting()
    fixed = TensorSpec("x", "FP32", (1, 3))
    taken, _ = measure_run_time(workshop.root, session.opened(fixed), ticking(BUDGET_S * 2))
    assert taken.run_ms == pytest.approx(BUDGET_S * 2e3)
    assert len(session.seen) == 1


def test_the_example_is_preferred(workshop: Any, ticking: Any) -> None:
    folder = workshop.write("m", workshop.identity(), example=example())
    session = Counting()
    measure_run_time(folder, session.opened(X), ticking(0.001))
    assert session.seen[0]["x"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(("least", "given"), [(5, 16), (32, 64), (500, 512)])
def test_a_model_that_refuses_the_least_shape_gets_more(
    workshop: Any, ticking: Any, least: int, given: int
) -> None:
    session = Counting(refuse=lambda inputs: inputs["x"].shape[1] < least)
    free = TensorSpec("x", "FP32", (-1, -1))
    taken, ran = measure_run_time(workshop.root, session.opened(free), ticking(0.001))
    assert taken.guess == ""
    assert ran is not None
    assert ran["x"].shape == (1, given)
    assert session.seen[-1]["x"].shape == (BATCH, given)


def test_a_model_that_cannot_be_run_stays_off_the_loop(workshop: Any, ticking: Any) -> None:
    session = Counting(refuse=lambda inputs: True)
    taken, ran = measure_run_time(workshop.root, session.opened(X), ticking(0.001))
    assert (taken.run_ms, taken.guess, ran) == (UNKNOWN_RUN_MS, "no such thing", None)


def test_zeros_of_strings_run(workshop: Any, ticking: Any) -> None:
    folder = workshop.write("m", workshop.identity("BYTES"))
    opened = open_file(folder / "1" / "model.onnx")
    assert measure_run_time(folder, opened, ticking(0.001))[0].guess == ""
    zeros = zero_inputs([TensorSpec("s", "BYTES", (-1, -1))], 2)["s"]
    assert zeros.tolist() == [[b"", b""]]


def test_read_example(workshop: Any) -> None:
    folder = workshop.write("m", b"", example=example(shape=[2, 3], data=[[1, 2, 3], [4, 5, 6]]))
    array = read_example(folder, [X])["x"]
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(FileNotFoundError):
        read_example(workshop.root, [X])


def test_strings_of_an_example_are_bytes(workshop: Any) -> None:
    folder = workshop.write("m", b"", example=example(datatype="BYTES", data=["a", "冷", ""]))
    array = read_example(folder, [TensorSpec("x", "BYTES", (-1, 3))])["x"]
    assert array.tolist() == [[b"a", "冷".encode(), b""]]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not an inference request"),
        ("{}", "inputs"),
        (example(name="z"), "inputs are z; the model takes x"),
        (example(shape=[3]), r"input 'x' is FP32 \[3\]"),
        (example(shape=[1, 4]), r"input 'x' is FP32 \[1, 4\]"),
        (example(datatype="INT32"), r"input 'x' is INT32 \[1, 3\]; the model takes FP32"),
        (example(data=[1, 2]), "input 'x': cannot reshape"),
        (example(data=["a", "b", "c"]), "input 'x': could not convert"),
    ],
)
def test_a_wrong_example_is_told(workshop: Any, text: str, what: str) -> None:
    folder = workshop.write("m", b"", example=text)
    with pytest.raises(ConfigError, match=what) as caught:
        read_example(folder, [X])
    assert "example.json" in str(caught.value)


def test_an_optional_input_need_not_be_in_the_example_nor_among_zeros(
    workshop: Any, ticking: Any
) -> None:
    bias = TensorSpec("bias", "FP32", (1,), optional=True)
    folder = workshop.write("m", workshop.identity(), example=example())
    assert set(read_example(folder, [X, bias])) == {"x"}
    with pytest.raises(ConfigError, match="inputs are x"):
        read_example(folder, [X, TensorSpec("bias", "FP32", (1,))])
    (folder / "example.json").unlink()
    session = Counting()
    _, ran = measure_run_time(folder, session.opened(X, bias), ticking(0.001))
    assert ran is not None
    assert set(ran) == {"x"}
