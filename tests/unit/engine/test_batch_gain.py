"""A model shares runs when it gains and no answer changes; else it says why it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.api import TensorSpec
from gateway.engine.batch_gain import (
    BUDGET_S,
    HOPELESS_SIZE,
    SIZES,
    measure_batching,
    same_bits,
    varied_rows,
)
from gateway.engine.loaded_model import load_model
from gateway.engine.session import OpenedFile

EXAMPLE = {"x": np.array([[1, 2, 3]], np.float32)}


class Timed:
    """A session and the clock it moves on: a run of n rows takes ``takes_s(n)``."""

    def __init__(
        self,
        takes_s: Callable[[int], float],
        answer: Callable[[np.ndarray], np.ndarray] = lambda x: x * 2,
    ) -> None:
        self.now_s = 0.0
        self.takes_s = takes_s
        self.answer = answer
        self.sizes: set[int] = set()

    def clock(self) -> float:
        return self.now_s

    def run(self, outputs: Any, inputs: Any, options: None) -> list[Any]:
        self.sizes.add(len(inputs["x"]))
        self.now_s += self.takes_s(len(inputs["x"]))
        return [self.answer(inputs["x"])]

    def measured(self, rows_max: int = 64, shape: Any = (-1, 3), out: Any = (-1, 3)) -> Any:
        opened = OpenedFile(
            self.run, (TensorSpec("x", "FP32", shape),), (TensorSpec("y", "FP32", out),), {}
        )
        return measure_batching(opened, EXAMPLE, rows_max, self.clock)


def constant(rows: int) -> float:
    return 1e-5


def test_a_model_that_gains_shares_runs_up_to_its_bound() -> None:
    found = Timed(constant).measured()
    assert (found.rows_max, found.why) == (SIZES[-1], "")
    assert found.gain == pytest.approx(SIZES[-1])
    found = Timed(constant).measured(rows_max=11)
    assert (found.rows_max, found.gain) == (11, pytest.approx(11))


def test_every_size_up_to_the_bound_is_checked() -> None:
    session = Timed(constant)
    session.measured(rows_max=8)
    assert session.sizes == set(range(1, 9))


def test_a_model_that_gains_nothing_does_not() -> None:
    session = Timed(lambda rows: 1e-2 * rows)
    found = session.measured()
    assert found.rows_max == 1
    assert "its best gain is 1.00, under 1.5" in found.why
    assert max(session.sizes) == HOPELESS_SIZE  # larger ones would take their time for nothing


def differs_from(size: int) -> Callable[[np.ndarray], np.ndarray]:
    def answer(x: np.ndarray) -> np.ndarray:
        y = x * 2
        if len(x) >= size:
            y[-1, -1] = np.nextafter(y[-1, -1], np.float32(np.inf))
        return y

    return answer


def test_sizes_that_change_a_bit_are_not_used() -> None:
    found = Timed(constant, differs_from(7)).measured()
    assert (found.rows_max, found.gain) == (4, pytest.approx(4))
    assert "output 'y' of 7 examples at once is not, bit for bit" in found.why
    found = Timed(constant, differs_from(2)).measured()
    assert found.rows_max == 1


def test_a_first_dimension_that_is_no_batch_is_found_out() -> None:
    assert Timed(constant, lambda x: x - x.mean(axis=0)).measured().rows_max == 1
    assert Timed(constant, lambda x: x[:1]).measured().rows_max == 1


@pytest.mark.parametrize(
    ("rows_max", "shape", "out", "why"),
    [
        (0, (-1, 3), (-1, 3), "max_batch_size is 0"),
        (1, (-1, 3), (-1, 3), "max_batch_size is 1"),
        (8, (-1, -1), (-1, 3), "'x' has shape"),
        (8, (-1, 3), (3,), "'y' has shape"),
        (8, (-1, 3), (), "'y' has shape"),
    ],
)
def test_shapes_that_cannot_be_joined(rows_max: int, shape: Any, out: Any, why: str) -> None:
    session = Timed(constant)
    found = session.measured(rows_max, shape, out)
    assert found.rows_max == 1
    assert why in found.why
    assert session.sizes == set()


def test_a_slow_model_is_measured_as_far_as_the_time_goes() -> None:
    session = Timed(lambda rows: BUDGET_S / 3)
    found = session.measured()
    assert 1 < found.rows_max < SIZES[-1]
    assert session.now_s < 4 * BUDGET_S
    assert Timed(lambda rows: 2 * BUDGET_S).measured().rows_max == 1


def test_a_batch_that_does_not_run() -> None:
    def refuse(x: np.ndarray) -> np.ndarray:
        if len(x) > 2:
            raise RuntimeError("two are enough")
        return x

    found = Timed(constant, refuse).measured()
    assert (found.rows_max, found.why) == (1, "a batch does not run: two are enough")


def test_rows_differ_and_keep_their_kind() -> None:
    rows = varied_rows({"f": np.ones((1, 4), np.float32), "i": np.array([[1, 2, 3]])}, 5)
    assert len(np.unique(rows["f"], axis=0)) == 5
    assert rows["f"].dtype == np.float32
    assert (np.sort(rows["i"], axis=1) == [1, 2, 3]).all()
    zeros = varied_rows({"f": np.zeros((2, 4), np.float32)}, 3)["f"]
    assert zeros.shape == (3, 4)
    assert (zeros > 0).all()
    words = varied_rows({"s": np.array([["a", "b"]], np.object_)}, 2)["s"]
    assert words.tolist() == [["a", "b"], ["b", "a"]]


def test_bits_are_compared_and_not_values() -> None:
    zero = np.zeros(2, np.float32)
    assert same_bits(zero, zero.copy())
    assert not same_bits(zero, -zero)
    assert same_bits(zero * np.nan, zero * np.nan)
    assert not same_bits(zero, zero.astype(np.float64))
    assert not same_bits(zero, zero.reshape(1, 2))
    assert same_bits(np.array(["a"], np.object_), np.array(["a"], np.object_))


def test_a_loaded_model_says_how_many_share_a_run(workshop: Any) -> None:
    def loaded(config: str) -> Any:
        folder = workshop.write("m", workshop.identity(), config=config)
        return load_model(folder, "1", ("1",), tensor_elements_max=1000).batching

    assert 1 < loaded("max_batch_size = 8").rows_max <= 8
    assert "max_batch_size is 0" in loaded("").why
    declared = loaded("max_batch_size = 8\n[service]\nmedian_ms = 1.0")
    assert (declared.rows_max, declared.why) == (1, "its service time is declared for one request")


def test_a_model_with_optional_inputs_runs_each_request_alone() -> None:
    timed = Timed(constant)
    specs = (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("b", "FP32", (-1, 1), optional=True))
    opened = OpenedFile(timed.run, specs, (TensorSpec("y", "FP32", (-1, 3)),), {})
    batching = measure_batching(opened, EXAMPLE, 64, timed.clock)
    assert (batching.rows_max, "optional inputs" in batching.why) == (1, True)
