"""A public door whose centers answer ``/v1`` as a script says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.api import Report
from gateway.centers.port import Answered, Chunk, Head

EVENT = b'data: {"choices":[]}\n\n'
STREAM = Head(200, "text/event-stream; charset=utf-8", None)


def streamed(parts: int = 3) -> Callable[[Any], None]:
    """A script: head, chunks in turns of their own, the end."""

    def play(one: Any) -> None:
        loop = asyncio.get_running_loop()
        one.hear(STREAM)
        one.hear(Chunk(EVENT))

        def more(left: int) -> None:
            if one.cancelled:
                return
            if left:
                one.hear(Chunk(EVENT))
                loop.call_later(0.002, more, left - 1)
            else:
                one.hear(Chunk(b"data: [DONE]\n\n"))
                one.hear(Answered(Report(0.5, 1.5), None))

        loop.call_later(0.002, more, parts - 1)

    return play


@pytest.fixture
def stream() -> Callable[..., Callable[[Any], None]]:
    return streamed


@pytest.fixture
def asked() -> Callable[..., Awaitable[Any]]:
    """Post JSON to a route below ``/v1``."""

    async def ask(client: Any, route: str, body: Any, **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await client.post(f"/v1/{route}", json=body, headers=names)
        await response.read()
        return response

    return ask
