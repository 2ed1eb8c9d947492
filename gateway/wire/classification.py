"""Top classes of an output as strings ``value:index:label``: the classification extension.

As Triton does it: the value printed as C prints ``%f`` (integers as ``%d``), the label only
where there is one. Ties go to the lower index, NaN ranks last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.api import NdArray


def top_classes(array: NdArray, classes: int, labels: Sequence[str], *, batched: bool) -> NdArray:
    """The ``classes`` highest elements (all, when there are fewer), highest first.

    ``batched``: the first dimension counts examples and the answer is ``[batch, k]``; else
    the whole array is one example and the answer is ``[k]``. Elements are bytes (UTF-8).
    """
    rows = array.reshape(array.shape[0], -1) if batched else array.reshape(1, -1)
    count = min(classes, rows.shape[1])
    answer = np.empty((rows.shape[0], count), np.object_)
    for index, row in enumerate(rows):
        answer[index] = [_spell(row[at], int(at), labels) for at in _descending(row)[:count]]
    return answer if batched else answer[0]


def _descending(row: NdArray) -> NdArray:
    """Indices from highest to lowest. ``~x`` turns the order of any integer type around."""
    return np.argsort(-row if row.dtype.kind == "f" else ~row, kind="stable")


def _spell(value: np.generic, index: int, labels: Sequence[str]) -> bytes:
    number = f"{value:f}" if value.dtype.kind == "f" else f"{value:d}"
    label = f":{labels[index]}" if index < len(labels) else ""
    return f"{number}:{index}{label}".encode()
