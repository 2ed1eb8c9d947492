"""JSON Schemas (2020-12) of the public door's bodies, by name."""

from __future__ import annotations

from typing import Any

from gateway.api import DTYPES

Object = dict[str, Any]
TEXT: Object = {"type": "string"}
NAME: Object = {"type": "string", "minLength": 1}


def reference(name: str) -> Object:
    """A ``$ref`` to the schema ``name``."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Object, required: tuple[str, ...] = (), **more: Any) -> Object:
    schema: Object = {"type": "object", "properties": properties, **more}
    if required:
        schema["required"] = list(required)
    return schema


def _list(items: Object, **more: Any) -> Object:
    return {"type": "array", "items": items, **more}


DATATYPE: Object = {"type": "string", "enum": [*DTYPES, "BF16"]}
SHAPE: Object = _list({"type": "integer", "minimum": 0})
PARAMETERS: Object = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}

SCHEMAS: Object = {
    "error": _object({"error": NAME, "reason": NAME}, ("error",)),
    "openai_error": _object(
        {
            "error": _object(
                {
                    "message": NAME,
                    "type": NAME,
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "null"]},
                },
                ("message", "type", "param", "code"),
            )
        },
        ("error",),
    ),
    "openai_model": _object(
        {"id": NAME, "object": NAME, "created": {"type": "integer"}, "owned_by": NAME},
        ("id", "object", "created", "owned_by"),
    ),
    "openai_models": _object(
        {"object": NAME, "data": _list(reference("openai_model"))}, ("object", "data")
    ),
    "openai_request": _object({"model": NAME, "stream": {"type": "boolean"}}, ("model",)),
    "openai_answer": _object({"object": NAME, "model": NAME}, ("object", "model")),
    "health": _object({"status": NAME}, ("status",)),
    "empty": {"type": "object", "maxProperties": 0},
    "openapi": _object({"openapi": TEXT, "paths": {"type": "object"}}, ("openapi", "paths")),
    "server_metadata": _object(
        {"name": TEXT, "version": TEXT, "extensions": _list(TEXT)},
        ("name", "version", "extensions"),
    ),
    "live": _object({"live": {"type": "boolean"}}, ("live",)),
    "ready": _object({"live": {"type": "boolean"}, "ready": {"type": "boolean"}}, ("ready",)),
    "tensor_metadata": _object(
        {"name": TEXT, "datatype": DATATYPE, "shape": _list({"type": "integer", "minimum": -1})},
        ("name", "datatype", "shape"),
    ),
    "model_metadata": _object(
        {
            "name": TEXT,
            "versions": _list(TEXT),
            "platform": TEXT,
            "inputs": _list(reference("tensor_metadata")),
            "outputs": _list(reference("tensor_metadata")),
        },
        ("name", "platform", "inputs", "outputs"),
    ),
    "model_ready": _object({"name": TEXT, "ready": {"type": "boolean"}}, ("name", "ready")),
    "model_config": _object({"name": TEXT}, ("name",)),
    "model_stats": _object(
        {"model_stats": _list(_object({"name": TEXT, "version": TEXT}, ("name",)))},
        ("model_stats",),
    ),
    "index_request": _object({"repository_name": TEXT, "ready": {"type": "boolean"}}),
    "index": _list(
        _object(
            {"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT},
            ("name", "version", "state"),
        )
    ),
    "load_request": _object({"parameters": PARAMETERS}),
    "unload_request": _object({"parameters": PARAMETERS}),
    "parameters": PARAMETERS,
    "tensor_data": _list(
        {"anyOf": [reference("tensor_data"), {"type": ["number", "string", "boolean"]}]}
    ),
    "request_input": _object(
        {
            "name": NAME,
            "shape": SHAPE,
            "datatype": DATATYPE,
            "parameters": reference("parameters"),
            "data": reference("tensor_data"),
        },
        ("name", "shape", "datatype"),
    ),
    "request_output": _object({"name": NAME, "parameters": reference("parameters")}, ("name",)),
    "inference_request": _object(
        {
            "id": TEXT,
            "parameters": reference("parameters"),
            "inputs": _list(reference("request_input"), minItems=1),
            "outputs": _list(reference("request_output")),
        },
        ("inputs",),
    ),
    "batch_request": _object(
        {
            "requests": _list(
                {
                    "allOf": [
                        reference("inference_request"),
                        _object({"model_name": NAME, "model_version": TEXT}, ("model_name",)),
                    ]
                },
                minItems=1,
            )
        },
        ("requests",),
    ),
    "batch_response": _object(
        {
            "responses": _list(
                _object(
                    {
                        "status": {"type": "integer"},
                        "id": TEXT,
                        "center": TEXT,
                        "response": reference("inference_response"),
                        "error": TEXT,
                        "reason": TEXT,
                    },
                    ("status",),
                )
            )
        },
        ("responses",),
    ),
    "generate_request": _object(
        {
            "text_input": TEXT,
            "id": TEXT,
            "parameters": _object(
                {
                    "max_tokens": {"type": "integer", "minimum": 1, "default": 20},
                    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
                    "top_p": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    "seed": {"type": "integer"},
                    "stop": {"anyOf": [NAME, _list(NAME, maxItems=4)]},
                    "stream": {"type": "boolean"},
                    "details": {"const": False},
                },
                additionalProperties=False,
            ),
        },
        ("text_input",),
        additionalProperties=False,
    ),
    "generate_response": _object(
        {"text_output": TEXT, "model_name": NAME, "model_version": NAME, "id": TEXT},
        ("text_output", "model_name"),
        additionalProperties=False,
    ),
    "response_output": _object(
        {
            "name": TEXT,
            "shape": SHAPE,
            "datatype": DATATYPE,
            "parameters": reference("parameters"),
            "data": reference("tensor_data"),
        },
        ("name", "shape", "datatype"),
    ),
    "inference_response": _object(
        {
            "model_name": TEXT,
            "model_version": TEXT,
            "id": TEXT,
            "parameters": reference("parameters"),
            "outputs": _list(reference("response_output")),
        },
        ("model_name", "outputs"),
    ),
}
