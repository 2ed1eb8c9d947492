"""Inference over aiohttp: one coroutine, which waits for one future around the exchange.

The handler reads head and body, begins an exchange and waits. A whole answer becomes one
response; a stream is written as its chunks come. When the client goes, aiohttp cancels the
handler (``runner_options``) and the handler cancels the exchange.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from gateway.api import DeadlineExceeded, NearwayError, TooLarge
from gateway.serving.answer_head import AnswerHead, asked
from gateway.serving.arrival import Arrival
from gateway.serving.body import Held, late_body
from gateway.serving.boundary import INTERNAL, check_fields, error_answer, internal_answer
from gateway.serving.encoding import (
    compress_bytes_min,
    deflate,
    inflate,
    known_encoding,
    wanted_encoding,
)
from gateway.serving.exchange import Exchange
from gateway.serving.front import Front
from gateway.serving.models import ModelDoor
from gateway.serving.packing import PackedReply, is_packed, wants_packed
from gateway.serving.patience import patience_of
from gateway.serving.reply import Reply, Through, WholeReply
from gateway.wire.msgpack_infer import unpack_request


class InferDoor:
    """``POST .../infer``."""

    def __init__(self, front: Front, models: ModelDoor) -> None:
        self._front = front
        self._models = models
        self._intake = front.intake
        self._heads = AnswerHead(front)
        self._body_bytes_max = front.settings.server.body_bytes_max
        self._patience = patience_of(front.settings)
        self._compress_bytes_min = compress_bytes_min(front.settings.server)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One inference request; every error leaves as JSON with the request's id."""
        front = self._front
        arrived_s = front.clock()
        request_id = self._intake.request_id(request.headers)
        match = request.match_info
        model, version = match["model"], match.get("version", "")
        exchange_began = False
        held = Held(front.admission, min(request.content_length or 0, self._body_bytes_max))
        try:
            front.enter(held.bytes)
        except NearwayError as error:
            front.refused(request_id, model, error.http_status, error.reason)
            return error_answer(error, request_id)
        try:
            arrival = await self._arrival(request, held, model, version, request_id, arrived_s)
            exchange_began = True
            return await self._exchange(request, arrival)
        except NearwayError as error:
            if not exchange_began:
                front.refused(request_id, model, error.http_status, error.reason)
            return error_answer(error, request_id)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the request boundary, with the id the center saw
            if not exchange_began:
                front.refused(request_id, model, 500, INTERNAL)
            return internal_answer(request, request_id)
        finally:
            front.leave(held.bytes)

    # ---- in -------------------------------------------------------------------------------

    async def _arrival(
        self,
        request: web.Request,
        held: Held,
        model: str,
        version: str,
        request_id: str,
        arrived_s: float,
    ) -> Arrival:
        intake, headers = self._intake, request.headers
        intake.check_media(headers)
        intake.check_length(headers)
        encoding = known_encoding(headers.get("Content-Encoding"))
        body = await self._body(request, held)
        if encoding is not None:
            body = await inflate(body, self._body_bytes_max)
            held.grow_to(len(body))
        if not is_packed(headers):
            return intake.arrival(
                headers, request.remote, request_id, model, version, body, arrived_s
            )
        body, head_bytes = unpack_request(body, packed=wants_packed(headers))
        said = intake.said(headers, trusted=intake.trusts(request.remote))
        said = replace(said, json_bytes=str(head_bytes))
        return intake.arrival_of(said, request_id, model, version, body, arrived_s)

    async def _body(self, request: web.Request, held: Held) -> bytes:
        """The bytes as they came. Raises TooLarge, NoCapacity, or SlowBody if they take too long.

        A body that is all here is taken in one piece: ``request.read`` costs 4 us more.
        """
        content = request.content
        if content.is_eof():
            body = content.read_nowait()
            if len(body) > self._body_bytes_max:
                raise TooLarge(self._intake.too_large(f"{len(body)} bytes"))
            held.grow_to(len(body))
            return body
        return await late_body(request, self._intake, self._patience, held)

    # ---- through --------------------------------------------------------------------------

    def _reply(self, request: web.Request) -> Reply:
        ready = asyncio.get_running_loop().create_future()
        if wants_packed(request.headers):
            return PackedReply(ready, self._front.settings.remote.answer_bytes_max)
        return Reply(ready, self._body_bytes_max)

    async def _exchange(self, request: web.Request, arrival: Arrival) -> web.StreamResponse:
        reply = self._reply(request)
        with_ = self._front.collaborators
        if with_.recorder is None:
            exchange = Exchange(with_, arrival, reply)
        else:
            exchange = with_.recorder.exchange(with_, arrival, reply)
        try:
            exchange.begin()
            await reply.ready
            if reply.error is not None:
                raise await self._models.closer_error(reply.error, exchange.decision, arrival)
            headers = self._headers(request, arrival, reply, exchange)
            if isinstance(reply, PackedReply):
                reply.pack(headers)
            elif reply.parts is None and not isinstance(reply, WholeReply):
                return await self._stream(request, arrival, reply, headers)
        except (NearwayError, ConnectionError):
            raise
        except Exception:
            exchange.cancel(500)  # the client is there, and is told so
            raise
        finally:
            exchange.cancel()
        return await self._whole(request, reply, headers)

    # ---- out ------------------------------------------------------------------------------

    def _headers(
        self, request: web.Request, arrival: Arrival, reply: Reply, exchange: Exchange
    ) -> dict[str, str]:
        assert reply.head is not None
        wanted = asked(request.headers, trusted=self._intake.trusts(request.remote))
        return self._heads.fields(reply.head, reply.center, reply.parts, arrival, exchange, wanted)

    async def _whole(
        self, request: web.Request, reply: Reply, headers: dict[str, str]
    ) -> web.Response:
        head, chunks = reply.head, reply.chunks
        assert head is not None
        payload = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(payload) >= self._compress_bytes_min:
            encoding = wanted_encoding(request.headers.get("Accept-Encoding"))
            if encoding is not None:
                payload = await deflate(payload, encoding)
                headers["Content-Encoding"] = encoding
        return web.Response(body=payload, status=head.status, headers=headers)

    async def _stream(
        self, request: web.Request, arrival: Arrival, reply: Reply, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Write chunks as they come; a stream that breaks off, or whose client does not read
        until the deadline, ends as a broken connection, never as a whole answer."""
        assert reply.head is not None
        check_fields(headers)  # aiohttp would find out when no other answer is possible
        response = web.StreamResponse(status=reply.head.status, headers=headers)
        await response.prepare(request)
        try:
            async with asyncio.timeout(arrival.deadline_s - self._front.clock()):
                through = Through(request)
                while not await self._write_queued(response, reply, through):
                    pass
        except TimeoutError:
            reply.error = DeadlineExceeded("the client did not read the stream in time")
        if reply.error is None:
            await response.write_eof()
            return response
        await self._break_off(request, response, reply.error)
        return response

    async def _break_off(
        self, request: web.Request, response: web.StreamResponse, _error: NearwayError
    ) -> None:
        response.force_close()
        if request.transport is not None:
            request.transport.abort()

    async def _write_queued(
        self, response: web.StreamResponse, reply: Reply, through: Through
    ) -> bool:
        """Write what is queued, or wait for more; True at the end of the stream."""
        for chunk in reply.take():
            await response.write(chunk)
        if reply.error is not None or (reply.ended and not reply.chunks):
            return True
        if not reply.chunks:
            await reply.more(through)
        return False
