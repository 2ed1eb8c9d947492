"""The served document against the served routes."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from jsonschema import Draft202012Validator

from gateway.serving import build_public_app
from gateway.serving.openapi import document

Door = Callable[..., Awaitable[Any]]
JSON = "application/json"
METHODS = {"get", "post", "put", "delete"}


def operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], set[str]]]:
    for path, item in told["paths"].items():
        shared = {p["name"] for p in item.get("parameters", []) if p["in"] == "path"}
        for method in METHODS & set(item):
            yield path, method, item[method], shared


async def test_it_is_served(door: Door) -> None:
    client = await door()
    response = await client.get("/openapi.json")
    assert await response.json() == document(client.front.version)


async def test_it_lists_every_route_and_no_other(make_front: Any) -> None:
    app = build_public_app(make_front())
    served = {
        (route.resource.canonical.rstrip("/"), route.method.lower())
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    told = {(path, method) for path, method, _, _ in operations(document("1"))}
    assert told == served


async def test_every_answer_is_of_the_declared_schema(door: Door) -> None:
    client = await door()
    told = document("1")
    for path, method, operation, _ in operations(told):
        for model in ("mlp", "nope"):
            at = path.format(model=model, version="1")
            response = await client.request(method, at, headers={"Content-Type": JSON})
            declared = operation["responses"][str(response.status)]["content"]
            if JSON in declared:
                schema = {**declared[JSON]["schema"], "components": told["components"]}
                Draft202012Validator(schema).validate(await response.json())
            else:
                assert response.content_type in declared


def test_path_parameters_are_declared_and_required() -> None:
    for path, _, _, declared in operations(document("1")):
        assert declared == set(re.findall(r"{(\w+)}", path)), path
        assert "$" not in path


def test_every_operation_declares_its_success_and_its_errors_as_error_objects() -> None:
    for path, method, operation, _ in operations(document("1")):
        responses = operation["responses"]
        assert "101" in responses or "200" in responses, path
        assert "500" in responses, path
        assert "417" in responses, path
        for status, response in responses.items():
            assert response["description"]
            if status not in ("101", "200"):
                schema = response["content"]["application/json"]["schema"]
                kinds = schema.get("anyOf", [schema])
                assert {"$ref": "#/components/schemas/error"} in kinds, (path, method)
                openai = path.startswith("/v1") or path == "/health"
                assert len(kinds) == 1 + openai, (path, method)


def test_inference_declares_every_status_it_may_answer() -> None:
    infer = document("1")["paths"]["/v2/models/{model}/infer"]["post"]
    expected = {200, 400, 404, 408, 413, 415, 417, 429, 500, 501, 503, 504}
    assert {int(status) for status in infer["responses"]} == expected
    assert "Retry-After" in infer["responses"]["429"]["headers"]


def test_every_reference_leads_somewhere() -> None:
    told = document("1")
    known = set(told["components"]["schemas"])

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    used = {ref.removeprefix("#/components/schemas/") for ref in references(told)}
    assert used <= known
