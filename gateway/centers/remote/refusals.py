"""What an answer other than 200 means, as one of our errors.

The client's fault stays the client's (its message and status are passed on, no other center is
tried); a center that has no room is busy; all else is the center's failure, and another may
help. A 401 or a 405 is no fault of the request: the gateway made it, so the URL is wrong or
wants what the gateway does not have.
"""

from __future__ import annotations

import msgspec

from gateway.api import (
    CenterBusy,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NearwayError,
    NotFound,
    Refused,
    RequestError,
    TooLarge,
    Unsupported,
    UnsupportedMedia,
)
from gateway.centers.remote.answer_head import AnswerHead
from gateway.wire.openai_errors import read_error

MESSAGE_CHARS_MAX = 1000
_REQUESTS_FAULT: dict[int, type[NearwayError]] = {
    400: InvalidRequest,
    404: NotFound,
    413: TooLarge,
    415: UnsupportedMedia,
    501: Unsupported,
}
_GATEWAYS_FAULT = frozenset((401, 403, 405, 407, 408, 411, 421, 425, 426, 431))
_NO_ROOM = (429, 503)


class _Told(msgspec.Struct):
    error: str = ""


def error_of(name: str, head: AnswerHead, payload: bytes, *, late: bool) -> NearwayError:
    """The error that center ``name`` answered; ``late``: the request's time is over."""
    as_openai = read_error(payload)
    if as_openai is None:
        return _error(name, head, told_message(payload), late=late)
    message, param, code = as_openai
    error = _error(name, head, " ".join(message.split())[:MESSAGE_CHARS_MAX], late=late)
    if isinstance(error, RequestError):
        error.param, error.code = param, code
    return error


def _error(name: str, head: AnswerHead, message: str, *, late: bool) -> NearwayError:
    status = head.status
    known = _REQUESTS_FAULT.get(status)
    if known is not None:
        return known(message or f"center {name} answered {status} without a message")
    said = f"center {name} answered {status}{f': {message}' if message else ''}"
    if status in _NO_ROOM:
        wait = f" (it asks to wait {head.retry_after[:32]})" if head.retry_after else ""
        return CenterBusy(f"{said}{wait}")
    if status == 504 and late:
        return DeadlineExceeded(said)
    if 400 <= status < 500 and status not in _GATEWAYS_FAULT:
        return Refused(message or said, status)
    if status < 500:
        said += "; expected 200: is its url that of an Open Inference Protocol server?"
    return CenterFailed(said)


def told_message(payload: bytes) -> str:
    """The protocol's ``{"error": "..."}``, or the beginning of any other text."""
    try:
        text = msgspec.json.decode(payload, type=_Told).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = payload[: 4 * MESSAGE_CHARS_MAX].decode("utf-8", "replace")
    return " ".join(text.split())[:MESSAGE_CHARS_MAX]
