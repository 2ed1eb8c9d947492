"""Bounds and refusals are the same in both lanes."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from gateway.api import Decision, NoCapacity, Overloaded, Shed


@pytest.fixture(params=["hot", "aiohttp"])
def lane(request: Any) -> str:
    return str(request.param)


class Strict:
    """An admission's rule in a word: this class is not let in."""

    def __init__(self, error: Shed | None) -> None:
        self.error = error
        self.asked: list[Decision] = []

    def __call__(self, decision: Decision, _now: float) -> Decision:
        self.asked.append(decision)
        if self.error is not None:
            raise self.error
        return decision


def ruled(door: Any, monkeypatch: Any, error: Shed | None = None) -> Strict:
    rule = Strict(error)
    monkeypatch.setattr(type(door.front.admission), "admit", lambda _self, d, now: rule(d, now))
    return rule


@pytest.mark.parametrize(
    ("error", "status", "reason", "wait"),
    [
        (Overloaded("less", 2.3, "fair_share"), 429, "fair_share", "3"),
        (NoCapacity("full", 0.1, "waiting"), 503, "waiting", "1"),
    ],
)
async def test_a_refusal_tells_when_and_why(
    opened: Any, request_of: Any, monkeypatch: Any, error: Shed, status: int, reason: str, wait: str
) -> None:
    door = await opened()
    ruled(door, monkeypatch, error)
    client = await door.client()
    client.send(request_of())
    told = await client.answer()
    assert told.status == status
    assert told.fields["retry-after"] == wait
    assert told.fields["x-nearway-reason"] == reason
    assert json.loads(told.body) == {"error": str(error), "reason": reason}
    assert told.fields.get("connection") != "close"
    assert door.front.ports[0].started == []
    assert (door.front.metrics.in_flight, door.front.metrics.bodies_bytes) == (0, 0)


def body(priority: int | None) -> bytes:
    return json.dumps({"parameters": {} if priority is None else {"priority": priority}}).encode()


@pytest.mark.parametrize(
    ("trusted", "header", "in_body", "priority"),
    [
        (True, None, None, 0),
        (True, "1", None, 1),
        (True, None, 1, 1),
        (True, "3", 1, 3),
        (True, "0", 1, 0),
        (True, "99", None, 3),
        (True, None, 99, 3),
        (False, "1", None, 0),
        (False, None, 1, 2),
        (False, None, 3, 3),
        (False, "1", 3, 3),
    ],
)
async def test_the_class_of_a_request(
    opened: Any,
    request_of: Any,
    monkeypatch: Any,
    trusted: bool,
    header: str | None,
    in_body: int | None,
    priority: int,
) -> None:
    door = await opened(server={} if trusted else {"trusted_proxies": []})
    rule = ruled(door, monkeypatch)
    fields = () if header is None else (f"x-nearway-priority: {header}",)
    for more in ((), ("x-request-timeout-ms: 900",)):
        assert (await door.ask(request_of(body(in_body), *fields, *more))).status == 200
    assert [decision.query.priority for decision in rule.asked] == [priority] * 2


@pytest.mark.parametrize("given", ["high", "-1", "1.5", "1e3", "²", "9" * 40])
async def test_a_priority_that_is_no_number_is_refused(
    opened: Any, request_of: Any, given: str
) -> None:
    door = await opened()
    told = await door.ask(request_of(b"{}", f"x-nearway-priority: {given}"))
    assert told.status == 400
    assert "x-nearway-priority" in json.loads(told.body)["error"]


async def test_bytes_of_bodies_are_bounded_and_given_back(opened: Any, request_of: Any) -> None:
    door = await opened(server={"bodies_bytes_max": 1000})
    started = door.front.ports[0].started
    door.front.ports[0].script = None
    first = await door.client()
    first.send(request_of(b"x" * 700))
    while not started:
        await asyncio.sleep(0.001)
    told = await door.ask(request_of(b"x" * 400))
    assert (told.status, told.fields["x-nearway-reason"]) == (503, "bodies_in_flight")
    assert door.front.metrics.bodies_bytes == 700
    started[0].answer()
    assert (await first.answer()).status == 200
    assert door.front.metrics.bodies_bytes == 0


async def test_bytes_of_bodies_count_as_they_come_and_as_they_swell(
    opened: Any, request_of: Any
) -> None:
    door = await opened(server={"bodies_bytes_max": 1000})
    line = "POST /v2/models/mlp/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client = await door.client()
    client.send(line.encode() + b"258\r\n" + b"x" * 600 + b"\r\n")
    client.send(b"258\r\n" + b"x" * 600 + b"\r\n0\r\n\r\n")
    assert (await client.answer()).status == 503
    bomb = gzip.compress(b"x" * 5000)
    assert len(bomb) < 1000
    told = await door.ask(request_of(bomb, "Content-Encoding: gzip"))
    assert (told.status, told.fields["x-nearway-reason"]) == (503, "bodies_in_flight")
    assert door.front.metrics.bodies_bytes == 0


async def test_a_client_that_leaves_gives_its_bytes_back(opened: Any, request_of: Any) -> None:
    door = await opened()
    client = await door.client()
    client.send(request_of(b"x" * 5000)[:-100])
    while not door.front.metrics.bodies_bytes:
        await asyncio.sleep(0.001)
    assert door.front.metrics.bodies_bytes == 5000
    client.leave()
    while door.front.metrics.in_flight:
        await asyncio.sleep(0.001)
    assert door.front.metrics.bodies_bytes == 0


async def test_connections_are_bounded(opened: Any, request_of: Any) -> None:
    door = await opened(server={"connections_max": 2})
    door.front.ports[0].script = None
    started = door.front.ports[0].started
    clients = [await door.client() for _ in range(2)]
    for client in clients:
        client.send(request_of())
    while len(started) < 2:
        await asyncio.sleep(0.001)
    one_more = await door.client()
    one_more.send(request_of())
    told = await one_more.answer()
    assert (told.status, told.fields["x-nearway-reason"]) == (503, "connections")
    assert await one_more.rest() == b""
    assert door.front.metrics.connections_refused == 1
    for each in started:
        each.answer()
    for client in clients:
        assert (await client.answer()).status == 200
    clients[0].leave()
    while door.door.connections == 2:
        await asyncio.sleep(0.001)
    assert len(started) == 2
    door.front.ports[0].script = type(started[0]).answer
    assert (await door.ask(request_of())).status == 200


async def test_the_bound_of_connections_is_the_configs_in_force(
    opened: Any, make_front: Any, request_of: Any, lane: str
) -> None:
    door = await opened()
    client = await door.client()
    client.send(request_of())
    assert (await client.answer()).status == 200
    after = make_front(server={"lane": lane, "connections_max": 1})
    after.ports[0].script = None
    door.door.take(after)
    client.send(request_of())
    while not after.ports[0].started:
        await asyncio.sleep(0.001)
    one_more = await door.client()
    one_more.send(request_of())
    assert (await one_more.answer()).status == 503
    assert after.metrics.connections_refused == 1
    after.ports[0].started[0].answer()
    assert (await client.answer()).status == 200
