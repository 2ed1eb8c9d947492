"""The boundary of every call: whatever goes wrong in it leaves as a status.

An error nobody foresaw is logged with the call's id and told to the client by that id alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import DecodeError

from gateway.api import InvalidRequest, NearwayError
from gateway.serving.grpc_door.call import Call
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import unforeseen


def asked(
    method: Callable[[Any], Awaitable[Any]], kind: Any, serving: Serving
) -> Callable[[Call, bytes], None]:
    """``method`` as a call asks it: in a task, which ends when the client goes or its deadline
    passes. ``kind``: the class of its requests; it returns the response, which any message may be.
    """

    async def answer(call: Call, request: Any) -> None:
        message = bytes((await method(request)).SerializeToString())
        call.on_over = None  # its task, which ends by itself
        call.answer(message)

    return in_a_task(answer, kind, serving)


def in_a_task(
    work: Callable[[Call, Any], Awaitable[None]], kind: Any, serving: Serving
) -> Callable[[Call, bytes], None]:
    """``work`` answers the call itself; what it raises ends the call with a status."""

    async def guarded(call: Call, message: bytes) -> None:
        try:
            await work(call, _parsed(kind, message))
            return
        except NearwayError as error:
            told = error
        except Exception:  # noqa: BLE001 - the request boundary: one call fails, not the door
            told = unforeseen(call.request_id)
        call.on_over = None
        call.fail(told)

    def ask(call: Call, message: bytes) -> None:
        call.request_id = serving.request_id(call.head.headers)
        task = serving.spawn(guarded(call, message), f"gRPC: {call.head.path}")
        call.on_over = task.cancel  # type: ignore[assignment]  # whether it was under way
        call.expire_in_time()

    return ask


def _parsed(kind: Any, message: bytes) -> Any:
    try:
        return kind.FromString(message)
    except DecodeError as error:
        name = kind.DESCRIPTOR.full_name
        raise InvalidRequest(f"the message is no {name}: {error}") from None
