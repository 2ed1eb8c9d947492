"""The protocol's generate extension: ``generate`` and ``generate_stream`` of a model.

The way is that of OpenAI's completions, with the same admission, routing and attempts; what
differs is how a request and its answer are written, and that errors are the protocol's. Before
the first token an error is JSON with its status; behind it, the stream's last event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.api import NearwayError
from gateway.centers.port import Head
from gateway.serving.arrival import Parts
from gateway.serving.boundary import error_answer, internal_answer
from gateway.serving.front import Front
from gateway.serving.models import ModelDoor
from gateway.serving.openai_door.ask import AskDoor
from gateway.serving.openai_door.stream import MARKS, TextReply
from gateway.serving.reply import Reply, WholeReply
from gateway.wire.generate import Generated, as_completion, error_event

COMPLETIONS = "completions"
EVENTS = "text/event-stream"
GENERATED: Any = getattr(web, "RequestKey", web.AppKey)("generated", Generated)
"""Where a request keeps its ``Generated``; before aiohttp 3.14 any key would do."""


class GenerateDoor(AskDoor):
    """``POST /v2/models/{model}/generate``, or ``generate_stream``."""

    def __init__(self, front: Front, models: ModelDoor, *, stream: bool) -> None:
        super().__init__(front, models, COMPLETIONS)
        self._streams = stream

    def _as_asked(self, request: web.Request, body: bytes) -> bytes:
        match = request.match_info
        model = match["model"]
        body, asked_id = as_completion(body, model, stream=self._streams)
        request[GENERATED] = Generated(model, match.get("version", ""), asked_id)
        return body

    def _reply(self, request: web.Request) -> Reply:
        ready = asyncio.get_running_loop().create_future()
        if not self._streams:
            return WholeReply(ready, self._front.settings.remote.answer_bytes_max)
        return GenerateReply(ready, self._body_bytes_max, self._front.clock, request[GENERATED])

    async def _whole(
        self, request: web.Request, reply: Reply, headers: dict[str, str]
    ) -> web.Response:
        head = reply.head
        assert head is not None
        if not head.content_type.startswith(EVENTS):
            payload = request[GENERATED].whole(b"".join(reply.chunks), head.status)
            reply.chunks = [payload]
        return await super()._whole(request, reply, headers)

    def _error_answer(self, error: NearwayError, request_id: str) -> web.Response:
        return error_answer(error, request_id)

    def _internal_answer(self, request: web.Request, request_id: str) -> web.Response:
        return internal_answer(request, request_id)

    def _error_event(self, error: NearwayError) -> bytes:
        return error_event(str(error))


class GenerateReply(TextReply):
    """Puts the events of completions into those of the extension as they come."""

    __slots__ = ("_generated", "_in_events")

    def __init__(
        self,
        ready: asyncio.Future[None],
        stream_bytes_max: int,
        clock: Callable[[], float],
        generated: Generated,
    ) -> None:
        super().__init__(ready, stream_bytes_max, clock)
        self._generated = generated
        self._in_events = False

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        self._in_events = head.content_type.startswith(EVENTS)
        if self._in_events:
            head = replace(head, relay=None)  # no event stays as it came
        super().send_head(head, center, parts)

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``; an event that bears no text brings nothing."""
        if not self._in_events:
            super().send_chunk(payload)
            return
        try:
            events = self._generated.events(payload)
        except NearwayError as error:
            if self.error is None:
                self.fail(error)
            return
        if events:
            super().send_chunk(events)

    def send_end(self) -> None:
        """See ``Answer``."""
        self._events += MARKS  # there are none here, and tokens are counted as if there were
        super().send_end()
