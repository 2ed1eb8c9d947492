from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.api import CenterDown, CenterFailed
from gateway.centers.port import Chunk, Head
from gateway.serving.arrival import TextArrival
from gateway.serving.recording import Recorder
from gateway.telemetry.tracer import Tracer
from gateway.wire.openai_errors import InvalidField

CHAT = {"model": "mlp", "messages": [{"role": "user", "content": "hi"}], "odd": {"a": 1}}
STREAM = {**CHAT, "stream": True}


async def error_of(response: Any) -> dict[str, Any]:
    assert response.headers["x-request-id"]
    told = json.loads(await response.read())
    assert set(told["error"]) == {"message", "type", "param", "code"}
    return dict(told["error"])


async def test_a_body_goes_unread_to_a_center_with_its_route(door: Any, asked: Any) -> None:
    client = await door()
    response = await asked(client, "chat/completions", CHAT, x_request_id="me")
    assert response.status == 200
    assert "service;dur=1.5" in response.headers["server-timing"]
    attempt = client.front.ports[0].started[0].attempt
    assert json.loads(attempt.body) == CHAT
    assert (attempt.route, attempt.model, attempt.request_id) == ("chat/completions", "mlp", "me")
    assert isinstance(attempt, TextArrival)
    embedding = await asked(client, "embeddings", {"model": "mlp", "input": "x"})
    assert embedding.status == 200
    attempt = client.front.ports[0].started[1].attempt
    assert attempt.route == "embeddings"
    assert not isinstance(attempt, TextArrival)


async def test_policies_see_the_session_and_the_prompt(door: Any, asked: Any) -> None:
    client = await door()
    await asked(client, "chat/completions", {**CHAT, "prompt_cache_key": "k"})
    await asked(client, "chat/completions", CHAT, x_nearway_session="s")
    await asked(client, "embeddings", {"model": "mlp", "input": "x"})
    first, second, third = [one.attempt.query for one in client.front.ports[0].started]
    assert (first.session, second.session, third.session) == ("k", "s", "")
    assert json.loads(first.prompt) == CHAT["messages"]
    assert first.prompt == second.prompt
    assert third.prompt == b""


async def test_a_traced_text_goes_to_its_center_with_its_span(door: Any, asked: Any) -> None:
    client = await door(telemetry={"traces": "spans"})
    front = client.front
    tracer = Tracer(front.clock, Random(1), share=0.0, per_s_max=1e9)
    front.recorder = Recorder(tracer, None, tuple, front.clock)
    front.collaborators = replace(front.collaborators, recorder=front.recorder)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    span = f"00-{trace}-00f067aa0ba902b7-01"
    answered = await asked(client, "chat/completions", CHAT, traceparent=span)
    assert answered.status == 200
    attempt = front.ports[0].started[0].attempt
    assert isinstance(attempt, TextArrival)
    (record,) = tracer.take()
    assert record.trace is not None
    assert attempt.traceparent == f"00-{trace}-{record.attempts[0].span_id:016x}-01"
    assert (record.route, record.model, record.status) == ("chat/completions", "mlp", 200)


async def test_how_long_an_attempt_may_take(door: Any, asked: Any) -> None:
    client = await door(openai={"deadline_ms": 5000.0, "first_byte_ms": 700.0, "silence_ms": 300.0})
    await asked(client, "chat/completions", STREAM)
    await asked(client, "chat/completions", CHAT)
    await asked(client, "completions", STREAM, x_request_timeout_ms="2000")
    stream, whole, short = [one.attempt for one in client.front.ports[0].started]
    assert stream.deadline_s - stream.arrived_s == pytest.approx(5.0)
    assert (stream.first_byte_s, stream.silence_s) == (0.7, 0.3)
    assert whole.first_byte_s == pytest.approx(5.0)
    assert short.deadline_s - short.arrived_s == pytest.approx(2.0)


async def test_an_alias_is_resolved_in_the_body_too(door: Any, asked: Any) -> None:
    client = await door(models={"aliases": {"gpt": "mlp"}})
    await asked(client, "chat/completions", {**CHAT, "model": "gpt"})
    attempt = client.front.ports[0].started[0].attempt
    assert attempt.model == "mlp"
    assert json.loads(attempt.body) == CHAT


