"""A response holds what was asked for, the way it was asked for."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from gateway.api import (
    DTYPES,
    CenterFailed,
    InferRequest,
    InvalidRequest,
    ModelMetadata,
    NdArray,
    OutputRequest,
    TensorSpec,
)
from gateway.wire import encode_response

with warnings.catch_warnings():  # the client's own imports warn on a new Python
    warnings.simplefilter("ignore")
    from tritonclient.http import InferResult

MODEL = ModelMetadata(
    "plant",
    ("1",),
    "p",
    (TensorSpec("x", "FP32", (-1,)),),
    (
        TensorSpec("y", "FP32", (-1, 3)),
        TensorSpec("text", "BYTES", (-1,)),
        TensorSpec("fixed", "INT64", (4,)),
    ),
)
ARRAYS: dict[str, NdArray] = {
    "y": np.array([[0.1, 0.7, 0.2], [3, 2, 1]], "<f4"),
    "text": np.array([b"a", "冷".encode()], np.object_),
    "fixed": np.array([1, 10, 5, 4], "<i8"),
}
LABELS = {"y": ("cold", "normal", "hot")}


def encode(*outputs: OutputRequest, **request: Any) -> tuple[bytes, int | None]:
    asked = InferRequest({}, outputs, **request)
    return encode_response("plant", "1", asked, ARRAYS, MODEL, LABELS)


def test_all_outputs_as_json() -> None:
    payload, head_bytes = encode(id="r-1")
    assert head_bytes is None
    y = ARRAYS["y"].ravel().tolist()
    assert json.loads(payload) == {
        "model_name": "plant",
        "model_version": "1",
        "id": "r-1",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [2, 3], "data": y},
            {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "冷"]},
            {"name": "fixed", "datatype": "INT64", "shape": [4], "data": [1, 10, 5, 4]},
        ],
    }


def test_no_id_no_version() -> None:
    payload, _ = encode_response("plant", "", InferRequest({}), ARRAYS, MODEL, {})
    assert set(json.loads(payload)) == {"model_name", "outputs"}


def test_requested_outputs_in_their_order() -> None:
    payload, _ = encode(OutputRequest("fixed"), OutputRequest("y"))
    assert [output["name"] for output in json.loads(payload)["outputs"]] == ["fixed", "y"]


@pytest.mark.parametrize("binary_default", [True, False])
def test_tritonclient_reads_it(binary_default: bool) -> None:
    payload, head_bytes = encode(binary_default=binary_default)
    assert (head_bytes is not None) == binary_default
    result = InferResult.from_response_body(payload, header_length=head_bytes)
    assert np.array_equal(result.as_numpy("y"), ARRAYS["y"])
    assert result.as_numpy("fixed").tolist() == [1, 10, 5, 4]
    if binary_default:
        assert result.as_numpy("text").tolist() == [b"a", "冷".encode()]


def test_json_and_binary_mixed() -> None:
    payload, head_bytes = encode(OutputRequest("y"), OutputRequest("fixed", binary=True))
    assert head_bytes is not None
    y, fixed = json.loads(payload[:head_bytes])["outputs"]
    assert "data" in y
    assert "parameters" not in y
    assert fixed["parameters"] == {"binary_data_size": 32}
    assert "data" not in fixed
    assert payload[head_bytes:] == ARRAYS["fixed"].tobytes()


def test_classification_of_a_batch_and_of_a_single_example() -> None:
    payload, _ = encode(
        OutputRequest("y", classification=2), OutputRequest("fixed", classification=1)
    )
    y, fixed = json.loads(payload)["outputs"]
    assert y == {
        "name": "y",
        "datatype": "BYTES",
        "shape": [2, 2],
        "data": ["0.700000:1:normal", "0.200000:2:hot", "3.000000:0:cold", "2.000000:1:normal"],
    }
    assert fixed == {"name": "fixed", "datatype": "BYTES", "shape": [1], "data": ["10:1"]}


def test_classification_in_binary() -> None:
    payload, head_bytes = encode(OutputRequest("y", binary=True, classification=1))
    result = InferResult.from_response_body(payload, header_length=head_bytes)
    assert result.as_numpy("y").tolist() == [[b"0.700000:1:normal"], [b"3.000000:0:cold"]]


def test_empty_and_scalar_answers() -> None:
    model = ModelMetadata(
        "m",
        ("1",),
        "p",
        (),
        (TensorSpec("none", "FP32", (-1, 4)), TensorSpec("scalar", "FP64", ())),
    )
    arrays = {"none": np.zeros((0, 4), "<f4"), "scalar": np.array(2.5)}
    for binary in (False, True):
        payload, head_bytes = encode_response(
            "m", "1", InferRequest({}, binary_default=binary), arrays, model, {}
        )
        result = InferResult.from_response_body(payload, header_length=head_bytes)
        assert result.as_numpy("none").shape == (0, 4)
        assert result.as_numpy("scalar").shape == ()


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_every_datatype_in_binary(datatype: str) -> None:
    values = [b"", b"\xff"] if datatype == "BYTES" else [0, 1]
    array = np.array(values, DTYPES[datatype])
    model = ModelMetadata("m", ("1",), "p", (), (TensorSpec("y", datatype, (-1,)),))
    payload, head_bytes = encode_response(
        "m", "1", InferRequest({}, binary_default=True), {"y": array}, model, {}
    )
    read = InferResult.from_response_body(payload, header_length=head_bytes).as_numpy("y")
    assert read.tolist() == array.tolist()


def test_what_json_cannot_say_names_the_output() -> None:
    arrays = {**ARRAYS, "y": np.array([[1, 2, np.nan]], "<f4")}
    with pytest.raises(InvalidRequest, match=r"output 'y'.*binary_data"):
        encode_response("plant", "1", InferRequest({}), arrays, MODEL, {})


def test_a_missing_array_is_the_centers_fault() -> None:
    with pytest.raises(CenterFailed, match="output 'y'"):
        encode_response("plant", "1", InferRequest({}), {}, MODEL, {})
