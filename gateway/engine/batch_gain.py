"""Does a model gain from running several requests as one, and is every answer the same?

Measured when the model is loaded, with the shortest of a few runs of each size, which a busy
machine disturbs least.

An answer must not depend on who came in the same turn. A matrix product may add up in another
order for another number of rows, so every size up to the largest is run at load with rows that
differ, and each row is held against the same row run alone, bit for bit; sizes from the first
that differs on are not used. That also finds models whose first dimension is no batch. Only
models whose tensors leave the first dimension free and no other are looked at: then the shapes
that are checked are the shapes that run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gateway.api import NdArray
from gateway.engine.batching import GAIN_MIN, Batching, gain_of, size_worth
from gateway.engine.session import ORT_ERRORS, OpenedFile, plain

SIZES = (1, 2, 4, 8, 16, 32)
RUNS = 12
WARM_UP_RUNS = 2
SIZE_BUDGET_S = 0.05
"""A slow model is run less often than RUNS times."""
BUDGET_S = 0.5
"""For the times, and again for the check: what is not reached is not used."""
HOPELESS_SIZE, HOPELESS_GAIN = 4, 1.1
"""What gains no more than this by then is not run in larger batches, which take their time."""
SEED = 1

Inputs = Mapping[str, NdArray]
Clock = Callable[[], float]


def measure_batching(opened: OpenedFile, example: Inputs, rows_max: int, clock: Clock) -> Batching:
    """How many examples to run as one, at most ``rows_max`` and the largest of ``SIZES``.

    ``example``: inputs that run, as the session takes them. ``clock`` counts seconds.
    """
    wrong = _unfit(opened, rows_max)
    if wrong:
        return Batching(why=wrong)
    rows = varied_rows(example, min(rows_max, SIZES[-1]))
    try:
        times_s = _times_s(opened, rows, clock)
        size, gain = size_worth(times_s)
        if size == 1:
            return Batching(1, gain, f"its best gain is {gain:.2f}, under {GAIN_MIN}")
        equal, why = _equal_up_to(opened, rows, size, clock)
    except ORT_ERRORS as error:
        return Batching(why=f"a batch does not run: {plain(error)}")
    if equal == size:
        return Batching(size, gain)
    size = max(measured for measured in times_s if measured <= equal)
    gain = gain_of(times_s, size)
    return Batching(size, gain, why) if gain >= GAIN_MIN else Batching(1, gain, why)


def _unfit(opened: OpenedFile, rows_max: int) -> str:
    if rows_max < 2:
        return f"max_batch_size is {rows_max}; 2 or more lets requests share a run"
    if any(spec.optional for spec in opened.inputs):
        return "it has optional inputs, so its requests are not alike"
    for spec in (*opened.inputs, *opened.outputs):
        if spec.shape[:1] != (-1,) or -1 in spec.shape[1:]:
            return (
                f"{spec.name!r} has shape {list(spec.shape)}; "
                "requests share a run where the first size is free and no other"
            )
    return ""


def _times_s(opened: OpenedFile, rows: Inputs, clock: Clock) -> dict[int, float]:
    """The shortest run of each size, smallest first, until the budget is spent."""
    outputs = [spec.name for spec in opened.outputs]
    most = len(next(iter(rows.values())))
    started_s = clock()
    times_s: dict[int, float] = {}
    for size in sorted({*(s for s in SIZES if s < most), most}):
        inputs = {name: array[:size] for name, array in rows.items()}
        begun_s = before_s = clock()
        least_s = 0.0
        for run in range(WARM_UP_RUNS + RUNS):
            opened.run(outputs, inputs, None)
            after_s = clock()
            if run <= WARM_UP_RUNS or after_s - before_s < least_s:
                least_s = after_s - before_s
            before_s = after_s
            if after_s - begun_s > SIZE_BUDGET_S:
                break
        times_s[size] = max(least_s, 1e-9)
        gain = gain_of(times_s, size)
        hopeless = size >= HOPELESS_SIZE and gain < HOPELESS_GAIN
        if hopeless or before_s - started_s > BUDGET_S:
            break
    return times_s


def _equal_up_to(opened: OpenedFile, rows: Inputs, size: int, clock: Clock) -> tuple[int, str]:
    """(the largest size up to which every row is answered as alone, why it is not ``size``)."""
    outputs = [spec.name for spec in opened.outputs]
    started_s = clock()
    alone: list[list[NdArray]] = []
    for count in range(1, size + 1):
        last = {name: array[count - 1 : count] for name, array in rows.items()}
        alone.append(opened.run(outputs, last, None))
        together = opened.run(outputs, {name: a[:count] for name, a in rows.items()}, None)
        for at, array in enumerate(together):
            if not same_bits(array, np.concatenate([answer[at] for answer in alone])):
                return (
                    max(count - 1, 1),
                    f"output {outputs[at]!r} of {count} examples at once is not, bit for bit, "
                    "what they get one by one",
                )
        if count < size and clock() - started_s > BUDGET_S:
            return count, f"more than {count} examples could not be checked in {BUDGET_S} s"
    return size, ""


def same_bits(a: NdArray, b: NdArray) -> bool:
    """Equal in shape and in every bit; strings by value."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.hasobject:
        return bool(np.array_equal(a, b))
    return a.tobytes() == b.tobytes()


def varied_rows(example: Inputs, count: int) -> Inputs:
    """``count`` rows that differ, made of the example's first.

    Its elements in another order; floats at 0.5 to 1.5 times their value, or any of 0 to 1
    where all are 0.
    """
    draw = np.random.default_rng(SEED)
    return {name: _varied(array, count, draw) for name, array in example.items()}


def _varied(array: NdArray, count: int, draw: np.random.Generator) -> NdArray:
    first = array[:1]
    rows = np.concatenate([np.roll(first, shift) for shift in range(count)])
    if rows.dtype.kind != "f":
        return rows
    if not first.any():
        return draw.random(rows.shape).astype(rows.dtype)
    return (rows * draw.uniform(0.5, 1.5, rows.shape)).astype(rows.dtype)
