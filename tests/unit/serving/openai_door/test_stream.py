from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from gateway.centers.port import Head, Relay
from gateway.serving.arrival import Parts
from gateway.serving.openai_door.stream import TextReply
from gateway.serving.reply import SAMPLE_EVERY, Through
from gateway.telemetry import Metrics

HEAD = Head(200, "text/event-stream", None)


class Now:
    def __init__(self) -> None:
        self.s = 5.0

    def __call__(self) -> float:
        return self.s


def told(metrics: Metrics) -> dict[str, float]:
    return {
        sample.name.removeprefix("nearway_"): sample.value
        for family in metrics.families()
        for sample in family.samples
        if "_token" in sample.name and sample.name.endswith(("_count", "_sum"))
    }


async def test_the_first_token_and_the_time_between_the_others() -> None:
    now, metrics = Now(), Metrics(["c"])
    reply = TextReply(asyncio.get_running_loop().create_future(), 10_000, now)
    now.s = 5.25
    reply.send_head(HEAD, 0, None)
    reply.send_chunk(b"data: a\n\ndata: b\n\n")
    for _ in range(4):
        now.s += 0.5
        reply.send_chunk(b"data: c\n\n")
    reply.tell(metrics, 5.0)
    counts = told(metrics)
    assert counts["first_token_seconds_sum"] == 0.25
    assert counts["next_tokens_seconds_count"] == 1
    assert counts["next_tokens_seconds_sum"] == 2.0 / 3


async def test_what_is_no_stream_has_no_first_token() -> None:
    metrics = Metrics(["c"])
    reply = TextReply(asyncio.get_running_loop().create_future(), 10_000, Now())
    reply.send_head(HEAD, 0, Parts(0.0, 0.0, 0.0, 0.0))
    reply.send_chunk(b"{}")
    reply.tell(metrics, 5.0)
    assert told(metrics)["first_token_seconds_count"] == 0


def chunked(written: bytearray) -> Through:
    """A client that is sent chunks."""
    transport = SimpleNamespace(
        write=written.extend, is_closing=lambda: False, get_write_buffer_size=lambda: 0
    )
    protocol = SimpleNamespace(transport=transport, writing_paused=False)
    request: Any = SimpleNamespace(protocol=protocol, writer=SimpleNamespace(chunked=True))
    return Through(request)


async def test_the_short_way_is_open_while_the_handler_waits_with_nothing_queued() -> None:
    now, written, relay, metrics = Now(), bytearray(), Relay(), Metrics(["c"])
    reply = TextReply(asyncio.get_running_loop().create_future(), 10_000, now)
    now.s = 5.25
    reply.send_head(Head(200, "text/event-stream", None, relay), 0, None)
    assert relay.sink is None
    waiting = asyncio.ensure_future(reply.more(chunked(written)))
    await asyncio.sleep(0)
    take = relay.sink
    assert take is not None
    framed = b"9\r\ndata: a\n\n\r\n"
    for _ in range(2 * SAMPLE_EVERY):
        now.s += 0.5
        assert take(framed)
    reply.send_chunk(b"data: x\n\n")  # goes through, and the way stays open
    assert relay.sink is take
    reply.send_end()
    assert relay.sink is None
    await waiting
    assert written == framed * 2 * SAMPLE_EVERY + b"9\r\ndata: x\n\n\r\n"
    reply.tell(metrics, 5.0)
    events = 2 * SAMPLE_EVERY + 1
    assert told(metrics)["next_tokens_seconds_sum"] == SAMPLE_EVERY / (events - 3)


async def test_behind_what_is_queued_nothing_goes_the_short_way() -> None:
    written, relay = bytearray(), Relay()
    through = chunked(written)
    reply = TextReply(asyncio.get_running_loop().create_future(), 10_000, Now())
    reply.send_head(Head(200, "text/event-stream", None, relay), 0, None)
    waiting = asyncio.ensure_future(reply.more(through))
    await asyncio.sleep(0)
    through._protocol.writing_paused = True
    reply.send_chunk(b"data: x\n\n")
    assert relay.sink is None
    await waiting
    assert reply.take() == [b"data: x\n\n"]
    again = asyncio.ensure_future(reply.more(through))
    await asyncio.sleep(0)
    assert relay.sink is not None
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    assert relay.sink is None
    assert not written
