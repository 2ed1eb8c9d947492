"""Which fields an answer's head has, and what a request may ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.centers.port import Head
from gateway.serving import Exchange, Front, Parts
from gateway.serving.answer_head import AnswerHead, Asked, asked
from gateway.wire import parse_server_timing

NOTHING = Asked(None, False, None)
PARTS = Parts(0.25, 8.0, 0.5, 1.5)


def test_an_explanation_is_for_trusted_peers() -> None:
    headers = {"x-nearway-explain": "1", "Accept-Encoding": "gzip"}
    assert asked(headers, trusted=True) == Asked(None, True, "gzip")
    assert asked(headers, trusted=False) == Asked(None, False, "gzip")
    assert not asked({"x-nearway-explain": "yes"}, trusted=True).explained


@pytest.fixture
async def fields(make_front: Callable[..., Front], world: Any) -> Any:
    """A function: head, parts, what is asked -> the fields of an answered exchange."""
    front = make_front()
    arrival = world.arrival()
    exchange = Exchange(world.collaborators(), arrival, world.answer)
    exchange.begin()
    world.started(0).answer()

    def of(head: Head, parts: Parts | None, wanted: Asked) -> dict[str, str]:
        return AnswerHead(front).fields(head, 1, parts, arrival, exchange, wanted)

    return of


async def test_every_answer_says_who_and_where_the_time_went(fields: Any) -> None:
    told = fields(Head(200, "application/json", None), PARTS, NOTHING)
    assert told.pop("Server-Timing").startswith("gateway;dur=0.2500, network;dur=8.0000")
    assert told == {
        "Content-Type": "application/json",
        "x-request-id": "r1",
        "x-nearway-center": "c1",
        "Server": "nearway",
    }


async def test_an_answer_that_nothing_was_run_for_was_kept(fields: Any) -> None:
    plain = Head(200, "application/json", None)
    assert fields(plain, Parts(0.25, 8.0, 0.5, 0.0), NOTHING)["x-nearway-cache"] == "hit"
    assert "x-nearway-cache" not in fields(plain, PARTS, NOTHING)


async def test_a_stream_has_no_timing_yet(fields: Any) -> None:
    assert "Server-Timing" not in fields(Head(200, "application/json", None), None, NOTHING)


async def test_binary_tensors_say_where_they_begin(fields: Any) -> None:
    told = fields(Head(200, "application/octet-stream", 17), PARTS, NOTHING)
    assert told["Inference-Header-Content-Length"] == "17"


async def test_load_and_reasons_are_told_when_asked(fields: Any) -> None:
    told = fields(Head(200, "application/json", None), PARTS, Asked("text", True, None))
    assert told["endpoint-load-metrics"].startswith("TEXT ")
    assert json.loads(told["x-nearway-explanation"])["center"] == "c0"
    assert set(parse_server_timing(told["Server-Timing"])) == {
        "gateway", "network", "queue", "service",
    }  # fmt: skip
    plain = fields(Head(200, "application/json", None), PARTS, Asked("xml", False, None))
    assert "endpoint-load-metrics" not in plain
