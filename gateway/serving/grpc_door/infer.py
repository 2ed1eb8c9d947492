"""``ModelInfer``: a message in, the exchange, and an answer in one write. No task, no thread."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from gateway.api import DeadlineExceeded, InvalidRequest, NearwayError
from gateway.serving.grpc_door.call import Call
from gateway.serving.grpc_door.infer_call import Asked, InferCall
from gateway.serving.grpc_door.messages import ModelInferRequest
from gateway.serving.grpc_door.request import oip_body, timeout_ms
from gateway.serving.grpc_door.response import ResponseWriter
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import unforeseen


class Infer:
    """The method, as calls ask it."""

    def __init__(self, serving: Serving, writer: ResponseWriter) -> None:
        self._serving = serving
        self._writer = writer

    def __call__(self, call: Call, message: bytes) -> None:
        """``call`` is answered, once, unless it is over before."""
        serving = self._serving
        call.request_id = request_id = serving.request_id(call.head.headers)
        try:
            asked = read_asked(parse(message), call, request_id, serving.front.clock())
        except NearwayError as error:
            call.fail(error)
        except Exception:  # noqa: BLE001 - the request boundary: one call fails, not the door
            call.fail(unforeseen(request_id))
        else:
            infer = InferCall(asked, serving, partial(self._told, call))
            call.on_over = infer.cancel
            infer.begin()

    def _told(self, call: Call, infer: InferCall) -> None:
        if infer.error is not None:
            call.fail(infer.error)
            return
        try:
            asked = infer.asked
            answer = self._writer.response(infer.payload, infer.head_bytes, asked.id)
        except NearwayError as error:
            call.fail(error)
        except Exception:  # noqa: BLE001 - as above
            call.fail(unforeseen(call.request_id))
        else:
            call.answer(answer, infer.trailers)


def parse(message: bytes) -> Any:
    """A ``ModelInferRequest``. Raises InvalidRequest: the bytes are none."""
    try:
        return ModelInferRequest.FromString(message)
    except DecodeError as error:
        raise InvalidRequest(f"the message is no inference.ModelInferRequest: {error}") from None


def read_asked(request: Any, call: Call, request_id: str, arrived_s: float) -> Asked:
    """A ``ModelInferRequest`` of a call, understood.

    Raises InvalidRequest naming the field, DeadlineExceeded.
    """
    waits_ms = call.left_ms()
    if waits_ms is not None and waits_ms <= 0.0:
        raise DeadlineExceeded("the deadline had passed when the request was read")
    body, head_bytes = oip_body(request)
    return Asked(
        request.model_name,
        request.model_version,
        request.id,
        body,
        head_bytes,
        call.head.headers,
        call.peer,
        waits_ms,
        timeout_ms(request),
        request_id,
        arrived_s,
    )
