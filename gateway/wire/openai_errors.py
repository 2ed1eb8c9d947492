"""Errors in OpenAI's shape.

    {"error": {"message": "...", "type": "invalid_request_error", "param": "stop", "code": null}}

Status and message are those the other doors give. The client libraries go by the status; ``param``
names the field of the request that is wrong, ``code`` is a word for a machine.
"""

from __future__ import annotations

import msgspec

from gateway.api import InvalidRequest, NearwayError, RequestError

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
    504: "timeout_error",
}


class InvalidField(InvalidRequest):
    """A field is wrong, or asks for what is not offered. ``param``: its path in the body."""

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code

    @property
    def reason(self) -> str:
        """That of any wrong request: ``param`` says the rest."""
        return "invalid_request"


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class _Body(msgspec.Struct):
    error: _Error


def error_object(error: NearwayError) -> bytes:
    """The body of an error's answer."""
    status = error.http_status
    param, code = None, None
    if isinstance(error, RequestError):
        param, code = error.param, error.code
    if code is None and status != 400:
        code = "model_not_found" if status == 404 else error.reason
    return error_text(str(error), status, param, code)


def error_text(
    message: str, status: int, param: str | None = None, code: str | None = None
) -> bytes:
    """As ``error_object``, of what is no error of ours."""
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    kind = TYPES.get(status, fallback)
    return msgspec.json.encode(_Body(_Error(message, kind, param, code)))


class _Told(msgspec.Struct):
    message: str = ""
    param: str | int | None = None
    code: str | int | None = None


class _ToldBody(msgspec.Struct):
    error: _Told


def read_error(payload: bytes) -> tuple[str, str | None, str | None] | None:
    """(message, param, code) of an upstream's error; None when it is in another shape."""
    try:
        told = msgspec.json.decode(payload, type=_ToldBody).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return told.message, _word(told.param), _word(told.code)


def _word(told: str | int | None) -> str | None:
    return None if told is None else str(told)