async def test_a_stream_is_written_as_it_comes(door: Any, asked: Any, stream: Any) -> None:
    client = await door()
    client.front.ports[0].script = stream(4)
    response = await asked(client, "chat/completions", STREAM)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert (await response.read()).endswith(b"data: [DONE]\n\n")
    counts = {
        sample.name: sample.value
        for family in client.front.metrics.families()
        for sample in family.samples
        if "token" in sample.name and sample.name.endswith("_count")
    }
    assert counts == {
        "nearway_first_token_seconds_count": 1,
        "nearway_next_tokens_seconds_count": 1,
    }


async def test_before_its_first_byte_another_center_is_tried(
    door: Any, asked: Any, stream: Any
) -> None:
    client = await door()
    client.front.ports[0].script = lambda one: one.fail(CenterDown("gone"))
    client.front.ports[1].script = stream()
    response = await asked(client, "chat/completions", STREAM)
    assert response.status == 200
    assert response.headers["x-nearway-center"] == "c1"


async def test_after_it_nobody_is_and_the_stream_says_why(door: Any, asked: Any) -> None:
    client = await door()

    def broken(one: Any) -> None:
        one.hear(Head(200, "text/event-stream", None))
        one.hear(Chunk(b"data: {}\n\n"))
        asyncio.get_running_loop().call_later(0.01, one.fail, CenterFailed("broke off"))

    client.front.ports[0].script = broken
    response = await asked(client, "chat/completions", STREAM)
    events = (await response.read()).split(b"\n\n")
    assert events[0] == b"data: {}"
    assert json.loads(events[1].removeprefix(b"data: "))["error"]["message"] == "broke off"
    assert all(not port.started for port in client.front.ports[1:])


async def test_a_client_that_leaves_is_told_to_the_center(
    door: Any, asked: Any, stream: Any
) -> None:
    client = await door()
    client.front.ports[0].script = stream(10_000)
    response = await client.post("/v1/chat/completions", json=STREAM)
    await response.content.readany()
    response.close()
    for _ in range(2000):
        if client.front.ports[0].started[0].cancelled:
            break
        await asyncio.sleep(0.001)
    assert client.front.ports[0].started[0].cancelled
    assert client.front.metrics.in_flight == 0


async def test_no_text_is_asked_of_two_centers_at_once(door: Any, asked: Any) -> None:
    client = await door(attempts={"hedge_share": 0.5, "hedge_quantile": 0.01})
    client.front.ports[0].script = lambda one: asyncio.get_running_loop().call_later(
        0.15, one.answer
    )
    assert (await asked(client, "chat/completions", CHAT)).status == 200
    assert all(not port.started for port in client.front.ports[1:])


@pytest.mark.parametrize(
    ("error", "status", "param"),
    [
        (InvalidField("no", "stop", "x"), 400, "stop"),
        (CenterFailed("no"), 503, None),
        (RuntimeError("a defect"), 500, None),
    ],
)
async def test_errors(door: Any, asked: Any, error: Any, status: int, param: str | None) -> None:
    client = await door()
    for port in client.front.ports:
        port.script = lambda one: one.fail(error)
    if isinstance(error, RuntimeError):
        client.front.router.decide = lambda query, now: 1 / 0
    response = await asked(client, "chat/completions", CHAT)
    assert response.status == status
    assert (await error_of(response))["param"] == param
    assert client.front.metrics.in_flight == 0


async def test_what_is_no_request(door: Any, asked: Any) -> None:
    client = await door()
    for body in ({}, {"model": 3}, [], {"model": "m" * 2000}):
        response = await asked(client, "completions", body)
        assert response.status == 400
        assert (await error_of(response))["type"] == "invalid_request_error"
    text = await client.post("/v1/completions", data=b"{}", headers={"Content-Type": "text/plain"})
    assert text.status == 415
    await error_of(text)
    assert client.front.metrics.in_flight == 0


async def test_where_there_is_no_room(door: Any, asked: Any) -> None:
    client = await door(server={"in_flight_max": 1})
    client.front.ports[0].script = None
    first = asyncio.create_task(asked(client, "chat/completions", CHAT))
    for _ in range(2000):
        if client.front.ports[0].started:
            break
        await asyncio.sleep(0.001)
    response = await asked(client, "chat/completions", CHAT)
    assert response.status == 503
    assert int(response.headers["retry-after"]) >= 1
    await error_of(response)
    client.front.ports[0].started[0].answer()
    assert (await first).status == 200
