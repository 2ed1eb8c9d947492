"""How long one run takes: the median of a few, with the inputs of the model's example.

Without a usable ``example.json`` the inputs are zeros, with free dimensions of 1 and, where
the model refuses those, of the next of ``FREE_SIZES``: pictures and sound need more than a few.
A model that cannot be run with any is given a run time that keeps it off the event loop.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from gateway.api import DTYPES, ConfigError, NdArray, TensorSpec
from gateway.engine.inside import read_inside
from gateway.engine.session import ORT_ERRORS, OpenedFile, plain

EXAMPLE_FILE = "example.json"
EXAMPLE_BYTES_MAX = 64 * 1024 * 1024
RUNS = 20
WARM_UP_RUNS = 3
BUDGET_S = 0.15
"""A slow model is run less often than RUNS times, so that loading stays quick."""
UNKNOWN_RUN_MS = 10.0
FREE_SIZES = (1, 16, 64, 512)
BATCH = 8
"""Examples in the run that tells what a batch costs."""
BATCH_RUNS, BATCH_WARM_UP_RUNS = 5, 1
"""Of a batch, which is the mean of eight examples already, by a model that has run before."""

Inputs = Mapping[str, NdArray]


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[object]


class _Example(msgspec.Struct):
    inputs: list[_Tensor]


@dataclass(frozen=True, slots=True)
class RunTime:
    """Median time of one run, and what each further example of a batch adds to it.

    ``guess`` says why it could not be measured; empty when it was.
    """

    run_ms: float
    extra_ms: float
    guess: str = ""


def measure_run_time(
    folder: Path, opened: OpenedFile, clock: Callable[[], float]
) -> tuple[RunTime, Inputs | None]:
    """Run the model's example. ``clock`` counts seconds.

    Returns the inputs that ran too, as the session takes them; None when none did.
    """
    reason = ""
    for inputs in _candidates(folder, opened.inputs):
        ready = as_session_inputs(inputs)
        try:
            run_ms = _median_ms(opened, ready, clock, WARM_UP_RUNS, RUNS)
        except ORT_ERRORS as error:
            reason = plain(error)
            continue
        return RunTime(run_ms, _extra_ms(opened, ready, clock, run_ms)), ready
    return RunTime(UNKNOWN_RUN_MS, 0.0, reason), None


def warm_up(folder: Path, opened: OpenedFile) -> None:
    """One run, of whatever runs: the first one is slower than those that follow."""
    outputs = [spec.name for spec in opened.outputs]
    for inputs in _candidates(folder, opened.inputs):
        with contextlib.suppress(*ORT_ERRORS):
            opened.run(outputs, as_session_inputs(inputs), None)
            return


def _extra_ms(
    opened: OpenedFile, inputs: Inputs, clock: Callable[[], float], run_ms: float
) -> float:
    """What batching gains is a property of the model, so a batch is run too."""
    if any(spec.shape[:1] != (-1,) for spec in opened.inputs):
        return 0.0
    batch = {name: np.concatenate([array] * BATCH) for name, array in inputs.items()}
    examples = BATCH * len(next(iter(inputs.values())))
    try:
        batch_ms = _median_ms(opened, batch, clock, BATCH_WARM_UP_RUNS, BATCH_RUNS)
    except ORT_ERRORS:
        return 0.0
    return max(0.0, batch_ms - run_ms) / (examples - examples // BATCH)


def _candidates(folder: Path, specs: Sequence[TensorSpec]) -> list[Inputs]:
    required = [spec for spec in specs if not spec.optional]
    zeros = [zero_inputs(required, size) for size in FREE_SIZES]
    try:
        return [read_example(folder, specs), *zeros]
    except (ConfigError, FileNotFoundError):
        return [*zeros]


def _median_ms(
    opened: OpenedFile, inputs: Inputs, clock: Callable[[], float], warm_up_runs: int, runs: int
) -> float:
    outputs = [spec.name for spec in opened.outputs]
    started_s = before_s = clock()
    taken_s: list[float] = []
    for _ in range(warm_up_runs + runs):
        opened.run(outputs, inputs, None)
        after_s = clock()
        taken_s.append(after_s - before_s)
        before_s = after_s
        if after_s - started_s > BUDGET_S:
            break
    return statistics.median(taken_s[warm_up_runs:] or taken_s[-1:]) * 1e3


def zero_inputs(specs: Sequence[TensorSpec], free: int) -> Inputs:
    """Zeros of every input; a free first dimension is 1, any other is ``free``."""
    return {spec.name: _zeros(spec, free) for spec in specs}


def _zeros(spec: TensorSpec, free: int) -> NdArray:
    shape = [
        size if size >= 0 else (1 if axis == 0 else free) for axis, size in enumerate(spec.shape)
    ]
    if spec.datatype == "BYTES":
        return np.full(shape, b"", np.object_)
    return np.zeros(shape, DTYPES[spec.datatype])


def read_example(folder: Path, specs: Sequence[TensorSpec]) -> Inputs:
    """The inputs of ``example.json``. Raises FileNotFoundError, or ConfigError when wrong."""
    path = folder / EXAMPLE_FILE
    try:
        example = msgspec.json.decode(
            read_inside(folder, EXAMPLE_FILE, EXAMPLE_BYTES_MAX), type=_Example
        )
    except FileNotFoundError:
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not an inference request: {error}") from None
    tensors = {tensor.name: tensor for tensor in example.inputs}
    needed = {spec.name for spec in specs if not spec.optional}
    if not needed <= set(tensors) <= {spec.name for spec in specs}:
        raise ConfigError(
            f"{path}: inputs are {', '.join(tensors)}; "
            f"the model takes {', '.join(spec.name for spec in specs)}"
        )
    given = [spec for spec in specs if spec.name in tensors]
    return {spec.name: _example_array(path, spec, tensors[spec.name]) for spec in given}


def _example_array(path: Path, spec: TensorSpec, tensor: _Tensor) -> NdArray:
    fits = len(tensor.shape) == len(spec.shape) and all(
        declared < 0 or size == declared
        for size, declared in zip(tensor.shape, spec.shape, strict=True)
    )
    if not fits or tensor.datatype != spec.datatype:
        raise ConfigError(
            f"{path}: input {spec.name!r} is {tensor.datatype} {tensor.shape}; "
            f"the model takes {spec.datatype} {list(spec.shape)} (-1 is free)"
        )
    try:
        array: NdArray = np.array(tensor.data, DTYPES[spec.datatype]).reshape(tensor.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{path}: input {spec.name!r}: {error}") from None
    if spec.datatype == "BYTES":
        array[...] = np.reshape([str(item).encode() for item in array.flat], array.shape)
    return array


def as_session_inputs(inputs: Inputs) -> Inputs:
    """BYTES (UTF-8) as onnxruntime wants them: str; the rest untouched."""
    return {
        name: strings_from_bytes(array) if array.dtype.hasobject else array
        for name, array in inputs.items()
    }


def strings_from_bytes(array: NdArray) -> NdArray:
    """Objects that are UTF-8 bytes -> objects that are str, same shape."""
    strings = np.empty(array.size, np.object_)
    strings[:] = [item.decode() for item in array.ravel()]
    return strings.reshape(array.shape)
