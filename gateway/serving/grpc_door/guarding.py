"""The boundary of every call: whatever goes wrong in it leaves as a status.

An error nobody foresaw is logged with the call's id and told to the client by that id alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gateway.api import NearwayError
from gateway.serving.boundary import internal_message
from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.statuses import code_of, details_of, trailers_of

Method = Callable[[Any, Any, str], Any]
"""(request, context, request's id) to a response."""


class ClientGone(NearwayError):
    """Nobody hears this any more."""

    http_status = 499

    def __str__(self) -> str:
        return "the client has gone"


class InternalError(NearwayError):
    """Nobody foresaw it; the log has more."""

    @property
    def reason(self) -> str:
        """See ``NearwayError``."""
        return "internal"


def unforeseen(request_id: str) -> InternalError:
    """Called while an unforeseen exception is handled."""
    return InternalError(internal_message(request_id, "over gRPC"))


def guarded(method: Method, serving: Serving) -> Callable[[Any, Any], Any]:
    """``method`` as gRPC calls it, with one response."""

    def handle(request: Any, context: Any) -> Any:
        request_id = serving.request_id(CallHeaders(context.invocation_metadata()))
        try:
            return method(request, context, request_id)
        except NearwayError as error:
            told = error
        except Exception:  # noqa: BLE001 - the request boundary: one call fails, not the door
            told = unforeseen(request_id)
        return abort(context, told, request_id)

    return handle


def guarded_stream(method: Method, serving: Serving) -> Callable[[Any, Any], Iterator[Any]]:
    """``method`` as gRPC calls it, with many responses."""

    def handle(request: Any, context: Any) -> Iterator[Any]:
        request_id = serving.request_id(CallHeaders(context.invocation_metadata()))
        try:
            yield from method(request, context, request_id)
        except NearwayError as error:
            told = error
        except Exception:  # noqa: BLE001 - as above
            told = unforeseen(request_id)
        else:
            return
        abort(context, told, request_id)

    return handle


def abort(context: Any, error: NearwayError, request_id: str) -> None:
    """End the call with the error; raises what gRPC wants raised."""
    context.set_trailing_metadata(trailers_of(error, request_id))
    context.abort(code_of(error), details_of(error))
