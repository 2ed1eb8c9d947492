"""A reader answers as ``decode_request`` does: the same arrays, the same refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import InferRequest, ModelMetadata, NearwayError, TensorSpec
from gateway.wire import RequestReader, decode_request
from gateway.wire.request_reader import HEAD_BYTES_KEPT, HEADS_KEPT, SHAPES_KEPT

ELEMENTS_MAX = 100
BATCH_MAX = 4


def model(*inputs: tuple[str, str, tuple[int, ...]], out: str = "FP32") -> ModelMetadata:
    specs = tuple(TensorSpec(*spec) for spec in inputs)
    return ModelMetadata("m", ("1",), "p", specs, (TensorSpec("y", out, (-1, 2)),))


ONE = model(("x", "FP32", (-1, 3)))
TWO = model(("x", "FP32", (-1, 3)), ("z", "FP64", (-1, 2)))
MIXED = model(("x", "FP32", (-1, 3)), ("n", "INT32", (-1,)))
FLAGS = model(("b", "BOOL", (2, 2)))
TEXTS = model(("s", "BYTES", (-1, 2)))
HALF = model(("x", "FP32", (-1, 3)), out="FP16")

X = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2.5, -3]}
Z = {"name": "z", "shape": [1, 2], "datatype": "FP64", "data": [0.1, 1e300]}
N = {"name": "n", "shape": [1], "datatype": "INT32", "data": [7]}


def reader_of(metadata: ModelMetadata) -> RequestReader:
    return RequestReader(metadata, tensor_elements_max=ELEMENTS_MAX, batch_max=BATCH_MAX)


def outcome(read: Any) -> Any:
    """What was read, or what was refused and how: comparable."""
    try:
        request: InferRequest = read()
    except NearwayError as error:
        return type(error), str(error)
    arrays = [(n, a.dtype, a.shape, a.tolist()) for n, a in request.inputs.items()]
    return arrays, request.outputs, request.id, request.binary_default, dict(request.parameters)


def assert_same(reader: RequestReader, metadata: ModelMetadata, body: bytes, head: Any) -> Any:
    """Twice, because a reader remembers."""
    expected = outcome(
        lambda: decode_request(
            body, head, metadata, tensor_elements_max=ELEMENTS_MAX, batch_max=BATCH_MAX
        )
    )
    for _ in range(2):
        assert outcome(lambda: reader.decode(body, head)) == expected
    return expected


def changed(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**X, **changes}]}


JSON_CASES: list[tuple[ModelMetadata, Any]] = [
    (ONE, {"inputs": [X]}),
    (ONE, {"inputs": [X], "id": "a-1"}),
    (ONE, {"inputs": [X], "parameters": {"timeout": 5}}),
    (ONE, {"inputs": [X], "parameters": {"binary_data_output": True}}),
    (ONE, {"inputs": [X], "parameters": {"binary_data_output": 3}}),
    (ONE, {"inputs": [X], "outputs": [{"name": "y"}]}),
    (ONE, {"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 1}}]}),
    (ONE, {"inputs": [X], "outputs": [{"name": "nope"}]}),
    (ONE, {"inputs": [X], "outputs": []}),
    (ONE, changed(data=[[1, 2, 3]])),
    (ONE, changed(shape=[2, 3], data=[[1, 2, 3], [4, 5, 6]])),
    (ONE, changed(shape=[2, 3], data=[[1, 2, 3], [4, 5]])),
    (ONE, changed(shape=[2, 3], data=[[1, 2, 3]])),
    (ONE, changed(data=[[[1, 2, 3]]])),
    (ONE, changed(data=[1, 2])),
    (ONE, changed(data=[1, 2, "3"])),
    (ONE, changed(data=[1, 2, 1e39])),
    (ONE, changed(data=None)),
    (ONE, changed(data=7)),
    (ONE, changed(data=[])),
    (ONE, changed(name="w")),
    (ONE, changed(datatype="FP64")),
    (ONE, changed(shape=[1, 4], data=[1, 2, 3, 4])),
    (ONE, changed(shape=[3])),
    (ONE, changed(shape=[0, 3], data=[])),
    (ONE, changed(shape=[-1, 3])),
    (ONE, changed(shape=["1", 3])),
    (ONE, changed(shape=[5, 3], data=[0] * 15)),
    (ONE, changed(shape=[40, 3], data=[0] * 120)),
    (ONE, changed(parameters={})),
    (ONE, changed(parameters={"content_type": "np"})),
    (ONE, changed(parameters={"binary_data_size": 12})),
    (ONE, changed(parameters={"shared_memory_region": "r"})),
    (ONE, changed(parameters={"nested": {}})),
    (ONE, {"inputs": [X, X]}),
    (ONE, {"inputs": []}),
    (ONE, {}),
    (ONE, []),
    (TWO, {"inputs": [X, Z]}),
    (TWO, {"inputs": [Z, X]}),
    (TWO, {"inputs": [X]}),
    (TWO, {"inputs": [X, {**Z, "shape": [2, 2], "data": [1, 2, 3, 4]}]}),
    (TWO, {"inputs": [{**X, "data": [[1, 2, 3]]}, {**Z, "data": [[1, 2]]}]}),
    (TWO, {"inputs": [{**X, "data": [[1, 2, 3]]}, Z]}),
    (MIXED, {"inputs": [X, N]}),
    (FLAGS, {"inputs": [{"name": "b", "shape": [2, 2], "datatype": "BOOL", "data": [True] * 4}]}),
    (FLAGS, {"inputs": [{"name": "b", "shape": [2, 2], "datatype": "BOOL", "data": [1] * 4}]}),
    (TEXTS, {"inputs": [{"name": "s", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "b"]}]}),
    (HALF, {"inputs": [X]}),
]


@pytest.mark.parametrize(("metadata", "document"), JSON_CASES)
def test_json_is_read_as_decode_request_reads_it(metadata: ModelMetadata, document: Any) -> None:
    assert_same(reader_of(metadata), metadata, json.dumps(document).encode(), None)


def test_one_reader_for_all_kinds_of_bodies() -> None:
    """What it remembers of one request does not leak into the next."""
    reader = reader_of(ONE)
    for metadata, document in JSON_CASES:
        if metadata is ONE:
            assert_same(reader, ONE, json.dumps(document).encode(), None)
    assert_same(reader, ONE, b'{"inputs": [', None)
    assert_same(reader, ONE, b'{"inputs": [{"data": [NaN]}]}', None)


def head_of(**changes: Any) -> bytes:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", **changes}
    tensor.setdefault("parameters", {"binary_data_size": 12})
    return json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()


def test_a_known_head_is_read_anew_when_the_tail_differs() -> None:
    reader = reader_of(ONE)
    head = head_of()
    first, second = np.arange(3, dtype="<f4"), np.arange(3, 6, dtype="<f4")
    for array in (first, second, first):
        request = reader.decode(head + array.tobytes(), len(head))
        assert request.inputs["x"].tolist() == [array.tolist()]
        assert request.binary_default
    assert_same(reader, ONE, head + first.tobytes()[:-1], len(head))
    assert_same(reader, ONE, head + first.tobytes() + b"x", len(head))
    assert_same(reader, ONE, head, len(head))
    assert_same(reader, ONE, head + first.tobytes(), None)
    assert_same(reader, ONE, head + first.tobytes(), len(head) + 1)


@pytest.mark.parametrize("pad", range(5))
def test_tensors_behind_a_known_head_are_aligned(pad: int) -> None:
    reader = reader_of(TWO)
    document = {
        "inputs": [
            {"name": "x", "shape": [1, 3], "datatype": "FP32"},
            {"name": "z", "shape": [1, 2], "datatype": "FP64"},
        ]
    }
    for tensor, size in zip(document["inputs"], (12, 16), strict=True):
        tensor["parameters"] = {"binary_data_size": size}
    head = json.dumps(document).encode() + b" " * pad
    body = head + np.arange(3, dtype="<f4").tobytes() + np.arange(2, dtype="<f8").tobytes()
    for _ in range(3):
        request = reader.decode(body, len(head))
        assert all(array.flags.aligned for array in request.inputs.values())
        assert request.inputs["x"].tolist() == [[0, 1, 2]]
        assert request.inputs["z"].tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "document",
    [
        {"inputs": [X]},
        {"inputs": [X], "id": "again"},
        {"inputs": [{**X, "data": None, "parameters": {"binary_data_size": 12}}], "id": "b"},
    ],
)
def test_heads_with_data_or_an_id_are_read_each_time(document: Any) -> None:
    head = json.dumps(document).encode()
    tail = bytes(12) if "data" not in head.decode() or "null" in head.decode() else b""
    assert_same(reader_of(ONE), ONE, head + tail, len(head))


def test_json_data_beside_a_binary_input() -> None:
    binary = {**Z, "parameters": {"binary_data_size": 16}}
    del binary["data"]
    head = json.dumps({"inputs": [X, binary]}).encode()
    reader = reader_of(TWO)
    for value in (1.0, 2.0):
        body = head + np.full(2, value, "<f8").tobytes()
        assert_same(reader, TWO, body, len(head))


def test_flags_and_strings_behind_a_head_are_checked_each_time() -> None:
    tensor = {"name": "b", "shape": [2, 2], "datatype": "BOOL"}
    tensor["parameters"] = {"binary_data_size": 4}  # type: ignore[assignment]  # a JSON object
    head = json.dumps({"inputs": [tensor]}).encode()
    reader = reader_of(FLAGS)
    assert_same(reader, FLAGS, head + bytes([0, 1, 1, 0]), len(head))
    assert_same(reader, FLAGS, head + bytes([0, 1, 2, 0]), len(head))


def test_what_is_remembered_is_bounded() -> None:
    wide = model(("x", "FP32", (-1, -1)))
    reader = RequestReader(wide, tensor_elements_max=10_000)
    for size in range(1, SHAPES_KEPT * 2):
        tensor = {**X, "shape": [1, size], "data": [0.5] * size}
        body = json.dumps({"inputs": [tensor]}).encode()
        assert reader.decode(body, None).inputs["x"].shape == (1, size)
        assert len(reader._inputs["x"].shapes) <= SHAPES_KEPT
    tail = bytes(12)
    for number in range(HEADS_KEPT * 2):
        head = head_of() + b" " * number
        assert reader.decode(head + tail, len(head)).inputs["x"].shape == (1, 3)
        assert len(reader._heads) <= HEADS_KEPT
    before = len(reader._heads)
    head = head_of() + b" " * HEAD_BYTES_KEPT
    reader.decode(head + tail, len(head))
    assert len(reader._heads) == before


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
    st.booleans(),
)
def test_any_floats_are_read_bit_for_bit(values: list[float], nested: bool) -> None:
    body = json.dumps(changed(data=[values] if nested else values)).encode()
    read = reader_of(ONE).decode(body, None).inputs["x"]
    assert read.tobytes() == np.array([values], "<f4").tobytes()


@given(st.data())
def test_a_body_cut_or_altered_anywhere_is_read_the_same_way(data: st.DataObject) -> None:
    _, document = data.draw(st.sampled_from(JSON_CASES[:20]))
    body = json.dumps(document).encode()
    at = data.draw(st.integers(0, len(body) - 1))
    other = body[:at] + bytes([data.draw(st.integers(0, 255))]) + body[at + 1 :]
    for altered in (body[:at], other):
        assert_same(reader_of(ONE), ONE, altered, None)
