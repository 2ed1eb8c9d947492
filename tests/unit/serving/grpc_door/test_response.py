"""An answer of a center, binary or JSON, as the message a client reads; heads are learned once."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from gateway.api import CenterFailed
from gateway.serving.grpc_door.messages import ModelInferResponse, ModelStreamInferResponse
from gateway.serving.grpc_door.response import (
    HEADS_KEPT,
    ResponseWriter,
    stream_error,
)

FLOATS = struct.pack("<2f", 1.5, -2.0)


def head(*outputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model_name": "mlp", "outputs": list(outputs), **more}).encode()


def binary(name: str = "y", size: int = 8, **more: Any) -> dict[str, Any]:
    parameters = {"binary_data_size": size, **more}
    return {"name": name, "datatype": "FP32", "shape": [1, 2], "parameters": parameters}


def read(raw: bytes) -> Any:
    return ModelInferResponse.FromString(raw)


def test_binary_outputs_pass_as_they_are() -> None:
    told = head(binary("y", note="n"), binary("z", 4), model_version="3", parameters={"a": True})
    answer = read(ResponseWriter().response(told + FLOATS + b"wxyz", len(told), "r-1"))
    assert (answer.model_name, answer.model_version, answer.id) == ("mlp", "3", "r-1")
    assert list(answer.raw_output_contents) == [FLOATS, b"wxyz"]
    assert [output.name for output in answer.outputs] == ["y", "z"]
    assert dict(answer.outputs[0].parameters)["note"].string_param == "n"
    assert "binary_data_size" not in answer.outputs[0].parameters
    assert answer.parameters["a"].bool_param


def test_a_head_seen_before_gives_the_same_answer_with_another_id() -> None:
    writer, told = ResponseWriter(), head(binary())
    first = read(writer.response(told + FLOATS, len(told), "r-1"))
    second = read(writer.response(told + FLOATS, len(told), "r-2"))
    assert (first.id, second.id) == ("r-1", "r-2")
    second.id = "r-1"
    assert first == second


def test_what_is_remembered_is_bounded() -> None:
    writer = ResponseWriter()
    for number in range(HEADS_KEPT * 2 + 1):
        told = head(binary(), model_version=str(number))
        answer = read(writer.response(told + FLOATS, len(told), ""))
        assert answer.model_version == str(number)
    assert len(writer._known) <= HEADS_KEPT


def test_an_answer_in_json_becomes_bytes() -> None:
    told = head({"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [1.5, -2.0]})
    answer = read(ResponseWriter().response(told, None, "r"))
    assert list(answer.raw_output_contents) == [FLOATS]


def test_outputs_of_both_kinds_keep_their_order() -> None:
    plain = {"name": "n", "datatype": "INT32", "shape": [1], "data": [7]}
    told = head(binary("y"), plain, binary("z"))
    answer = read(ResponseWriter().response(told + FLOATS + FLOATS, len(told), ""))
    assert list(answer.raw_output_contents) == [FLOATS, struct.pack("<i", 7), FLOATS]


@pytest.mark.parametrize("payload", [FLOATS + b"x", FLOATS[:-1]])
def test_tensors_of_another_size_than_said_are_the_centers_fault(payload: bytes) -> None:
    told = head(binary())
    with pytest.raises(CenterFailed, match=r"has \d bytes of tensors, its head says 8"):
        ResponseWriter().response(told + payload, len(told), "")


@pytest.mark.parametrize(
    "told",
    [
        b"[]",
        b'{"outputs": []}',
        head({"name": "y", "datatype": "FP32", "shape": [1]}),
        head({"name": "y", "datatype": "FP32", "shape": [2], "data": [1.0]}),
        head({"name": "y", "datatype": "FP8", "shape": [1], "data": [1.0]}),
    ],
)
def test_what_is_no_answer_is_the_centers_fault(told: bytes) -> None:
    with pytest.raises(CenterFailed):
        ResponseWriter().response(told, None, "")


@pytest.mark.parametrize("value", [True, -3, 2.5, "text"])
def test_parameters_keep_their_kind(value: Any) -> None:
    told = head(parameters={"p": value})
    parameter = read(ResponseWriter().response(told, None, "")).parameters["p"]
    kind = parameter.WhichOneof("parameter_choice")
    assert getattr(parameter, kind) == value
    assert type(getattr(parameter, kind)) is type(value)


def test_an_answer_of_a_stream_is_its_requests_last() -> None:
    writer, told = ResponseWriter(), head(binary())
    raw = writer.streamed(writer.response(told + FLOATS, len(told), "r"))
    answer = ModelStreamInferResponse.FromString(raw)
    assert answer.error_message == ""
    assert answer.infer_response.id == "r"
    assert answer.infer_response.parameters["triton_final_response"].bool_param


def test_an_error_of_a_stream_names_its_request() -> None:
    answer = ModelStreamInferResponse.FromString(stream_error("too late", "mlp", "r-9"))
    assert answer.error_message == "too late"
    assert (answer.infer_response.model_name, answer.infer_response.id) == ("mlp", "r-9")
