"""What goes over the wire comes back the same, and no bytes whatever break the reader."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import (
    DTYPES,
    InferRequest,
    ModelMetadata,
    NdArray,
    NearwayError,
    OutputRequest,
    RequestError,
    TensorSpec,
)
from gateway.wire import decode_request, encode_response, find_limits, parse_server_timing
from gateway.wire.binary import array_to_binary

ELEMENTS_MAX = 200
patient = settings(deadline=None)
JSON_TYPES = sorted(set(DTYPES) - {"FP16"})
SHAPES = st.lists(st.integers(1, 4), max_size=3)


def elements(datatype: str, count: int) -> st.SearchStrategy[list[Any]]:
    dtype = DTYPES[datatype]
    if datatype == "BYTES":
        one: st.SearchStrategy[Any] = st.text(max_size=5).map(str.encode)
    elif datatype == "BOOL":
        one = st.booleans()
    elif dtype.kind == "f":
        width = dtype.itemsize * 8
        one = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type]  # 16, 32 or 64
    else:
        limits = np.iinfo(dtype)
        one = st.integers(int(limits.min), int(limits.max))
    return st.lists(one, min_size=count, max_size=count)


@st.composite
def tensors(draw: st.DrawFn, datatypes: list[str]) -> tuple[str, NdArray]:
    datatype = draw(st.sampled_from(datatypes))
    shape = draw(SHAPES)
    count = int(np.prod(shape, dtype=int))
    array = np.empty(count, DTYPES[datatype])
    array[:] = draw(elements(datatype, count))
    return datatype, array.reshape(shape)


def model_of(datatype: str, array: NdArray) -> ModelMetadata:
    free = tuple(-1 for _ in array.shape)
    spec = (TensorSpec("x", datatype, free),)
    return ModelMetadata("m", ("1",), "p", spec, spec)


def spelled(datatype: str, array: NdArray) -> Any:
    if datatype != "BYTES":
        return array
    texts = np.empty(array.size, np.object_)
    texts[:] = [item.decode() for item in array.ravel()]
    return texts.reshape(array.shape)


def same(left: NdArray, right: NdArray) -> bool:
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and array_to_binary(left) == array_to_binary(right)
    )


def request_of(datatype: str, array: NdArray, **more: Any) -> dict[str, Any]:
    return {"name": "x", "shape": list(array.shape), "datatype": datatype, **more}


@patient
@given(tensors(JSON_TYPES), st.booleans())
def test_json_in_json_out(tensor: tuple[str, NdArray], nested: bool) -> None:
    datatype, array = tensor
    texts = spelled(datatype, array)
    data = texts.tolist() if nested and array.ndim else texts.ravel().tolist()
    body = json.dumps({"inputs": [request_of(datatype, array, data=data)]}).encode()
    model = model_of(datatype, array)
    request = decode_request(body, None, model, tensor_elements_max=ELEMENTS_MAX)
    assert same(request.inputs["x"], array)
    payload, head_bytes = encode_response("m", "1", request, request.inputs, model, {})
    assert head_bytes is None
    again = json.dumps({"inputs": json.loads(payload)["outputs"]}).encode()
    twice = decode_request(again, None, model, tensor_elements_max=ELEMENTS_MAX)
    assert same(twice.inputs["x"], array)


@patient
@given(tensors(sorted(DTYPES)), st.integers(0, 9))
def test_binary_in_binary_out(tensor: tuple[str, NdArray], pad: int) -> None:
    datatype, array = tensor
    raw = array_to_binary(array)
    asked = request_of(datatype, array, parameters={"binary_data_size": len(raw)})
    document = {"inputs": [asked], "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode() + b" " * pad
    model = model_of(datatype, array)
    request = decode_request(head + raw, len(head), model, tensor_elements_max=ELEMENTS_MAX)
    assert same(request.inputs["x"], array)
    payload, head_bytes = encode_response("m", "1", request, request.inputs, model, {})
    assert payload[head_bytes:] == raw


MODEL = ModelMetadata(
    "m",
    ("1",),
    "p",
    (TensorSpec("x", "FP32", (-1, 2)), TensorSpec("s", "BYTES", (1,))),
    (TensorSpec("y", "FP32", (-1, 2)),),
)
GOOD = (
    b'{"id":"a","parameters":{"timeout":5,"binary_data_output":true},"inputs":['
    b'{"name":"x","shape":[1,2],"datatype":"FP32","data":[[1.5,-2e3]]},'
    b'{"name":"s","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":7}}],'
    b'"outputs":[{"name":"y","parameters":{"classification":1,"binary_data":false}}]}'
)
TAIL = b"\x03\x00\x00\x00abc"


def read_somehow(body: bytes, head_bytes: int | None) -> InferRequest | None:
    try:
        return decode_request(
            body, head_bytes, MODEL, tensor_elements_max=ELEMENTS_MAX, batch_max=4
        )
    except RequestError:
        return None


def test_the_seed_of_the_mutations_is_good() -> None:
    request = read_somehow(GOOD + TAIL, len(GOOD))
    assert request is not None
    assert request.inputs["s"].tolist() == [b"abc"]
    assert request.outputs == (OutputRequest("y", binary=False, classification=1),)


@patient
@given(st.binary(max_size=300), st.none() | st.integers(-5, 400))
def test_arbitrary_bytes_never_break_it(body: bytes, head_bytes: int | None) -> None:
    read_somehow(body, head_bytes)


SPLICES = st.sampled_from(
    b'- 0 NaN 1e999 null [ ] {} " \xff \\u0000 \\ud800 99999999999999999999 true , :'.split()
).flatmap(lambda splice: st.sampled_from([splice, splice * 3000, b""]))


@patient
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), SPLICES), max_size=3))
def test_mutations_never_break_it(cuts: list[tuple[int, int, bytes]]) -> None:
    head = GOOD
    for at, length, splice in cuts:
        head = head[:at] + splice + head[at + length :]
    for body, head_bytes in ((head + TAIL, len(head)), (head, None)):
        request = read_somehow(body, head_bytes)
        if request is not None:
            assert set(request.inputs) == {"x", "s"}
    try:
        limits = find_limits(head)
    except NearwayError:
        return
    assert all(limit is None or limit > 0 for limit in limits)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)


@patient
@given(st.sampled_from(["name", "shape", "datatype", "parameters", "data"]), JSON_VALUES)
def test_any_value_in_any_field_is_taken_or_refused_by_name(field: str, value: Any) -> None:
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2], field: value}
    other = {"name": "s", "shape": [1], "datatype": "BYTES", "data": ["abc"]}
    body = json.dumps({"inputs": [tensor, other]}).encode()
    said = ""
    try:
        decode_request(body, None, MODEL, tensor_elements_max=ELEMENTS_MAX)
    except RequestError as error:
        said = str(error)
    assert said.startswith(("input ", "body: ")) or not said


@patient
@given(st.text(max_size=100))
def test_any_server_timing_is_read(text: str) -> None:
    assert all(value >= 0 for value in parse_server_timing(text).values())
