"""``POST /v2/batch``: many inferences in one body, answered in order with a status each.

All are begun in one turn and each is routed by itself, so they run beside each other, at
different centers where that is sooner. The whole has one deadline; one that is wrong or late is
told so in its place, and the others are not touched.
"""

from __future__ import annotations

from aiohttp import web

from gateway.api import NearwayError, TooLarge
from gateway.serving.body import Held
from gateway.serving.boundary import INTERNAL, SERVER, error_answer, internal_answer
from gateway.serving.encoding import inflate, known_encoding
from gateway.serving.infer import InferDoor
from gateway.serving.one_of_many import OneOfMany
from gateway.serving.packing import JSON, is_packed
from gateway.wire.many_infers import divided, joined
from gateway.wire.msgpack_infer import MSGPACK

UNREAD = ""
"""The model, in logs, of a body that was not divided."""


class BatchDoor(InferDoor):
    """The route."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """200 with the answers, or an error of the whole as JSON with the request's id."""
        front = self._front
        arrived_s = front.clock()
        request_id = self._intake.request_id(request.headers)
        held = Held(front.admission, min(request.content_length or 0, self._body_bytes_max))
        try:
            front.enter(held.bytes)
        except NearwayError as error:
            front.refused(request_id, UNREAD, error.http_status, error.reason)
            return error_answer(error, request_id)
        try:
            return await self._answer(request, held, request_id, arrived_s)
        except NearwayError as error:
            front.refused(request_id, UNREAD, error.http_status, error.reason)
            return error_answer(error, request_id)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the request boundary
            front.refused(request_id, UNREAD, 500, INTERNAL)
            return internal_answer(request, request_id)
        finally:
            front.leave(held.bytes)

    async def _answer(
        self, request: web.Request, held: Held, request_id: str, arrived_s: float
    ) -> web.Response:
        intake, headers, front = self._intake, request.headers, self._front
        intake.check_media(headers)
        intake.check_length(headers)
        encoding = known_encoding(headers.get("Content-Encoding"))
        said = intake.said(headers, trusted=intake.trusts(request.remote))
        body = await self._body(request, held)
        if encoding is not None:
            body = await inflate(body, self._body_bytes_max)
            held.grow_to(len(body))
        packed = is_packed(headers)
        requests = divided(body, front.settings.server.batch_requests_max, packed=packed)
        budget_ms = said.budget_ms or intake.deadline_ms
        deadline_s = arrived_s + budget_ms / 1e3
        many: list[OneOfMany] = []
        try:
            for number, one in enumerate(requests):
                many.append(OneOfMany(front, packed=packed))
                many[-1].begin(one, said, f"{request_id}-{number}", arrived_s, deadline_s)
            told = await self._collect(many)
        finally:
            for each in many:
                each.end()
        fields = {
            "Content-Type": MSGPACK if packed else JSON,
            "Server": SERVER,
            "x-request-id": request_id,
        }
        return web.Response(body=joined(told, packed=packed), headers=fields)

    async def _collect(self, many: list[OneOfMany]) -> list[bytes]:
        """What is told of each, in their order; together no more than one answer may be."""
        answer_bytes_max = self._front.settings.remote.answer_bytes_max
        left, told = answer_bytes_max, []
        for one in many:
            payload = await one.told()
            if len(payload) > left:
                payload = one.refuse(
                    TooLarge(
                        f"the answers of this batch have more than {answer_bytes_max} bytes; "
                        "send fewer at once or raise remote.answer_bytes_max"
                    )
                )
            left -= len(payload)
            told.append(payload)
        return told
