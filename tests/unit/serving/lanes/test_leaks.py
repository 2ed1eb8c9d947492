"""Clients that vanish in every state a connection can be in: nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from gateway.api import Report
from gateway.centers.port import Answered, Chunk, Head
from gateway.serving import Exchange
from gateway.serving.hot_lane.connection import Connection
from gateway.serving.hot_lane.turn import Turn

SMALL, SOAK = 20_000, 2_000_000
PIPELINED = 100
VISITORS = 8
RESIDENT_GROWTH_MAX_KB = 8 * 1024
HOST = "Host: a\r\n"


def request(model: str = "mlp", body: str = '{"inputs":[]}', *fields: str) -> bytes:
    lines = [f"POST /v2/models/{model}/infer HTTP/1.1", "Host: a", *fields]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


def play(one: Any) -> None:
    """A center that answers by the model's name."""
    model = one.attempt.query.model
    if model == "silent":
        return
    if model == "stream":
        one.hear(Head(200, "application/json", None))
        one.hear(Chunk(b"x" * 1000))
    elif model == "streamed":
        one.hear(Head(200, "application/json", None))
        one.hear(Chunk(b"x" * 1000))
        asyncio.get_running_loop().call_later(0.001, one.hear, Chunk(b"y" * 1000))
        end = Answered(Report(0.0, 0.1), None)
        asyncio.get_running_loop().call_later(0.002, one.hear, end)
    elif model == "large":
        one.answer(b"z" * 200_000)
    else:
        one.answer()


Visit = Callable[[Any, Random], Awaitable[int]]


async def served(client: Any, _random: Random) -> int:
    client.send(request() * PIPELINED)
    for _ in range(PIPELINED):
        assert (await client.answer()).status == 200
    return PIPELINED


async def head_cut(client: Any, random: Random) -> int:
    client.send(request()[: random.randrange(1, 60)])
    return 1


async def body_cut(client: Any, random: Random) -> int:
    client.send(request()[: -random.randrange(1, 12)])
    return 1


async def unanswered(client: Any, _random: Random) -> int:
    client.send(request("silent") + request())
    await asyncio.sleep(0.001)
    return 2


async def half_closed(client: Any, _random: Random) -> int:
    client.send(request("silent"))
    client.shut()
    await asyncio.sleep(0.001)
    return 1


async def in_a_stream(client: Any, _random: Random) -> int:
    client.send(request("stream"))
    await client.reader.readexactly(100)
    return 1


async def whole_stream(client: Any, _random: Random) -> int:
    client.send(request("streamed"))
    assert len((await client.answer()).body) == 2000
    return 1


async def not_reading(client: Any, _random: Random) -> int:
    client.writer.transport.pause_reading()
    client.send(request("large") * 10)
    await asyncio.sleep(0.001)
    return 10


async def refused(client: Any, _random: Random) -> int:
    client.send(request("mlp", "{}", "Content-Length : 3"))
    await client.rest()
    return 1


async def handed_over(client: Any, random: Random) -> int:
    client.send(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.answer()).status == 200
    client.send(request(("silent", "mlp")[random.randrange(2)]))
    await asyncio.sleep(0.001)
    return 2


VISITS: dict[Visit, int] = {
    served: 100, head_cut: 10, body_cut: 10, unanswered: 10, half_closed: 5, in_a_stream: 10,
    whole_stream: 3, not_reading: 3, refused: 10, handed_over: 10,
}  # fmt: skip


async def visit_until(door: Any, random: Random, counted: Counter[str], requests: int) -> None:
    """One visitor after another, until so many requests have been sent by all."""
    kinds, weights = list(VISITS), list(VISITS.values())
    while counted["requests"] < requests:
        visit = random.choices(kinds, weights)[0]
        client = await door.client()
        door.clients.clear()
        sent = await visit(client, random)
        counted["requests"] += sent
        counted[visit.__name__] += 1
        if random.randrange(2):
            client.writer.close()
        else:
            client.leave()
        await client.left()
        forget(door.front)


def forget(front: Any) -> None:
    """What the fakes remember is no leak of the gateway's."""
    for port in front.ports:
        port.started.clear()
    front.router.committed.clear()
    front.router.outcomes.clear()


async def storm(door: Any, requests: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    visitors = [visit_until(door, Random(number), counted, requests) for number in range(VISITORS)]
    await asyncio.gather(*visitors)
    for _ in range(6000):
        if door.door.connections == 0 and door.front.metrics.in_flight == 0:
            break
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.2)  # the last look after a knock
    forget(door.front)
    return counted


def left() -> Counter[str]:
    """Living objects of the lane, by kind."""
    gc.collect()
    kinds = (Connection, Turn, Exchange)
    return Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds))


def resident_kb() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def opened_for(opened: Any) -> Any:
    door = await opened(
        attempts={"deadline_ms": 5000.0, "timeout_ms": 5000.0}, server={"in_flight_max": 100_000}
    )
    for port in door.front.ports:
        port.script = play
    return door


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """aiohttp logs what it refuses, and pytest would keep it."""
    caplog.set_level(logging.CRITICAL, "aiohttp.server")


async def test_nothing_is_left_of_who_vanished(opened: Any) -> None:
    before = left()
    door = await opened_for(opened)
    await storm(door, 300)
    files, tasks = open_files(), len(asyncio.all_tasks())
    counted = await storm(door, SMALL)
    assert set(counted) > {visit.__name__ for visit in VISITS}
    assert door.door.connections == 0
    assert door.front.metrics.in_flight == 0
    assert door.front.router.open == []
    assert (open_files(), len(asyncio.all_tasks())) == (files, tasks)
    assert left() - before == Counter()
    lane = door.door.lane
    assert lane is None or (lane.running, lane.tasks) == (0, 0)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_memory_is_flat_over_two_million_requests(opened: Any) -> None:
    before = left()
    door = await opened_for(opened)
    await storm(door, SOAK // 10)
    gc.collect()
    files, tasks, resident = open_files(), len(asyncio.all_tasks()), resident_kb()
    await storm(door, SOAK)
    gc.collect()
    assert (open_files(), len(asyncio.all_tasks())) == (files, tasks)
    assert resident_kb() - resident < RESIDENT_GROWTH_MAX_KB
    assert left() - before == Counter()
