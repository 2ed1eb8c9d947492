"""Pages of other origins, over real sockets and on both lanes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.config import load_settings
from gateway.serving.cors import allowed

Door = Callable[..., Awaitable[Any]]
PAGE = "https://app.example"
INFER = "/v2/models/mlp/infer"
BODY = b'{"inputs":[]}'
ASKS = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-nearway-origin",
}
ALLOWS = "Access-Control-Allow-Origin"


async def infer(client: Any, **headers: str) -> Any:
    told = {"Content-Type": "application/json", **headers}
    return await client.post(INFER, data=BODY, headers=told)


async def test_nobody_is_allowed_unless_told(door: Door) -> None:
    client = await door()
    answer = await infer(client, Origin=PAGE)
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert "Vary" not in answer.headers
    assert (await client.options(INFER, headers=ASKS)).status == 405


@pytest.mark.parametrize("path", [INFER, "/v1/chat/completions", "/v2/health/live"])
async def test_a_preflight_is_answered(door: Door, path: str) -> None:
    client = await door(server={"cors_origins": ("http://other:1", PAGE)})
    answer = await client.options(path, headers=ASKS)
    assert answer.status == 204
    assert await answer.read() == b""
    assert answer.headers[ALLOWS] == PAGE
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type, x-nearway-origin"
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert answer.headers["Vary"] == "Origin"


async def test_answers_and_errors_say_who_may_read_them(door: Door) -> None:
    client = await door(server={"cors_origins": (PAGE,)})
    for media, status in (("application/json", 200), ("text/plain", 415)):
        answer = await infer(client, Origin=PAGE, **{"Content-Type": media})
        assert answer.status == status
        assert answer.headers[ALLOWS] == PAGE
        assert "x-nearway-center" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert (await client.get("/nowhere", headers={"Origin": PAGE})).headers[ALLOWS] == PAGE


async def test_others_are_not_named(door: Door) -> None:
    client = await door(server={"cors_origins": (PAGE,)})
    for origin in ("https://app.example.evil", "http://app.example", "null"):
        answer = await infer(client, Origin=origin)
        assert answer.status == 200
        assert ALLOWS not in answer.headers
        assert answer.headers["Vary"] == "Origin"
        refused = await client.options(INFER, headers={**ASKS, "Origin": origin})
        assert refused.status == 405
        assert ALLOWS not in refused.headers


async def test_everybody(door: Door) -> None:
    client = await door(server={"cors_origins": ("*",)})
    answer = await infer(client, Origin="null")
    assert answer.headers[ALLOWS] == "*"
    assert "Vary" not in answer.headers


async def test_a_preflight_echoes_no_nonsense(door: Door) -> None:
    client = await door(server={"cors_origins": (PAGE,)})
    answer = await client.options(
        INFER, headers={**ASKS, "Access-Control-Request-Headers": "a b;<script>"}
    )
    assert answer.status == 204
    assert "Access-Control-Allow-Headers" not in answer.headers


async def test_no_origin_no_change_of_lane(door: Door) -> None:
    client = await door(server={"cors_origins": (PAGE,)})
    answer = await infer(client)
    assert answer.status == 200
    assert ALLOWS not in answer.headers


@pytest.mark.parametrize("wrong", ["app.example", "https://app.example/", "https://*.example", ""])
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="cors_origins"):
        load_settings(None, {"server.cors_origins": [wrong]})


def test_an_origin_is_compared_as_a_whole() -> None:
    assert allowed("https://a", ("https://a",)) == "https://a"
    assert allowed("https://a", ("https://ab",)) == ""
    assert allowed(None, ("*",)) == ""
    assert allowed("https://a", ()) == ""
