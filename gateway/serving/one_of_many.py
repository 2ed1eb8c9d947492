"""One inference whose request came within a larger body or on a connection of many.

It goes the way of any other: admitted, routed, charged and answered by itself, under an id of its
own. ``begin`` it, wait for ``told``, and ``end`` it always, also when nobody waits any more.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec

from gateway.api import CenterFailed, InvalidRequest, NearwayError, NotFound
from gateway.serving.arrival import Arrival
from gateway.serving.boundary import INTERNAL, internal_message, told_reason
from gateway.serving.exchange import Exchange
from gateway.serving.front import Front
from gateway.serving.intake import Said
from gateway.serving.models import ModelDoor
from gateway.serving.reply import WholeReply
from gateway.wire.many_infers import Named, answered, id_of, read_one, refused


class OneOfMany:
    """``body``: one request, in MessagePack when ``packed``. Whatever is wrong with it is told."""

    __slots__ = (
        "_arrival",
        "_exchange",
        "_front",
        "_held",
        "_packed",
        "_reply",
        "_told",
        "id",
        "taken_id",
    )

    def __init__(self, front: Front, *, packed: bool) -> None:
        self.id = self.taken_id = ""
        self._front = front
        self._packed = packed
        self._held = -1
        self._told: bytes | None = None
        self._exchange: Exchange | None = None

    def begin(
        self,
        body: bytes | msgspec.Raw,
        said: Said,
        request_id: str,
        arrived_s: float,
        deadline_s: float,
        *,
        taken: set[str] | None = None,
    ) -> None:
        """Decide and start. ``deadline_s``: its own may be sooner, not later.

        ``taken``: ids under way; it must bear another, which is added and is its ``taken_id``.
        """
        front, model = self._front, ""
        try:
            asked = read_one(body, packed=self._packed)
            self.id, model = asked.id, asked.model
            if taken is not None:
                self._take_id(taken)
            if not model:
                raise NotFound("model_name is empty; POST /v2/repository/index lists the models")
            front.enter(len(asked.body))
            self._held = len(asked.body)
            self._arrival = self._arriving(asked, said, request_id, arrived_s, deadline_s)
            self._start(self._arrival)
        except NearwayError as error:
            self.id = self.id or id_of(body, packed=self._packed)
            front.refused(request_id, model, error.http_status, error.reason)
            self.refuse(error)

    def _take_id(self, taken: set[str]) -> None:
        if not self.id:
            raise InvalidRequest("id is missing; answers come as they are ready, and bear it")
        if self.id in taken:
            raise InvalidRequest(f"id {self.id[:60]!r} is under way already; choose another")
        taken.add(self.id)
        self.taken_id = self.id

    def _arriving(
        self, asked: Named, said: Said, request_id: str, arrived_s: float, deadline_s: float
    ) -> Arrival:
        intake = self._front.intake
        length = None if asked.head_bytes is None else str(asked.head_bytes)
        own = replace(said, json_bytes=length, budget_ms=None)
        told = (request_id, asked.model, asked.version, asked.body, arrived_s)
        arrival = intake.arrival_of(own, *told)
        if arrival.deadline_s <= deadline_s:
            return arrival
        left_ms = max(0.0, (deadline_s - arrived_s) * 1e3)
        return intake.arrival_of(replace(own, budget_ms=left_ms), *told)

    def _start(self, arrival: Arrival) -> None:
        front = self._front
        ready = asyncio.get_running_loop().create_future()
        self._reply = WholeReply(ready, front.settings.remote.answer_bytes_max)
        with_ = front.collaborators
        if with_.recorder is None:
            self._exchange = Exchange(with_, arrival, self._reply)
        else:
            self._exchange = with_.recorder.exchange(with_, arrival, self._reply)
        self._exchange.begin()

    async def told(self) -> bytes:
        """What the client is told of it, once it is over."""
        if self._told is not None:
            return self._told
        exchange, reply, front = self._exchange, self._reply, self._front
        assert exchange is not None
        try:
            await reply.ready
            if reply.error is not None:
                models = ModelDoor(front)
                error = await models.closer_error(reply.error, exchange.decision, self._arrival)
                return self.refuse(error)
            if reply.head is None:
                return self.refuse(CenterFailed("answered without a head"))
            self._told = answered(
                reply.payload,
                reply.head.head_bytes,
                packed=self._packed,
                status=reply.head.status,
                center=front.center_ids[reply.center],
                asked_id=self.id,
            )
            return self._told
        except NearwayError as error:
            return self.refuse(error)
        except Exception:  # noqa: BLE001 - the request boundary: one fails, not those beside it
            message = internal_message(self._arrival.request_id, "of many")
            self._told = refused(500, message, INTERNAL, self.id, packed=self._packed)
            return self._told

    def refuse(self, error: NearwayError) -> bytes:
        """It is told this error."""
        reason = told_reason(error)
        self._told = refused(error.http_status, str(error), reason, self.id, packed=self._packed)
        return self._told

    def end(self) -> None:
        """Nobody waits any more: a center that is at it is told to stop. Harmless when done."""
        if self._exchange is not None:
            self._exchange.cancel()
        if self._held >= 0:
            self._front.leave(self._held)
            self._held = -1
