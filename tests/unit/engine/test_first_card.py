"""What tensors look like, in words."""

from __future__ import annotations

import pytest

from gateway.api import TensorSpec
from gateway.engine.first_card import looks_like, shape_text


@pytest.mark.parametrize(
    ("shape", "text"), [((), "[]"), ((-1, 3, -1), "[N, 3, *]"), ((2, -1), "[2, *]")]
)
def test_shapes_are_spelled(shape: tuple[int, ...], text: str) -> None:
    assert shape_text(shape) == text


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "guess"),
    [
        ("x", "BYTES", (-1, 1), "text"),
        ("input_ids", "INT64", (-1, -1), "tokens, numbered by the model's own tokenizer"),
        ("x", "FP32", (-1, 3, 224, 224), "pictures, three channels first"),
        ("x", "UINT8", (-1, -1, -1, 1), "pictures, grey last"),
        ("sr", "INT64", (), "one number"),
        ("x", "FP32", (-1, 21), "rows of 21 numbers"),
        ("y", "FP32", (-1, 1), "rows of 1 number"),
        ("x", "FP32", (1, -1, 80), "series: steps of values"),
        ("x", "FP32", (-1, -1), ""),
    ],
)
def test_a_guess_says_what_a_person_would(
    name: str, datatype: str, shape: tuple[int, ...], guess: str
) -> None:
    assert looks_like(TensorSpec(name, datatype, shape)) == guess
