"""``ModelInfer``: a thread a call, which waits for the loop.

Theory of operation. gRPC's own threads take calls off their connections; each is run by a thread
of the door's pool. Reading the message and writing the answer happen there; what lies between is
the loop's (``infer_call``), which puts the finished call into a queue on which the thread waits.
Whether the client has gone is told by gRPC in a callback, which ends the waiting, too.
"""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from gateway.api import DeadlineExceeded
from gateway.serving.grpc_door.guarding import ClientGone
from gateway.serving.grpc_door.infer_call import Asked, InferCall
from gateway.serving.grpc_door.invocation import CallHeaders, address_of, left_ms
from gateway.serving.grpc_door.request import oip_body, timeout_ms
from gateway.serving.grpc_door.response import ResponseWriter
from gateway.serving.grpc_door.serving import Serving


class Infer:
    """The method, as gRPC calls it."""

    def __init__(self, serving: Serving, writer: ResponseWriter) -> None:
        self._serving = serving
        self._writer = writer

    def __call__(self, request: Any, context: Any, request_id: str) -> bytes:
        """A serialized response. Raises NearwayError of any kind."""
        serving = self._serving
        headers = CallHeaders(context.invocation_metadata())
        asked = read_asked(request, headers, context, request_id, serving.front.clock())
        told: SimpleQueue[InferCall | None] = SimpleQueue()
        call = InferCall(asked, serving, told.put)

        def gone() -> None:
            if not call.done:
                serving.on_loop(call.cancel)
                told.put(None)

        if not context.add_callback(gone):
            raise ClientGone
        serving.on_loop(call.begin)
        if told.get() is None:
            raise ClientGone
        if call.error is not None:
            raise call.error
        context.set_trailing_metadata(call.trailers)
        return self._writer.response(call.payload, call.head_bytes, asked.id)


def read_asked(
    request: Any, headers: CallHeaders, context: Any, request_id: str, arrived_s: float
) -> Asked:
    """A ``ModelInferRequest``, understood as far as a thread can.

    Raises InvalidRequest naming the field, DeadlineExceeded.
    """
    waits_ms = left_ms(context)
    if waits_ms is not None and waits_ms <= 0.0:
        raise DeadlineExceeded("the deadline had passed when the request was read")
    body, head_bytes = oip_body(request)
    headers.body_head = str(head_bytes)
    return Asked(
        request.model_name,
        request.model_version,
        request.id,
        body,
        head_bytes,
        headers,
        address_of(context.peer()),
        waits_ms,
        timeout_ms(request),
        request_id,
        arrived_s,
    )
