"""Many inferences over one call: each answered by its id, errors apart, all cancelled together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api import CenterDown
from gateway.serving.grpc_door.stream import IN_FLIGHT_MAX


def never(front: Any) -> None:
    for port in front.ports:
        port.script = None


class Feed:
    """Requests that come when a test says so."""

    def __init__(self, *requests: Any) -> None:
        self._first = requests
        self._over = threading.Event()

    def __iter__(self) -> Iterator[Any]:
        yield from self._first
        self._over.wait(20)

    def end(self) -> None:
        self._over.set()


async def all_of(call: Any) -> list[Any]:
    return await asyncio.to_thread(list, call)


async def test_each_request_is_answered_by_its_id(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door()
    ids = [f"i-{number}" for number in range(40)]
    answers = await all_of(client.stream(request_of(id_=one) for one in ids))
    assert sorted(one.infer_response.id for one in answers) == sorted(ids)
    assert not any(one.error_message for one in answers)
    assert client.front.metrics.in_flight == 0


async def test_requests_have_ids_of_their_own_for_the_gateway(
    grpc_door: Any, request_of: Any
) -> None:
    client = await grpc_door()
    await all_of(client.stream([request_of(), request_of()], x_request_id="mine"))
    ids = [one.attempt.request_id for one in client.front.ports[0].started]
    assert len(set(ids)) == 2


async def test_answers_come_while_requests_are_still_to_come(
    grpc_door: Any, request_of: Any
) -> None:
    client = await grpc_door()
    feed = Feed(request_of(id_="i-1"))
    call = client.stream(feed)
    assert (await asyncio.to_thread(next, call)).infer_response.id == "i-1"
    feed.end()
    assert await all_of(call) == []


async def test_one_that_fails_is_told_and_the_stream_goes_on(
    grpc_door: Any, request_of: Any
) -> None:
    client = await grpc_door()
    wrong = request_of(id_="i-2", raw=False)
    wrong.inputs[0].datatype = "INT8"
    answers = await all_of(client.stream([request_of(id_="i-1"), wrong, request_of(id_="i-3")]))
    told = {one.infer_response.id: one.error_message for one in answers}
    assert told["i-1"] == told["i-3"] == ""
    assert "fp32_contents is filled, but INT8" in told["i-2"]


async def test_a_center_that_fails_is_told_with_model_and_id(
    grpc_door: Any, request_of: Any
) -> None:
    client = await grpc_door(attempts={"max": 1})
    for port in client.front.ports:
        port.script = lambda one: one.fail(CenterDown("gone"))
    [told] = await all_of(client.stream([request_of(id_="i-1")]))
    assert "gone" in told.error_message
    assert (told.infer_response.model_name, told.infer_response.id) == ("mlp", "i-1")


async def test_an_answer_that_is_none_is_told(grpc_door: Any, request_of: Any) -> None:
    client = await grpc_door()
    client.front.ports[0].script = lambda one: one.answer(b"[]")
    [told] = await all_of(client.stream([request_of(id_="i-1")]))
    assert "none of the protocol" in told.error_message


async def test_a_client_that_leaves_cancels_all_that_is_under_way(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door()
    never(client.front)
    feed = Feed(request_of(), request_of(), request_of())
    call = client.stream(feed)
    started = client.front.ports[0].started
    await until(lambda: len(started) == 3)
    call.cancel()
    feed.end()
    await until(lambda: all(one.cancelled for one in started))
    await until(lambda: client.front.metrics.in_flight == 0)
    assert {one.ending for one in client.front.router.outcomes} == {"cancelled"}


async def test_no_more_is_read_than_may_be_under_way(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door(attempts={"max": 1, "timeout_ms": 10_000.0})
    never(client.front)
    read = 0

    def requests() -> Iterator[Any]:
        nonlocal read
        for _ in range(IN_FLIGHT_MAX * 4):
            read += 1
            yield request_of()

    call = client.stream(requests())
    started = client.front.ports[0].started
    await until(lambda: len(started) == IN_FLIGHT_MAX)
    await asyncio.sleep(0.1)
    assert len(started) == IN_FLIGHT_MAX
    started[0].answer()
    await until(lambda: len(started) == IN_FLIGHT_MAX + 1)
    call.cancel()
    await until(lambda: client.front.metrics.in_flight == 0)


async def test_streams_take_half_of_the_calls_and_give_them_back(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    client = await grpc_door(server={"grpc_calls_max": 2})
    feed = Feed(request_of())
    call = client.stream(feed)
    await asyncio.to_thread(next, call)
    other = client.stream([request_of()])
    assert (await asyncio.to_thread(other.code)).name == "UNAVAILABLE"
    assert "1 streams are open" in other.details()
    assert (await client("ModelInfer", request_of())).code == "OK"
    feed.end()
    await all_of(call)
    assert len(await all_of(client.stream([request_of()]))) == 1


async def test_a_defect_ends_one_request_and_is_told_by_an_id(
    grpc_door: Any, request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await grpc_door()

    def broken(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("gateway.serving.grpc_door.stream.read_asked", broken)
    [told] = await all_of(client.stream([request_of(id_="i-1")]))
    assert "secret" not in told.error_message
    assert told.infer_response.id == "i-1"


@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_ten_thousand_clients_that_leave_leave_nothing(
    grpc_door: Any, request_of: Any, until: Any
) -> None:
    """A connection each for sixteen: one that resets without an end is told to calm down."""
    client = await grpc_door(server={"grpc_calls_max": 32}, attempts={"max": 1})
    never(client.front)
    port, at_once, done = client.front.ports[0], 8, 0
    while done < 10_000:
        port.started.clear()
        feeds = [Feed(request_of()) for _ in range(at_once)]
        other = type(client)(client.address)
        calls = [other.stream(feed) for feed in feeds]
        calls += [other.begin("ModelInfer", request_of()) for _ in range(at_once)]
        await until(lambda: len(port.started) == 2 * at_once)
        for call in calls:
            call.cancel()
        for feed in feeds:
            feed.end()
        other.channel.close()
        await until(lambda: client.front.metrics.in_flight == 0)
        assert all(one.cancelled for one in port.started)
        done += len(port.started)
    assert client.front.router.open == []
    assert client.door._serving.tasks == set()
    port.script = lambda one: one.answer()
    fresh = type(client)(client.address)
    feeds = [Feed(request_of()) for _ in range(16)]  # as many streams as there may be
    calls = [fresh.stream(feed) for feed in feeds]
    for call in calls:
        assert (await asyncio.to_thread(next, call)).error_message == ""
    for feed in feeds:
        feed.end()
    fresh.channel.close()
