from __future__ import annotations

from typing import Any

from gateway.centers.port import ModelState

STATES = (
    ModelState("chat", "1", "READY", speaks=True),
    ModelState("chat", "2", "READY", speaks=True),
    ModelState("org/large", "", "READY", speaks=True),
    ModelState("asleep", "1", "UNAVAILABLE", speaks=True),
    ModelState("furnace", "1", "READY"),
)


async def listed(door: Any) -> Any:
    client = await door(models={"aliases": {"gpt": "chat", "gone": "asleep"}})

    async def index() -> tuple[ModelState, ...]:
        return STATES

    for port in client.front.ports:
        port.index = index
    return client


async def test_ready_models_that_read_text_and_their_aliases(door: Any) -> None:
    client = await listed(door)
    told = await (await client.get("/v1/models")).json()
    assert [model["id"] for model in told["data"]] == ["chat", "gpt", "org/large"]
    assert {model["object"] for model in told["data"]} == {"model"}


async def test_one_of_them(door: Any) -> None:
    client = await listed(door)
    for name in ("chat", "gpt", "org/large", "org%2Flarge"):
        response = await client.get(f"/v1/models/{name}")
        assert response.status == 200, name
    for name in ("furnace", "asleep", "gone", "x"):
        response = await client.get(f"/v1/models/{name}")
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "model_not_found"
