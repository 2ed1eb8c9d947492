"""The schemas are JSON Schemas, and accept and refuse what the protocol does."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from gateway.serving.openapi_schemas import SCHEMAS


def check(name: str, body: Any) -> None:
    Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    ).validate(body)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_is_a_valid_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}


def test_an_inference_request_and_its_binary_form_are_accepted() -> None:
    binary = {"name": "x", "shape": [1], "datatype": "FP16", "parameters": {"binary_data_size": 2}}
    check("inference_request", {"inputs": [TENSOR, binary], "parameters": {"timeout": 5}})
    check("inference_response", {"model_name": "m", "outputs": [TENSOR]})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": [{"name": "x"}]},
        {"inputs": [{**TENSOR, "datatype": "FLOAT"}]},
        {"inputs": [{**TENSOR, "shape": [-1]}]},
        {"inputs": [TENSOR], "parameters": {"a": [1]}},
    ],
)
def test_what_is_no_inference_request_is_refused(body: Any) -> None:
    with pytest.raises(ValidationError):
        check("inference_request", body)
