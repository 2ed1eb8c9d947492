"""OpenAI's routes in the OpenAPI document.

Bodies are told apart from one another by OpenAI's own reference; here stands what the gateway
itself reads of them, and how errors look.
"""

from __future__ import annotations

from typing import Any

from gateway.serving.openapi_schemas import reference

Object = dict[str, Any]
ASKED: dict[str, str] = {
    "chat/completions": "The next message of a chat, whole or as server-sent events",
    "completions": "A text continued, whole or as server-sent events",
    "embeddings": "Texts as vectors",
}
OF_ASKING = (400, 404, 408, 413, 415, 417, 429, 500, 501, 503, 504)
OF_LISTING = (404, 417, 500, 503, 504)


def openai_paths() -> Object:
    """The routes below ``/v1``, and ``/health``."""
    paths: Object = {f"/v1/{route}": {"post": _ask(told)} for route, told in ASKED.items()}
    paths["/v1/models"] = _get("The models that read text", "openai_models")
    model = {"name": "model", "in": "path", "required": True}
    paths["/v1/models/{model}"] = {
        "parameters": [{**model, "schema": {"type": "string", "minLength": 1}}],
        **_get("One of them", "openai_model"),
    }
    paths["/health"] = _get("Can requests be answered?", "health")
    return paths


def _ask(told: str) -> Object:
    answer = {
        **_json("openai_answer"),
        "text/event-stream": {"schema": {"type": "string"}},
    }
    return {
        "summary": told,
        "requestBody": {"required": True, "content": _json("openai_request")},
        "responses": _responses(answer, OF_ASKING),
    }


def _get(told: str, schema: str) -> Object:
    return {"get": {"summary": told, "responses": _responses(_json(schema), OF_LISTING)}}


def _responses(answer: Object, statuses: tuple[int, ...]) -> Object:
    responses: Object = {"200": {"description": "OK", "content": answer}}
    for status in statuses:
        # What is refused before a route is found is told as at the other routes.
        schema = {"anyOf": [reference("openai_error"), reference("error")]}
        responses[str(status)] = {
            "description": "An error, as OpenAI tells it",
            "content": {"application/json": {"schema": schema}},
        }
    return responses


def _json(schema: str) -> Object:
    return {"application/json": {"schema": reference(schema)}}
