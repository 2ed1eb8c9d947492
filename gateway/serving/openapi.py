"""The OpenAPI 3.1 document of the public door, served by the server it describes.

Paths and statuses are those of ``app.py``; a test holds the two against each other. Request
bodies are described as the protocol's specification does, with Triton's binary form beside it.
"""

from __future__ import annotations

from typing import Any

from gateway.serving.openapi_openai import openai_paths
from gateway.serving.openapi_schemas import SCHEMAS, reference
from gateway.wire.msgpack_infer import MSGPACK

Object = dict[str, Any]
ERRORS: dict[int, str] = {
    400: "A field of the request is wrong; the message names it",
    403: "A page of an origin that is not allowed",
    404: "The model, the version or the route does not exist",
    408: "The body did not arrive in time",
    413: "The body, or a tensor in it, is over its bound",
    415: "The content type or encoding is not read here",
    417: "An expectation other than 100-continue",
    429: "More than this client's part while others wait; x-nearway-reason says which bound",
    500: "An unforeseen error; the log has it under x-request-id",
    501: "Known to the protocol, not offered here",
    503: "No center can answer now, or none has room; x-nearway-reason says why",
    504: "The request's budget of time is spent",
}
ALWAYS = (417, 500)
OF_MODELS = (404, *ALWAYS, 503, 504)
OF_CONTROL = (400, 404, 408, 413, 415, 417, 500, 501, 503, 504)
OF_INFERENCE = (400, 404, 408, 413, 415, 417, 429, 500, 501, 503, 504)
REQUEST_ID: Object = {
    "x-request-id": {"description": "The request's id", "schema": {"type": "string"}}
}


