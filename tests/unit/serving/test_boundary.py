"""Expectations and errors at the request boundary."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.api import Overloaded
from gateway.serving.boundary import error_answer

Door = Callable[..., Awaitable[Any]]


async def exchange(client: Any, head: str, body: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    first = await reader.readuntil(b"\r\n\r\n")
    if body:
        writer.write(body)
        first = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return first


async def test_expect_continue_is_granted(door: Door) -> None:
    head = "POST /v2/models/mlp/infer HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 2"
    assert b"HTTP/1.1 200" in await exchange(await door(), head, b"{}")


async def test_any_other_expectation_is_417(door: Door) -> None:
    head = "POST /v2/models/mlp/infer HTTP/1.1\nHost: a\nExpect: a-miracle\nContent-Length: 0"
    answer = await exchange(await door(), f"{head}\nx-request-id: r7")
    assert b"HTTP/1.1 417" in answer
    assert b"x-request-id: r7" in answer


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_expectation_counts_without_a_body_too(door: Door, method: str) -> None:
    answer = await exchange(await door(), f"{method} /v2 HTTP/1.1\nHost: a\nExpect: a-miracle")
    assert b"HTTP/1.1 417" in answer
    assert b"Content-Type: application/json" in answer


@pytest.mark.parametrize("expectation", ["100-continue", "a-miracle"])
async def test_http_1_0_knows_no_expectations(door: Door, expectation: str) -> None:
    head = f"POST /v2/models/mlp/infer HTTP/1.0\nHost: a\nExpect: {expectation}\nContent-Length: 6"
    answer = await exchange(await door(), head + "\n\n{}")
    assert answer.startswith(b"HTTP/1.0 200")


async def test_answers_do_not_tell_what_serves_them(door: Door) -> None:
    client = await door()
    for path in ("/v2", "/nowhere", "/metrics"):
        assert (await client.get(path)).headers["Server"] == "nearway"


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    waits = [error_answer(Overloaded("full", wait_s), "r").headers["Retry-After"]
             for wait_s in (0.1, 1.0, 2.2)]  # fmt: skip
    assert waits == ["1", "1", "3"]


def test_an_error_is_one_string_and_keeps_odd_characters_harmless() -> None:
    answer = error_answer(Overloaded("bad \udcff byte"), "r")
    assert json.loads(answer.body) == {"error": "bad ? byte", "reason": "overloaded"}
    assert answer.headers["x-nearway-reason"] == "overloaded"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/nowhere", {}, 404),
        ("GET", "/v1/chat/completions", {}, 405),
        ("POST", "/v1/embeddings", {"Expect": "a-miracle"}, 417),
    ],
)
async def test_below_v1_every_error_is_an_object(
    door: Door, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    client = await door()
    answer = await client.request(method, path, headers=headers)
    assert answer.status == status
    error = (await answer.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    assert answer.headers["x-request-id"]
