"""A request is read whole or refused by the name of what is wrong in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gateway.api import (
    DTYPES,
    InferRequest,
    InvalidRequest,
    ModelMetadata,
    OutputRequest,
    RequestError,
    TensorSpec,
    TooLarge,
    Unsupported,
)
from gateway.wire import decode_request
from gateway.wire.binary import array_to_binary

MODEL = ModelMetadata(
    "plant",
    ("1",),
    "onnxruntime_onnx",
    (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("n", "INT32", (-1,))),
    (
        TensorSpec("y", "FP32", (-1, 3)),
        TensorSpec("text", "BYTES", (-1,)),
        TensorSpec("flag", "BOOL", (-1,)),
    ),
)
X = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2.5, -3]}
N = {"name": "n", "shape": [1], "datatype": "INT32", "data": [7]}


def single(datatype: str, shape: tuple[int, ...], out: str = "FP32") -> ModelMetadata:
    return ModelMetadata(
        "one", ("1",), "p", (TensorSpec("x", datatype, shape),), (TensorSpec("y", out, (-1,)),)
    )


def decode(
    document: Any,
    tail: bytes | None = None,
    model: ModelMetadata = MODEL,
    elements_max: int = 1000,
    batch_max: int = 0,
) -> InferRequest:
    head = document if isinstance(document, bytes) else json.dumps(document).encode()
    head_bytes = None if tail is None else len(head)
    return decode_request(
        head + (tail or b""),
        head_bytes,
        model,
        tensor_elements_max=elements_max,
        batch_max=batch_max,
    )


def with_inputs(*inputs: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"inputs": list(inputs), **more}


def refused(error: type[RequestError], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(error) as caught:
        decode(*args, **kwargs)
    assert type(caught.value) is error
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_a_json_request() -> None:
    request = decode(
        with_inputs(X, N, id="a-1", parameters={"timeout": 5}, outputs=[{"name": "y"}])
    )
    assert request.inputs["x"].tolist() == [[1.0, 2.5, -3.0]]
    assert request.inputs["x"].dtype == np.float32
    assert request.inputs["n"].tolist() == [7]
    assert request.outputs == (OutputRequest("y"),)
    assert request.id == "a-1"
    assert request.parameters == {"timeout": 5}


def test_absent_null_and_unknown_fields() -> None:
    document = with_inputs(
        {**X, "parameters": None, "extra": [1]}, N, id=None, outputs=None, parameters=None
    )
    request = decode({**document, "model_name": "plant", "novel": {"a": [1]}})
    assert request.id == ""
    assert request.outputs == ()
    assert not request.binary_default


def test_binary_follows_in_the_order_of_the_head() -> None:
    n = np.array([7, 8], "<i4")
    x = np.arange(6, dtype="<f4").reshape(2, 3)
    document = with_inputs(
        {"name": "n", "shape": [2], "datatype": "INT32", "parameters": {"binary_data_size": 8}},
        {"name": "x", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}},
    )
    request = decode(document, array_to_binary(n) + array_to_binary(x))
    assert request.inputs["n"].tolist() == n.tolist()
    assert request.inputs["x"].tolist() == x.tolist()


def test_json_and_binary_may_be_mixed() -> None:
    binary = {**X, "parameters": {"binary_data_size": 12}, "data": None}
    request = decode(with_inputs(N, binary), np.array([1, 2, 3], "<f4").tobytes())
    assert request.inputs["n"].tolist() == [7]
    assert request.inputs["x"].tolist() == [[1, 2, 3]]


def test_head_that_is_the_whole_body() -> None:
    assert decode(with_inputs(X, N), b"").inputs["n"].tolist() == [7]


@pytest.mark.parametrize("datatype", sorted(set(DTYPES) - {"BYTES"}))
def test_every_datatype_in_binary(datatype: str) -> None:
    array = np.array([0, 1, 1], DTYPES[datatype])
    raw = array_to_binary(array)
    head = {"name": "x", "shape": [3], "datatype": datatype}
    document = with_inputs({**head, "parameters": {"binary_data_size": len(raw)}})
    read = decode(document, raw, single(datatype, (-1,))).inputs["x"]
    assert read.dtype == DTYPES[datatype]
    assert read.tolist() == array.tolist()


def test_outputs_and_how_they_are_wanted() -> None:
    asked = [
        {"name": "y", "parameters": {"binary_data": False, "classification": 2}},
        {"name": "text"},
        {"name": "flag", "parameters": {"other": 1}},
    ]
    parameters = {"binary_data_output": True}
    request = decode(with_inputs(X, N, outputs=asked, parameters=parameters))
    assert request.outputs == (
        OutputRequest("y", binary=False, classification=2),
        OutputRequest("text", binary=True),
        OutputRequest("flag", binary=True),
    )
    assert decode(with_inputs(X, N, parameters=parameters)).binary_default


# ---- what is wrong is named ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "body: Input data was truncated"),
        (b"[]", "body: JSON: Expected `object`, got `array`"),
        (b"{}", "body: JSON: Object missing required field `inputs`"),
        (b'{"inputs":3}', "body: inputs: Expected `array`, got `int`"),
        (b'{"inputs":[{"name":1}]}', "body: inputs[0].name: Expected `str`"),
        (b'{"inputs":[{"name":"x","shape":[1.5]}]}', "body: inputs[0].shape[0]: Expected `int`"),
        (b'{"inputs":[],}', "(byte 13)"),
        (b'{"inputs":[]} x', "trailing characters"),
        (b'{"id":7,"inputs":[]}', "body: id: Expected `str"),
        (b'{"id":"\xff","inputs":[]}', "body: the JSON is not UTF-8"),
        (b'{"q":' + b"[" * 100_000, "body: the JSON is nested too deep"),
        (b'{"inputs":[],"parameters":{"a":[]}}', "body: parameters[...]: Expected"),
        (b'{"inputs":[{"data":[1,NaN]}]}', "no NaN or Infinity, send the tensor as binary"),
        (b'{"inputs":[{"data":[-Infinity]}]}', "no NaN or Infinity"),
    ],
)
def test_a_body_that_cannot_be_read(body: bytes, what: str) -> None:
    assert what in refused(InvalidRequest, body)


@pytest.mark.parametrize(
    ("document", "what"),
    [
        (with_inputs(X), "input 'n': missing; model 'plant' takes it"),
        (with_inputs(), "input 'x', 'n': missing"),
        (with_inputs(X, N, {**N, "name": "z"}), "input 'z': model 'plant' has no such input"),
        (with_inputs(X, N, {**N, "name": "z" * 10_000}), "zz..."),
        (with_inputs(X, N, N), "input 'n': given twice"),
        (with_inputs({**X, "datatype": "FP64"}, N), "input 'x': datatype is 'FP64'; the model"),
        (with_inputs({**X, "datatype": "f" * 999}, N), "input 'x': datatype is 'fff"),
        (with_inputs({**X, "shape": [3]}, N), "input 'x': shape has 1 dimensions; the model takes"),
        (with_inputs({**X, "shape": [1, 4]}, N), "input 'x': shape is [1, 4]; expected [-1, 3]"),
        (with_inputs({**X, "shape": [0, 3]}, N), "input 'x': shape is [0, 3]; expected every"),
        (with_inputs({**X, "shape": [-1, 3]}, N), "input 'x': shape is [-1, 3]; expected every"),
        (with_inputs({**X, "shape": [2, 3]}, N), "input 'x': data has 3 elements, shape [2, 3]"),
        (with_inputs({**X, "data": "1,2,3"}, N), "input 'x': data: Expected `array`"),
        (with_inputs(X, {**N, "data": [1.5]}), "input 'n': data[0]: Expected `int`, got `float`"),
        (with_inputs(X, {**N, "data": [2**31]}), "input 'n': data[0] is 2147483648, outside INT32"),
        (with_inputs({"name": "x", "shape": [1, 3], "datatype": "FP32"}, N), "input 'x': neither"),
    ],
)
def test_a_wrong_input_is_named(document: Any, what: str) -> None:
    assert what in refused(InvalidRequest, document)


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        ([{"name": "z"}], "output 'z': model 'plant' has no such output; it gives 'y', 'text'"),
        ([{"name": "z" * 9999}], "has no such output"),
        ([{"name": "y"}, {"name": "y"}], "outputs: 'y', 'y': one is named twice"),
        ([{"name": "text", "parameters": {"classification": 1}}], "output 'text': classification"),
        ([{"name": "flag", "parameters": {"classification": 1}}], "this output is BOOL"),
        ([{"name": "y", "parameters": {"classification": -1}}], "output 'y': parameter classif"),
        ([{"name": "y", "parameters": {"classification": "3"}}], "output 'y': parameter classif"),
        ([{"name": "y", "parameters": {"binary_data": 1}}], "output 'y': parameter binary_data"),
        ([{}], "body: outputs[0]: Object missing required field `name`"),
    ],
)
def test_a_wrong_output_is_named(outputs: Any, what: str) -> None:
    assert what in refused(InvalidRequest, with_inputs(X, N, outputs=outputs))


def test_binary_data_output_is_a_boolean() -> None:
    document = with_inputs(X, N, parameters={"binary_data_output": "yes"})
    assert "body: parameter binary_data_output is 'yes'" in refused(InvalidRequest, document)


def binary_x(size: Any, **more: Any) -> dict[str, Any]:
    head = {"name": "x", "shape": [1, 3], "datatype": "FP32"}
    return with_inputs(N, {**head, "parameters": {"binary_data_size": size}, **more})


@pytest.mark.parametrize(
    ("document", "tail", "what"),
    [
        (binary_x(12), bytes(8), "input 'x': binary_data_size is 12; 8 bytes are left"),
        (binary_x(12), bytes(16), "body: 4 bytes are left after the last binary input"),
        (binary_x(8), bytes(8), "input 'x': binary_data_size is 8, but FP32 of shape [1, 3] takes"),
        (binary_x(-12), bytes(12), "input 'x': parameter binary_data_size is -12"),
        (binary_x(True), bytes(12), "input 'x': parameter binary_data_size is True"),
        (binary_x(12.0), bytes(12), "input 'x': parameter binary_data_size is 12.0"),
        (binary_x(12, data=[1, 2, 3]), bytes(12), "input 'x': both data and binary_data_size"),
        (binary_x(12), None, "no Inference-Header-Content-Length"),
        (with_inputs(X, N), b"x", "body: 1 bytes are left after the last binary input"),
    ],
)
def test_binary_that_does_not_add_up(document: Any, tail: bytes | None, what: str) -> None:
    assert what in refused(InvalidRequest, document, tail)


@pytest.mark.parametrize("head_bytes", [-1, 3, 10**9])
def test_a_head_outside_the_body(head_bytes: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"Content-Length is {head_bytes}; .* 1 to 2"):
        decode_request(b"{}", head_bytes, MODEL, tensor_elements_max=10)


def test_a_head_cut_in_the_middle() -> None:
    body = json.dumps(with_inputs(X, N)).encode()
    with pytest.raises(InvalidRequest, match="body: Input data was truncated"):
        decode_request(body, len(body) - 1, MODEL, tensor_elements_max=10)


def test_requests_without_a_head_are_not_offered() -> None:
    with pytest.raises(Unsupported, match="Inference-Header-Content-Length is 0"):
        decode_request(bytes(12), 0, MODEL, tensor_elements_max=10)


def test_bounds() -> None:
    wide = {**X, "shape": [5, 3], "data": [0] * 15}
    five = {**N, "shape": [5], "data": [0] * 5}
    assert "input 'x': shape [5, 3]" in refused(TooLarge, with_inputs(wide, five), elements_max=14)
    assert decode(with_inputs(wide, five), elements_max=15, batch_max=5).inputs
    assert "input 'x': batch of 5; the model takes at most 4" in refused(
        TooLarge, with_inputs(wide, five), batch_max=4
    )
    assert "input 'n': batch of 1, but input 'x' has 5" in refused(
        InvalidRequest, with_inputs(wide, N), batch_max=8
    )


@pytest.mark.parametrize("size", [2**62, 2**70, 10**4000])
def test_absurd_shapes_are_refused_before_anything_is_read(size: int) -> None:
    head = json.dumps(with_inputs({**X, "shape": [1, 3]}, N)).replace("[1, 3]", f"[{size}, 3]")
    with pytest.raises(RequestError):
        decode(head.encode())


def test_what_is_not_offered() -> None:
    assert "input 'x': datatype BF16" in refused(
        Unsupported, with_inputs({**X, "datatype": "BF16"}, N)
    )
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 12}
    without_data = {"name": "x", "shape": [1, 3], "datatype": "FP32", "parameters": region}
    assert "input 'x': parameter shared_memory_region" in refused(
        Unsupported, with_inputs(without_data, N)
    )
    outputs = [{"name": "y", "parameters": region}]
    assert "output 'y': parameter shared_memory_region" in refused(
        Unsupported, with_inputs(X, N, outputs=outputs)
    )


def test_fp16_goes_as_binary_only() -> None:
    half = {"name": "x", "shape": [1], "datatype": "FP16"}
    model = single("FP16", (-1,), out="FP16")
    in_binary = {**half, "parameters": {"binary_data_size": 2}}
    assert "input 'x': FP16" in refused(
        InvalidRequest, with_inputs({**half, "data": [1.0]}), model=model
    )
    assert "output 'y': FP16" in refused(InvalidRequest, with_inputs(in_binary), b"\0\0", model)
    asked = with_inputs(in_binary, outputs=[{"name": "y", "parameters": {"binary_data": True}}])
    assert decode(asked, b"\x00\x3c", model).inputs["x"].tolist() == [1.0]
    every = with_inputs(in_binary, parameters={"binary_data_output": True})
    assert decode(every, b"\x00\x3c", model).binary_default


def test_an_optional_input_may_be_left_out() -> None:
    bias = {"name": "bias", "shape": [1, 1], "datatype": "FP32", "data": [7]}
    model = ModelMetadata(
        "m", ("1",), "p",
        (TensorSpec("x", "FP32", (-1, 3)), TensorSpec("bias", "FP32", (-1, 1), optional=True)),
        (TensorSpec("y", "FP32", (-1, 3)),),
    )  # fmt: skip
    assert set(decode(with_inputs(X), b"", model).inputs) == {"x"}
    assert set(decode(with_inputs(X), b"", model, batch_max=4).inputs) == {"x"}
    assert set(decode(with_inputs(X, bias), b"", model, batch_max=4).inputs) == {"x", "bias"}
    assert "input 'x': missing" in refused(InvalidRequest, with_inputs(bias), b"", model)
