from __future__ import annotations

import asyncio

from gateway.centers.port import Head
from gateway.serving.arrival import Parts
from gateway.serving.openai_door.stream import TextReply
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
