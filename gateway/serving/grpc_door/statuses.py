"""What goes wrong, in gRPC's words: a status code, details, and trailing metadata.

The same errors as over HTTP, with the same messages. The reason in one word and the request's id
stand in the trailing metadata, for every error; one that may be asked again says after how long,
also in the words gRPC's own retries heed.
"""

from __future__ import annotations

from enum import IntEnum
from urllib.parse import quote

from gateway.api import NearwayError, Shed
from gateway.serving.boundary import error_fields, internal_message


class Code(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


CODES: dict[int, Code] = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ABORTED,
    413: Code.RESOURCE_EXHAUSTED,
    415: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
"""gRPC itself says RESOURCE_EXHAUSTED to a message that is too large, as 413 does here."""
DETAILS_CHARS_MAX = 2000
"""Details travel in a head, which peers bound at 8 KiB."""
SAFE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What stands for itself in ``grpc-message``: all that can be printed but the percent sign."""
Metadata = tuple[tuple[str, str], ...]


class InternalError(NearwayError):
    """Nobody foresaw it; the log has more."""

    @property
    def reason(self) -> str:
        """See ``NearwayError``."""
        return "internal"


def unforeseen(request_id: str) -> InternalError:
    """Called while an unforeseen exception is handled."""
    return InternalError(internal_message(request_id, "over gRPC"))


def code_of(error: NearwayError) -> Code:
    """The status code of an error."""
    status = error.http_status
    other = Code.INVALID_ARGUMENT if 400 <= status < 500 else Code.INTERNAL
    return CODES.get(status, other)


def details_of(error: NearwayError) -> str:
    """The message, no longer than a head may be; every character can be sent."""
    return str(error)[:DETAILS_CHARS_MAX].encode(errors="replace").decode()


def trailers_of(error: NearwayError, request_id: str) -> Metadata:
    """The fields of an error's head over HTTP, and the reason of each."""
    fields = {name.lower(): value for name, value in error_fields(error, request_id).items()}
    fields["x-nearway-reason"] = error.reason
    if isinstance(error, Shed):
        fields["grpc-retry-pushback-ms"] = str(max(1, round(error.retry_after_s * 1e3)))
    return tuple(fields.items())


def status_fields(code: Code, details: str) -> Metadata:
    """As trailers tell it."""
    return ("grpc-status", str(code.value)), ("grpc-message", quote(details, safe=SAFE))
