"""What a head says is kept once; the tensors of several requests become one batch."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gateway.api import InferRequest, ModelMetadata, NdArray, OutputRequest, TensorSpec
from gateway.wire import KnownHead, RequestReader
from gateway.wire.known_head import known_head

MODEL = ModelMetadata(
    "m",
    ("1",),
    "p",
    (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("n", "INT64", (-1,))),
    (TensorSpec("y", "FP32", (-1,)),),
)


def body_of(number: int, *, rows: int = 2, pad: int = 0) -> tuple[bytes, int]:
    x = (np.arange(3 * rows, dtype="<f4") + 100 * number).reshape(rows, 3)
    n = np.arange(rows, dtype="<i8") - number
    inputs = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": datatype,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, datatype, array in (("x", "FP32", x), ("n", "INT64", n))
    ]
    document = {"inputs": inputs, "parameters": {"binary_data_output": True, "note": "kept"}}
    head = json.dumps(document).encode() + b" " * pad
    return head + x.tobytes() + n.tobytes(), len(head)


def known(body: bytes, head_bytes: int) -> KnownHead:
    reader = RequestReader(MODEL, tensor_elements_max=1000)
    assert reader.known(body, head_bytes) is None
    reader.decode(body, head_bytes)
    found = reader.known(body, head_bytes)
    assert found is not None
    return found


def test_what_is_said_once_is_said_of_all() -> None:
    body, head_bytes = body_of(1)
    found = known(body, head_bytes)
    assert (found.rows, found.head_bytes, found.tail_bytes) == (2, head_bytes, 40)
    assert found.request.binary_default
    assert found.request.parameters == {"binary_data_output": True, "note": "kept"}
    assert not found.request.inputs


@pytest.mark.parametrize("pad", range(9))
def test_joined_is_what_one_by_one_are(pad: int) -> None:
    bodies = [body_of(number, pad=pad) for number in range(5)]
    found = known(*bodies[0])
    joined = found.joined([body for body, _ in bodies])
    alone = [found.inputs(body) for body, _ in bodies]
    for name in ("x", "n"):
        expected: NdArray = np.concatenate([inputs[name] for inputs in alone])
        assert joined[name].dtype == expected.dtype
        assert joined[name].flags.aligned
        assert np.array_equal(joined[name], expected)
    assert joined["x"].shape == (10, 3)


def test_another_length_behind_the_head_is_not_known() -> None:
    body, head_bytes = body_of(1)
    reader = RequestReader(MODEL, tensor_elements_max=1000)
    reader.decode(body, head_bytes)
    for other in (body[:-1], body + b"x"):
        assert reader.known(other, head_bytes) is None
    assert reader.known(body, None) is None
    assert reader.known(body, 0) is None


@pytest.mark.parametrize(
    ("inputs", "said", "tail_bytes"),
    [
        ({"x": np.zeros(3, np.float32)}, {"id": "a"}, 12),
        ({"s": np.array([b"a"], np.object_)}, {}, 8),
        ({"b": np.zeros(3, np.bool_)}, {}, 3),
        ({"x": np.zeros(3, np.float32)}, {}, 0),
    ],
    ids=["an id", "strings", "flags", "numbers in the head"],
)
def test_what_must_be_looked_at_each_time_is_not_kept(
    inputs: dict[str, NdArray], said: dict[str, str], tail_bytes: int
) -> None:
    asked = (OutputRequest("y", binary=True),)
    request = InferRequest(inputs, asked, **said)  # type: ignore[arg-type]  # an id, or nothing
    assert known_head(10, tail_bytes, request) is None
