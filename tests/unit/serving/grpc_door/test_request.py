"""A message becomes a JSON head and tensors; what is wrong with it is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.api import InvalidRequest
from gateway.serving.grpc_door.messages import ModelInferRequest
from gateway.serving.grpc_door.request import oip_body, timeout_ms

ONES = b"\x00\x00\x80\x3f" * 4


@pytest.mark.parametrize("raw", [True, False])
def test_raw_and_typed_contents_become_the_same_body(request_of: Any, raw: bool) -> None:
    body, head_bytes = oip_body(request_of(raw=raw, id_="r-1"))
    assert body[head_bytes:] == ONES
    assert json.loads(body[:head_bytes]) == {
        "inputs": [
            {
                "name": "x",
                "shape": [1, 4],
                "datatype": "FP32",
                "parameters": {"binary_data_size": 16},
            }
        ],
        "parameters": {"binary_data_output": True},
    }


def test_parameters_and_outputs_go_along_but_not_the_form_of_the_answer(request_of: Any) -> None:
    request = request_of()
    request.parameters["priority"].uint64_param = 2
    request.parameters["binary_data_output"].bool_param = False
    request.inputs[0].parameters["note"].string_param = "n"
    output = request.outputs.add(name="y")
    output.parameters["classification"].int64_param = 3
    output.parameters["binary_data"].bool_param = False
    request.outputs.add(name="z")
    body, head_bytes = oip_body(request)
    head = json.loads(body[:head_bytes])
    assert head["parameters"] == {"priority": 2, "binary_data_output": True}
    assert head["inputs"][0]["parameters"] == {"note": "n", "binary_data_size": 16}
    assert head["outputs"] == [
        {"name": "y", "parameters": {"classification": 3}},
        {"name": "z"},
    ]


def test_a_message_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="model_name is empty"):
        oip_body(ModelInferRequest())


def test_raw_contents_are_one_an_input(request_of: Any) -> None:
    request = request_of()
    request.raw_input_contents.append(b"")
    with pytest.raises(InvalidRequest, match="has 2 entries, there are 1 inputs"):
        oip_body(request)


def test_both_kinds_of_contents_are_refused(request_of: Any) -> None:
    request = request_of()
    request.inputs[0].contents.fp32_contents.append(1.0)
    with pytest.raises(InvalidRequest, match=r"input 'x': contents and raw_input_contents"):
        oip_body(request)


def test_a_parameter_without_a_value_is_named(request_of: Any) -> None:
    request = request_of()
    request.parameters["timeout"].SetInParent()
    with pytest.raises(InvalidRequest, match=r"parameters\.timeout has no value"):
        oip_body(request)


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("int64_param", 2500, 2.5),
        ("uint64_param", 1000, 1.0),
        ("int64_param", -1, None),
        ("string_param", "9", None),
    ],
)
def test_the_requests_own_timeout_is_in_us(
    request_of: Any, kind: str, value: Any, told: float | None
) -> None:
    request = request_of()
    assert timeout_ms(request) is None
    setattr(request.parameters["timeout"], kind, value)
    assert timeout_ms(request) == told
