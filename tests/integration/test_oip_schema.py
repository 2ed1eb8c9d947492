"""Every answer of the Open Inference Protocol's routes against a schema of its specification.

Written down here from the specification and not taken from the gateway's own document. Where the
published schema contradicts the protocol's text or the servers that speak it, the text counts:

* ``data`` of an output is left out when the output goes as bytes behind the JSON; then its
  ``parameters`` has ``binary_data_size``. The published schema wants it always.
* ``inputs`` and ``outputs`` of a model's metadata are required by the text alone.
* A tensor's ``datatype`` is one of the protocol's, its dimensions in an answer are not negative
  and in metadata not below -1; the published schema takes any text and any integer.
* ``parameters`` hold texts, numbers and truth values; the published schema takes anything.
* ``live`` and ``ready`` have bodies by the text alone; no schema is published for them.
* ``data`` is a list, of lists or of plain values; ``null`` (a number that is none) is no value.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from math import prod
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository
from jsonschema import Draft202012Validator, ValidationError

Object = dict[str, Any]
TEXT: Object = {"type": "string"}
TRUTH: Object = {"type": "boolean"}
DATATYPE: Object = {
    "enum": [
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "FP32", "FP64", "BYTES", "BF16"),
    ]
}


def closed(properties: Object, *optional: str) -> Object:
    """All properties but the optional ones are required, and there are no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def shape(least: int) -> Object:
    return {"type": "array", "items": {"type": "integer", "minimum": least}}


PARAMETERS: Object = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
TENSOR_DATA: Object = {"$ref": "#/$defs/tensor_data"}
DEFS: Object = {
    "tensor_data": {
        "type": "array",
        "items": {"anyOf": [TENSOR_DATA, {"type": ["number", "string", "boolean"]}]},
    }
}
TENSOR = closed({"name": TEXT, "datatype": DATATYPE, "shape": shape(-1)})
OUTPUT = {
    **closed(
        {
            "name": TEXT,
            "shape": shape(0),
            "datatype": DATATYPE,
            "parameters": PARAMETERS,
            "data": TENSOR_DATA,
        },
        *("parameters", "data"),
    ),
    "oneOf": [
        {"required": ["data"]},
        {
            "required": ["parameters"],
            "properties": {"parameters": {"required": ["binary_data_size"]}, "data": False},
        },
    ],
}
ANSWER = closed(
    {
        "model_name": TEXT,
        "model_version": TEXT,
        "id": TEXT,
        "parameters": PARAMETERS,
        "outputs": {"type": "array", "items": OUTPUT},
    },
    *("model_version", "id", "parameters"),
)
SERVER = closed({"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}})
MODEL = closed(
    {
        "name": TEXT,
        "versions": {"type": "array", "items": TEXT},
        "platform": TEXT,
        "inputs": {"type": "array", "items": TENSOR},
        "outputs": {"type": "array", "items": TENSOR},
    },
    "versions",
)
ERROR = closed({"error": {"type": "string", "minLength": 1}, "reason": TEXT}, "reason")
LIVE = closed({"live": TRUTH})
READY = closed({"live": TRUTH, "ready": TRUTH}, "live")
MODEL_READY = closed({"name": TEXT, "ready": TRUTH}, "name")
INDEX = {
    "type": "array",
    "items": closed({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT}, "reason"),
}
MODELS = ("blast-furnace", "cockpit-intent", "grid-load", "well-log")


def check(schema: Object, told: Any) -> None:
    Draft202012Validator({**schema, "$defs": DEFS}).validate(told)


def call(url: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, bytes]:
    """(status, the JSON, what stands behind it)."""
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, fields, told = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, fields, told = error.code, error.headers, error.read()
    end = int(fields.get("Inference-Header-Content-Length") or len(told))
    return status, json.loads(told[:end]), told[end:]


def example(model: str) -> Object:
    path: Path = repository() / model / "example.json"
    document: Object = json.loads(path.read_bytes())
    return document


def test_of_the_server(served: Any) -> None:
    for path, schema in (("", SERVER), ("/health/live", LIVE), ("/health/ready", READY)):
        status, told, _ = call(f"{served.url}/v2{path}")
        assert status == 200
        check(schema, told)
    status, told, _ = call(f"{served.url}/v2/repository/index", b"{}")
    assert status == 200
    check(INDEX, told)
    assert {one["name"] for one in told} >= set(MODELS)


@pytest.mark.parametrize("version", ["", "/versions/1"])
@pytest.mark.parametrize("model", MODELS)
def test_of_a_model(served: Any, model: str, version: str) -> None:
    url = f"{served.url}/v2/models/{model}{version}"
    status, told, _ = call(url)
    assert status == 200
    check(MODEL, told)
    names = {one["name"] for one in told["outputs"]}
    check(MODEL_READY, call(f"{url}/ready")[1])
    asked = example(model)
    for wanted in (asked, {**asked, "id": "a", "parameters": {"binary_data_output": True}}):
        status, told, raw = call(f"{url}/infer", json.dumps(wanted).encode())
        assert status == 200, told
        check(ANSWER, told)
        assert {one["name"] for one in told["outputs"]} <= names
        sizes = [one.get("parameters", {}).get("binary_data_size", 0) for one in told["outputs"]]
        assert sum(sizes) == len(raw)
        assert bool(raw) == (wanted is not asked)
        for one in told["outputs"]:
            if "data" in one and not isinstance(one["data"][0], list):
                assert len(one["data"]) == prod(one["shape"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/nope", None, 404),
        ("/models/nope/infer", b'{"inputs":[]}', 404),
        ("/models/grid-load/versions/77", None, 404),
        ("/models/grid-load/infer", b"{", 400),
        ("/models/grid-load/infer", b'{"inputs":[{"name":"a"}]}', 400),
        ("/models/grid-load/infer", b'{"inputs":[]}', 400),
        ("/repository/models/nope/load", b"{}", 404),
        ("/nope", None, 404),
        ("/models/grid-load/infer", None, 405),
    ],
)
def test_errors(served: Any, path: str, body: bytes | None, status: int) -> None:
    found, told, _ = call(f"{served.url}/v2{path}", body)
    assert found == status, told
    check(ERROR, told)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a", "shape": [1], "datatype": "FP32"},
        {"name": "a", "shape": [-1], "datatype": "FP32", "data": [1.0]},
        {"name": "a", "shape": [1], "datatype": "FLOAT", "data": [1.0]},
        {"name": "a", "shape": [1], "datatype": "FP32", "data": [None]},
        {"name": "a", "shape": [1], "datatype": "FP32", "data": [1], "more": 1},
    ],
)
def test_the_schema_refuses_what_it_should(wrong: Object) -> None:
    with pytest.raises(ValidationError):
        check(ANSWER, {"model_name": "m", "outputs": [wrong]})
