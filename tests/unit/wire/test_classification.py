"""Classes are ranked and spelled as Triton does it."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.api import DTYPES
from gateway.wire.classification import top_classes

RANKED = [name for name, dtype in DTYPES.items() if dtype.kind in "iu"]


def test_value_index_label() -> None:
    array = np.array([[0.1, 0.7, 0.2]], "<f4")
    top = top_classes(array, 2, ("cold", "normal", "hot"), batched=True)
    assert top.tolist() == [[b"0.700000:1:normal", b"0.200000:2:hot"]]


def test_without_labels_and_without_a_batch() -> None:
    top = top_classes(np.array([1.1, 3.3, 0.5, 2.4]), 2, (), batched=False)
    assert top.tolist() == [b"3.300000:1", b"2.400000:3"]


def test_an_example_is_flattened_and_k_is_cut_to_its_size() -> None:
    array = np.arange(12, dtype="<f4").reshape(2, 2, 3)
    assert top_classes(array, 99, (), batched=True).shape == (2, 6)
    assert top_classes(array, 99, (), batched=False).shape == (12,)
    assert top_classes(array, 1, (), batched=True).tolist() == [[b"5.000000:5"], [b"11.000000:5"]]


@pytest.mark.parametrize("datatype", RANKED)
def test_integers_are_ranked_over_their_whole_range(datatype: str) -> None:
    limits = np.iinfo(DTYPES[datatype])
    array = np.array([5, limits.min, limits.max, 6], DTYPES[datatype])
    top = top_classes(array, 4, (), batched=False).tolist()
    assert top == [f"{limits.max}:2".encode(), b"6:3", b"5:0", f"{limits.min}:1".encode()]


def test_ties_go_to_the_lower_index_and_nan_comes_last() -> None:
    array = np.array([np.nan, 1.0, 2.0, 2.0, -np.inf], "<f4")
    top = top_classes(array, 5, (), batched=False).tolist()
    assert [item.split(b":")[1] for item in top] == [b"2", b"3", b"1", b"4", b"0"]
    assert top[-1] == b"nan:0"


def test_labels_may_be_fewer_than_classes_and_are_utf8() -> None:
    top = top_classes(np.array([1.0, 2.0]), 2, ("冷",), batched=False)
    assert top.tolist() == [b"2.000000:1", "1.000000:0:冷".encode()]
