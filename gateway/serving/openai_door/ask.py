"""The routes that ask a model: chat, completions, embeddings.

They go the way of inference: the same admission, routing, charge and attempts, one exchange each.
What differs is how long an attempt may be silent (a text takes as long as it is), that a text is
asked of one center at a time, and how errors look. An error behind a stream's head is its last
event.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.api import NearwayError, Query
from gateway.serving.aliases import parted
from gateway.serving.arrival import Arrival, TextArrival
from gateway.serving.body import Held
from gateway.serving.boundary import INTERNAL
from gateway.serving.encoding import inflate, known_encoding
from gateway.serving.exchange import Exchange
from gateway.serving.front import Front
from gateway.serving.infer import InferDoor
from gateway.serving.intake import NAME_CHARS_MAX
from gateway.serving.models import ModelDoor
from gateway.serving.openai_door.body import addressed
from gateway.serving.openai_door.errors import (
    error_event,
    openai_error_answer,
    openai_internal_answer,
)
from gateway.serving.openai_door.stream import TextReply
from gateway.serving.reply import Reply

EMBEDDINGS = "embeddings"
LAST_WORDS_S = 1.0
UNREAD = ""
PROMPT_BYTES_MAX = 65_536
"""As much of a prompt is shown to policies."""


class AskDoor(InferDoor):
    """``POST /v1/{route}``."""

    def __init__(self, front: Front, models: ModelDoor, route: str) -> None:
        super().__init__(front, models)
        self._route = route
        self._times = front.settings.openai
        # A version cannot be said here, so an alias of one is no name at this door.
        aliases = front.settings.models.aliases
        self._aliases = {alias: model for alias, model in aliases.items() if not parted(model)[1]}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request; every error leaves in OpenAI's shape with the request's id."""
        front = self._front
        arrived_s = front.clock()
        request_id = self._intake.request_id(request.headers)
        held = Held(front.admission, min(request.content_length or 0, self._body_bytes_max))
        counted = False
        try:
            front.enter(held.bytes)
        except NearwayError as error:
            front.refused(request_id, UNREAD, error.http_status, error.reason)
            return self._error_answer(error, request_id)
        try:
            arrival = await self._read(request, held, request_id, arrived_s)
            counted = True
            return await self._exchange(request, arrival)
        except NearwayError as error:
            if not counted:
                front.refused(request_id, UNREAD, error.http_status, error.reason)
            return self._error_answer(error, request_id)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the request boundary, with the id the center saw
            if not counted:
                front.refused(request_id, UNREAD, 500, INTERNAL)
            return self._internal_answer(request, request_id)
        finally:
            front.leave(held.bytes)

    async def _read(
        self, request: web.Request, held: Held, request_id: str, arrived_s: float
    ) -> Arrival:
        intake, headers = self._intake, request.headers
        intake.check_media(headers)
        intake.check_length(headers)
        encoding = known_encoding(headers.get("Content-Encoding"))
        body = await self._body(request, held)
        if encoding is not None:
            body = await inflate(body, self._body_bytes_max)
            held.grow_to(len(body))
        asked, body = addressed(self._as_asked(request, body), self._aliases)
        said = intake.said(headers, trusted=intake.trusts(request.remote))
        texts = self._route != EMBEDDINGS
        budget_ms = said.budget_ms
        if budget_ms is None:
            budget_ms = self._times.deadline_ms if texts else intake.deadline_ms
        query = Query(
            vantage=said.vantage,
            model=asked.model,
            tenant=said.tenant,
            deadline_ms=budget_ms,
            body_bytes=len(body),
            session=said.session or (asked.prompt_cache_key or "")[:NAME_CHARS_MAX],
            priority=said.priority or 0,
            prompt=asked.begin(PROMPT_BYTES_MAX),
        )
        arrival = (TextArrival if texts else Arrival)(
            query,
            body,
            None,
            request.match_info.get("version", ""),
            request_id,
            arrived_s,
            arrived_s + budget_ms / 1e3,
        )
        arrival.route = self._route
        arrival.traceparent = said.traceparent
        if isinstance(arrival, TextArrival):
            # Of an answer that is no stream the first byte is the last.
            first_ms = self._times.first_byte_ms if asked.stream else budget_ms
            arrival.first_byte_s = first_ms / 1e3
            arrival.silence_s = self._times.silence_ms / 1e3
        return arrival

    def _as_asked(self, _request: web.Request, body: bytes) -> bytes:
        """The body in OpenAI's form."""
        return body

    def _reply(self, _request: web.Request) -> Reply:
        ready = asyncio.get_running_loop().create_future()
        return TextReply(ready, self._body_bytes_max, self._front.clock)

    def _headers(
        self, request: web.Request, arrival: Arrival, reply: Reply, exchange: Exchange
    ) -> dict[str, str]:
        fields = super()._headers(request, arrival, reply, exchange)
        if reply.parts is None:
            fields["Cache-Control"] = "no-cache"
            fields["X-Accel-Buffering"] = "no"
        return fields

    async def _stream(
        self, request: web.Request, arrival: Arrival, reply: Reply, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = await super()._stream(request, arrival, reply, headers)
        if isinstance(reply, TextReply) and reply.error is None:
            reply.tell(self._front.metrics, arrival.arrived_s)
        return response

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse, error: NearwayError
    ) -> None:
        """Say why, to a client that still reads, and end the connection."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await response.write(self._error_event(error))
                await response.write_eof()
        except (TimeoutError, ConnectionError):
            await super()._break_off(request, response, error)
        else:
            response.force_close()

    # ---- how errors look ------------------------------------------------------------------

    def _error_answer(self, error: NearwayError, request_id: str) -> web.Response:
        return openai_error_answer(error, request_id)

    def _internal_answer(self, request: web.Request, request_id: str) -> web.Response:
        return openai_internal_answer(request, request_id)

    def _error_event(self, error: NearwayError) -> bytes:
        return error_event(error)
