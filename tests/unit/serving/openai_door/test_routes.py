from __future__ import annotations

from typing import Any

from gateway.api import CenterDown


async def test_health(door: Any) -> None:
    client = await door()
    response = await client.get("/health")
    assert (response.status, await response.json()) == (200, {"status": "ok"})
    client.front.ready = lambda: False
    response = await client.get("/health")
    assert response.status == 503
    assert (await response.json())["error"]["type"] == "service_unavailable_error"


async def test_a_question_that_fails_is_told_in_openai_s_shape(door: Any) -> None:
    client = await door()
    for port in client.front.ports:
        port.refusals["index"] = CenterDown("gone")
    response = await client.get("/v1/models")
    assert (await response.json())["data"] == []  # a silent center has no models to list