def document(version: str) -> Object:
    """The whole document, JSON-ready."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nearway",
            "version": version,
            "description": "Open Inference Protocol (V2) with Triton's extensions.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {"schemas": SCHEMAS},
    }


def _paths() -> Object:
    paths: Object = {
        "/v2": _get("Server metadata", "server_metadata"),
        "/v2/health/live": _get("Is the process alive?", "live"),
        "/v2/health/ready": _get("Can requests be answered?", "ready", (*ALWAYS, 503)),
        "/v2/models/stats": _get("Statistics of all models", "model_stats", OF_MODELS),
        "/v2/repository/index": {"post": _index()},
        "/v2/batch": {"post": _batch()},
        "/v2/stream": {"get": _stream()},
        "/metrics": {"get": _metrics()},
        "/openapi.json": _get("This document", "openapi"),
    }
    paths.update(openai_paths())
    for verb in ("load", "unload"):
        path = f"/v2/repository/models/{{model}}/{verb}"
        paths[path] = {"parameters": _parameters("model"), "post": _control(verb)}
    for prefix, names in (
        ("/v2/models/{model}", ("model",)),
        ("/v2/models/{model}/versions/{version}", ("model", "version")),
    ):
        for suffix, summary, schema in (
            ("", "Model metadata", "model_metadata"),
            ("/ready", "Can a center answer for the model?", "model_ready"),
            ("/config", "Model configuration", "model_config"),
            ("/stats", "Model statistics", "model_stats"),
        ):
            item = _get(summary, schema, OF_MODELS)
            paths[prefix + suffix] = {"parameters": _parameters(*names), **item}
        for suffix in ("generate", "generate_stream"):
            generate = _generate(events=suffix != "generate")
            paths[f"{prefix}/{suffix}"] = {"parameters": _parameters(*names), "post": generate}
        paths[f"{prefix}/infer"] = {"parameters": _parameters(*names), "post": _infer()}
    return paths


def _parameters(*names: str) -> list[Object]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
        for name in names
    ]


def _get(summary: str, schema: str, errors: tuple[int, ...] = ALWAYS) -> Object:
    return {"get": {"summary": summary, "responses": _responses(_json(schema), errors)}}


def _responses(answer: Object, errors: tuple[int, ...], headers: Object | None = None) -> Object:
    success: Object = {"description": "OK", "content": answer}
    if headers:
        success["headers"] = headers
    responses: Object = {"200": success}
    for status in errors:
        told_headers = dict(REQUEST_ID)
        if status in (429, 503, 504):
            told_headers["x-nearway-reason"] = {
                "description": "Why, in one word",
                "schema": {"type": "string"},
            }
        if status in (429, 503):
            told_headers["Retry-After"] = {
                "description": "Seconds to wait",
                "schema": {"type": "integer", "minimum": 1},
            }
        responses[str(status)] = {
            "description": ERRORS[status],
            "content": _json("error"),
            "headers": told_headers,
        }
    return responses


def _json(schema: str) -> Object:
    return {"application/json": {"schema": reference(schema)}}


def _metrics() -> Object:
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {"summary": "Prometheus metrics", "responses": _responses(text, ALWAYS)}


def _index() -> Object:
    return {
        "summary": "Models and their states",
        "requestBody": {"required": False, "content": _json("index_request")},
        "responses": _responses(_json("index"), OF_CONTROL),
    }


def _control(verb: str) -> Object:
    return {
        "summary": f"{verb.capitalize()} a model at every center that declares it",
        "requestBody": {"required": False, "content": _json(f"{verb}_request")},
        "responses": _responses(_json("empty"), OF_CONTROL),
    }


def _batch() -> Object:
    packed = {"schema": {"type": "string", "contentEncoding": "binary"}}
    return {
        "summary": "Many inferences in one body, answered in order with a status each",
        "requestBody": {
            "required": True,
            "content": {**_json("batch_request"), "application/msgpack": packed},
        },
        "responses": _responses(
            {**_json("batch_response"), "application/msgpack": packed}, OF_CONTROL
        ),
    }


def _stream() -> Object:
    """A switch of protocols; the messages are those of a batch, one by one."""
    responses = _responses(_json("error"), (400, 403, *ALWAYS, 503))
    del responses["200"]
    responses["101"] = {"description": "A WebSocket: a message a request, a message an answer"}
    return {"summary": "Many inferences over one WebSocket", "responses": responses}


def _generate(*, events: bool) -> Object:
    text = {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "summary": "Text continued, as server-sent events" if events else "Text continued",
        "requestBody": {"required": True, "content": _json("generate_request")},
        "responses": _responses(text if events else _json("generate_response"), OF_INFERENCE),
    }


def _infer() -> Object:
    binary = {
        "schema": {
            "type": "string",
            "contentEncoding": "binary",
            "description": "A JSON head of Inference-Header-Content-Length bytes, then tensors",
        }
    }
    packed = {
        "schema": {
            "type": "string",
            "contentEncoding": "binary",
            "description": "The same fields in MessagePack, `data` as raw bytes",
        }
    }
    others = {"application/octet-stream": binary, MSGPACK: packed}
    return {
        "summary": "Inference",
        "parameters": _infer_headers(),
        "requestBody": {
            "required": True,
            "content": {**_json("inference_request"), **others},
        },
        "responses": _responses(
            {**_json("inference_response"), **others},
            OF_INFERENCE,
            _answer_headers(),
        ),
    }


def _infer_headers() -> list[Object]:
    declared: list[tuple[str, str, Object]] = [
        (
            "Inference-Header-Content-Length",
            "Length of the JSON head when binary tensors follow it",
            {"type": "integer", "minimum": 1},
        ),
        (
            "x-request-timeout-ms",
            "Budget of the request; wins over parameters.timeout",
            {"type": "number", "exclusiveMinimum": 0},
        ),
        ("x-request-id", "Returned; made when absent", {"type": "string", "maxLength": 128}),
        (
            "endpoint-load-metrics-format",
            "Asks for the load of the center that answers, as an ORCA report",
            {"type": "string", "enum": ["TEXT", "JSON", "text", "json"]},
        ),
    ]
    return [
        {"name": name, "in": "header", "required": False, "description": told, "schema": schema}
        for name, told, schema in declared
    ]


def _answer_headers() -> Object:
    declared = {
        "Server-Timing": "gateway, network, queue and service, in ms",
        "x-nearway-center": "The center that answered",
        "x-nearway-degraded-to": "The smaller model that answered, when time was too short",
        "x-nearway-cache": "hit: the answer was kept, or came with another's run",
        "Inference-Header-Content-Length": "Length of the JSON head of a binary answer",
        "endpoint-load-metrics": "The center's load report, when asked for",
    }
    headers: Object = dict(REQUEST_ID)
    for name, told in declared.items():
        headers[name] = {"description": told, "schema": {"type": "string"}}
    return headers
