"""One inference over gRPC: where the exchange answers.

Theory of operation. A message that was read becomes an ``InferCall``; ``begin`` admits it and
begins the exchange, which answers by callbacks. In the end, exactly once, ``tell`` is called with
the call, which then holds an answer or an error. ``cancel`` is for a client that has gone: the
center is told, nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.api import CenterFailed, NearwayError, TooLarge
from gateway.centers.port import Head, Whole
from gateway.serving.answer_head import AnswerHead
from gateway.serving.answer_head import Asked as Wanted
from gateway.serving.arrival import Arrival, Parts
from gateway.serving.boundary import INTERNAL
from gateway.serving.exchange import Exchange
from gateway.serving.front import Front
from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import unforeseen
from gateway.serving.intake import Said
from gateway.serving.models import ModelDoor, is_vague

FRAMING = frozenset({"Content-Type", "Inference-Header-Content-Length", "Server"})
"""Fields of HTTP's head that gRPC says in its own way."""


class Asked:
    """A message as it was read. ``left_ms``: what the client waits; ``own_ms``: what the
    message's own parameter says; None: neither says.
    """

    __slots__ = ("arrived_s", "body", "head_bytes", "headers", "id", "left_ms", "model", "own_ms",
                 "peer", "request_id", "version")  # fmt: skip

    def __init__(
        self,
        model: str,
        version: str,
        id_: str,
        body: bytes,
        head_bytes: int,
        headers: CallHeaders,
        peer: str | None,
        left_ms: float | None,
        own_ms: float | None,
        request_id: str,
        arrived_s: float,
    ) -> None:
        self.model = model
        self.version = version
        self.id = id_
        self.body = body
        self.head_bytes = head_bytes
        self.headers = headers
        self.peer = peer
        self.left_ms = left_ms
        self.own_ms = own_ms
        self.request_id = request_id
        self.arrived_s = arrived_s


