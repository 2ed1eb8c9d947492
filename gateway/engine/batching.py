"""Several requests as one run: how many are worth it, how they are joined and parted.

What a batch gains is a property of the model (an MLP 6 to 18 times at 32 examples, a small
conv net nothing), and of what is done around a run, once for all who share it:
``gain(n) = n x (t(1) + a) / (t(n) + a)``. ``batch_gain`` measures it at load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.api import NdArray

AROUND_S = 25e-6
"""What a run costs around the model: about 10 us on the loop, 43 to 106 us on a thread."""
GAIN_MIN = 1.5
"""Below it, joining and parting cost what the batch saves."""
GAIN_SHARE = 0.95
"""The smallest size with this share of the best gain is enough: larger ones only take longer. For a
perceptron of 6.5 MB that means 16 instead of 8 at a share of 0.9: what is around a run costs twice
as much behind weights that have emptied the caches. Measured on a busy machine, 16 brought a
saturated center 4 % more.
"""


@dataclass(frozen=True, slots=True)
class Batching:
    """``rows_max``: examples of several requests that may run as one; 1: none.

    ``gain``: how much faster so many are as one than one by one. ``why`` they are not more.
    """

    rows_max: int = 1
    gain: float = 1.0
    why: str = ""


def gain_of(times_s: Mapping[int, float], size: int) -> float:
    """How much faster ``size`` requests are as one than one by one, with what is around a run."""
    return size * (times_s[1] + AROUND_S) / (times_s[size] + AROUND_S)


def size_worth(times_s: Mapping[int, float]) -> tuple[int, float]:
    """(the size to run, its gain) by the time of each size, 1 among them; (1, best) for none."""
    gains = {size: gain_of(times_s, size) for size in times_s}
    best = max(gains.values())
    if best < GAIN_MIN:
        return 1, best
    size = min(size for size, gain in gains.items() if gain >= GAIN_SHARE * best)
    return size, gains[size]


def join(requests: Sequence[Mapping[str, NdArray]]) -> dict[str, NdArray]:
    """The inputs of several requests one below the other; all have the same names."""
    return {name: np.concatenate([inputs[name] for inputs in requests]) for name in requests[0]}


def part(arrays: Sequence[NdArray], rows: Sequence[int]) -> list[list[NdArray]]:
    """The outputs of a joined run by request, ``rows`` examples each: views."""
    parts: list[list[NdArray]] = []
    at = 0
    for count in rows:
        end = at + count
        parts.append([array[at:end] for array in arrays])
        at = end
    return parts