class InferCall:
    """See the module. Once it is ``done`` it has an ``error``, or ``payload`` with ``head_bytes``
    and ``trailers``.
    """

    __slots__ = ("_answer_bytes", "_arrival", "_chunks", "_entered", "_exchange", "_head",
                 "_heads", "_models", "_serving", "_tell", "_wanted", "asked", "done", "error",
                 "front", "head_bytes", "payload", "trailers")  # fmt: skip

    def __init__(self, asked: Asked, serving: Serving, tell: Callable[[InferCall], None]) -> None:
        self.asked = asked
        self.front: Front = serving.front
        self._models: ModelDoor = serving.models
        self._heads: AnswerHead = serving.heads
        self._serving = serving
        self._tell = tell
        self.done = False
        self._entered = False
        self._exchange: Exchange | None = None
        self._arrival: Arrival | None = None
        self._wanted: Wanted | None = None
        self._head: tuple[Head, int, Parts | None] | None = None
        self._chunks: list[bytes] = []
        self._answer_bytes = 0
        self.error: NearwayError | None = None
        self.payload = b""
        self.head_bytes: int | None = None
        self.trailers: tuple[tuple[str, str], ...] = ()

    # ---- in -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let it in and begin the exchange."""
        if self.done:
            return
        front = self.front
        try:
            self._enter()
            self._arrival = self._read()
        except NearwayError as error:
            self._refused(error.http_status, error.reason)
            self._end(error)
        except Exception:  # noqa: BLE001 - the request boundary: one call fails, not the door
            self._refused(500, INTERNAL)
            self._end(unforeseen(self.asked.request_id))
        else:
            with_ = front.collaborators
            if with_.recorder is None:
                self._exchange = Exchange(with_, self._arrival, self)
            else:
                self._exchange = with_.recorder.exchange(with_, self._arrival, self)
            try:
                self._exchange.begin()
            except Exception:  # noqa: BLE001 - as above
                self._end(unforeseen(self.asked.request_id))

    def _refused(self, status: int, reason: str) -> None:
        self.front.refused(self.asked.request_id, self.asked.model, status, reason)

    def _enter(self) -> None:
        size = len(self.asked.body)
        self.front.enter(size)
        self._entered = True
        if size > self.front.intake.body_bytes_max:
            raise TooLarge(self.front.intake.too_large(f"{size} bytes"))

    def _read(self) -> Arrival:
        """Raises InvalidRequest naming the field."""
        asked, intake = self.asked, self.front.intake
        said, self._wanted = asked.headers.read(intake, trusted=intake.trusts(asked.peer))
        budget_ms = said.budget_ms
        left_ms = asked.left_ms
        if left_ms is not None:
            left_ms = min(left_ms, intake.deadline_ms)
            if budget_ms is None and (asked.own_ms is None or left_ms < asked.own_ms):
                budget_ms = left_ms
            elif budget_ms is not None:
                budget_ms = min(budget_ms, left_ms)
        told = Said(
            said.vantage,
            said.tenant,
            budget_ms,
            str(asked.head_bytes),
            said.priority,
            said.trusted,
            said.session,
            said.traceparent,
        )
        return intake.arrival_of(
            told, asked.request_id, asked.model, asked.version, asked.body, asked.arrived_s
        )

    def cancel(self) -> None:
        """The client has gone. Harmless when it is over."""
        if self.done:
            return
        self.done = True
        if self._exchange is not None:
            self._exchange.cancel()
        self._leave()

    # ---- what the exchange says -----------------------------------------------------------

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        """See ``Answer``."""
        self.payload = whole.payload
        self._answered(Head(whole.status, whole.content_type, whole.head_bytes), center, parts)

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        self._head = head, center, parts

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``; the answer is one message, so it is kept until it is whole."""
        self._answer_bytes += len(payload)
        bound = self.front.settings.remote.answer_bytes_max
        if self._answer_bytes <= bound:
            self._chunks.append(payload)
        elif not self.done:
            if self._exchange is not None:
                self._exchange.cancel()
            self._end(CenterFailed(f"the answer has more than {bound} bytes"))

    def send_end(self) -> None:
        """See ``Answer``."""
        assert self._head is not None
        self.payload = b"".join(self._chunks)
        self._answered(*self._head)

    def fail(self, error: NearwayError) -> None:
        """See ``Answer``."""
        decision = None if self._exchange is None else self._exchange.decision
        if self._arrival is None or not is_vague(error, decision):
            self._end(error)
            return
        self._serving.spawn(self._closer(error), "gRPC: a closer error")

    async def _closer(self, error: NearwayError) -> None:
        assert self._arrival is not None
        try:
            error = await self._models.closer_error(error, None, self._arrival)
        except asyncio.CancelledError:
            pass  # the door closes: what is known is told
        except Exception:  # noqa: BLE001 - the request boundary
            error = unforeseen(self.asked.request_id)
        self._end(error)

    def _answered(self, head: Head, center: int, parts: Parts | None) -> None:
        if self.done:
            return
        assert self._arrival is not None
        assert self._exchange is not None
        assert self._wanted is not None
        wanted, arrival = self._wanted, self._arrival
        fields = self._heads.fields(head, center, parts, arrival, self._exchange, wanted)
        self.head_bytes = head.head_bytes
        self.trailers = tuple(
            [(name.lower(), value) for name, value in fields.items() if name not in FRAMING]
        )
        error = None
        if head.status != 200:
            error = CenterFailed(f"the center answered {head.status}: {self.payload[:200]!r}")
        self._end(error)

    # ---- out ------------------------------------------------------------------------------

    def _end(self, error: NearwayError | None) -> None:
        if self.done:
            return
        self.done = True
        self.error = error
        self._leave()
        self._tell(self)

    def _leave(self) -> None:
        if self._entered:
            self._entered = False
            self.front.leave(len(self.asked.body))
