"""The request boundary: whatever goes wrong leaves as ``{"error": "..."}`` with a status.

The protocol's error object is one string; the status is the error class's own. Who is told to
come back (429, 503) or that time ran out (504) also gets the reason in one word, as ``reason``
beside it and in ``x-nearway-reason``; 429 and 503 say after how many seconds. Unknown routes
name the close ones, a wrong method names the right ones, and an error nobody foresaw is logged
with the request's id and told to the client by that id alone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler, Middleware

from gateway.api import NearwayError, Shed
from gateway.serving.intake import Intake
from gateway.serving.strictness import head_fault, length_fault
from gateway.wire import error_json
from gateway.wire.openai_errors import error_object, error_text

LOG = logging.getLogger("nearway.serving")
JSON = "application/json"
SERVER = "nearway"
PHRASES = {status.value: status.phrase for status in HTTPStatus}
CLOSE_ROUTES_MAX = 3
CLIENT_GONE = 499
INTERNAL = "internal"
"""The reason, in logs, of what nobody foresaw."""
OPENAI = "/v1/"
"""Below it errors are objects, as OpenAI's clients read them."""
REASON_TOLD = frozenset({429, 503, 504})
RETRY_AFTER_TOLD = frozenset({429, 503})
Expectation = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def bytes_answer(
    body: bytes, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A body that is JSON already."""
    told = {"Content-Type": JSON, "Server": SERVER, **(headers or {})}
    return web.Response(body=body, status=status, headers=told)


def json_answer(body: Any) -> web.Response:
    """``body`` as JSON, 200; infinite and undefined numbers become null."""
    return bytes_answer(msgspec.json.encode(body))


def message_answer(
    message: str, status: int, headers: dict[str, str] | None = None
) -> web.Response:
    """``{"error": message}``."""
    return bytes_answer(error_json(message), status, headers)


def told_reason(error: NearwayError) -> str:
    """The word a client is told beside the message; empty where the status says it all."""
    return error.reason if error.http_status in REASON_TOLD else ""


def error_fields(error: NearwayError, request_id: str) -> dict[str, str]:
    """The fields of an error's head that depend on it."""
    fields = {"x-request-id": request_id}
    reason = told_reason(error)
    if reason:
        fields["x-nearway-reason"] = reason
    if isinstance(error, Shed):
        fields["Retry-After"] = str(max(1, ceil(error.retry_after_s)))
    elif error.http_status in RETRY_AFTER_TOLD:
        fields["Retry-After"] = "1"
    return fields


def error_body(error: NearwayError) -> bytes:
    """The error's body."""
    return error_json(str(error), told_reason(error))


def farewell(error: NearwayError, request_id: str, date: str) -> bytes:
    """The last words on a connection whose bytes were no request. ``date``: its whole line."""
    payload = error_json(str(error))
    fields = {
        "Content-Type": JSON,
        "Server": SERVER,
        **error_fields(error, request_id),
        "Content-Length": str(len(payload)),
        "Connection": "close",
    }
    return f"{head_lines(1, error.http_status, fields)}{date}\r\n".encode() + payload


def head_lines(minor: int, status: int, fields: dict[str, str]) -> str:
    """Status line and fields, each with its end."""
    lines = [f"HTTP/1.{minor} {status} {PHRASES.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, ""])


def check_fields(fields: dict[str, str]) -> None:
    """Raises ValueError for a value that cannot stand in a head; some come from centers."""
    for name, value in fields.items():
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"{name} is {value!r}, which cannot stand in a head")


def error_answer(error: NearwayError, request_id: str) -> web.Response:
    """The error as the protocol tells it."""
    return bytes_answer(error_body(error), error.http_status, error_fields(error, request_id))


def internal_message(request_id: str, what: str) -> str:
    """Called while an unforeseen exception is handled: log it; the client is told the id."""
    LOG.exception("request %s %s failed", request_id, what)
    return f"internal error; the log has more under request {request_id}"


def internal_answer(request: web.Request, request_id: str) -> web.Response:
    """``internal_message`` as an answer."""
    message = internal_message(request_id, f"{request.method} {request.path}")
    return _refused(request, message, 500, {"x-request-id": request_id})


def openai_error_answer(error: NearwayError, request_id: str) -> web.Response:
    """The error as OpenAI tells it; its head is that of any other error of ours."""
    return bytes_answer(error_object(error), error.http_status, error_fields(error, request_id))


def _refused(
    request: web.Request, message: str, status: int, headers: dict[str, str]
) -> web.Response:
    """What is no error of ours, in the shape of the door that was asked."""
    if request.path.startswith(OPENAI):
        return bytes_answer(error_text(message, status), status, headers)
    return message_answer(message, status, headers)


def make_boundary(intake: Intake, routes: Callable[[], Sequence[str]]) -> Middleware:
    """A middleware that answers errors; ``routes`` lists the paths to suggest."""

    @web.middleware
    async def boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = _fault(request, intake.head_bytes_max)
        if fault is not None:
            return _refusal(request, fault, intake.request_id(request.headers))
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _http_answer(request, error, intake, routes())
        except NearwayError as error:
            request_id = intake.request_id(request.headers)
            if request.path.startswith(OPENAI):
                return openai_error_answer(error, request_id)
            return error_answer(error, request_id)
        except ConnectionError:
            if _is_gone(request):  # nothing is wrong, and what is answered nobody reads
                return web.Response(status=CLIENT_GONE)
            return internal_answer(request, intake.request_id(request.headers))
        except Exception:  # noqa: BLE001 - the request boundary: one request fails, not the door
            return internal_answer(request, intake.request_id(request.headers))

    return boundary


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _fault(request: web.Request, head_bytes_max: int) -> str | None:
    """What aiohttp's parser let through; of the request line it keeps only what it says."""
    headers = request.headers
    fault = head_fault(
        request.method,
        (request.version.major, request.version.minor),
        headers.getall("Host", ()),
        headers.getall("Transfer-Encoding", ()),
    )
    if fault is not None:
        return fault
    if "#" in request.raw_path:
        return f"the target is {request.raw_path!r}; a fragment is not sent to a server"
    line_bytes = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n")
    fields_bytes = sum(len(name) + len(value) for name, value in request.raw_headers)
    fields_bytes += 4 * len(request.raw_headers)
    return length_fault(line_bytes + fields_bytes, head_bytes_max)


def _refusal(request: web.Request, fault: str, request_id: str) -> web.Response:
    """400, and the connection ends: what follows may be no request at all."""
    answer = _refused(request, fault, 400, {"x-request-id": request_id})
    answer.force_close()
    return answer


def _http_answer(
    request: web.Request, error: web.HTTPException, intake: Intake, routes: Sequence[str]
) -> web.Response:
    headers = {"x-request-id": intake.request_id(request.headers)}
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        headers["Allow"] = allowed
        message = f"{request.path} does not take {request.method}; it takes {allowed}"
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        message = intake.too_large("more bytes than that")
    elif error.status == 404:
        message = f"no route {request.path!r}{_suggestion(request.path, routes)}"
    else:
        message = error.text or error.reason
    return _refused(request, message, error.status, headers)


def _suggestion(path: str, routes: Sequence[str]) -> str:
    close = get_close_matches(path, routes, CLOSE_ROUTES_MAX)
    return f"; close to it: {', '.join(close)}" if close else "; GET /openapi.json lists the routes"


def make_expectation(intake: Intake) -> Expectation:
    """An expect handler: 100 for ``Expect: 100-continue``, 417 for any other expectation.

    In a request of HTTP/1.0 the header means nothing (RFC 9110, 10.1.1).
    """

    async def expect(request: web.Request) -> web.StreamResponse | None:
        if request.version < HttpVersion11:
            return None
        given = request.headers.get("Expect", "")
        if given.lower() != "100-continue":
            message = f"expect {given!r} cannot be met; only 100-continue is known"
            headers = {"x-request-id": intake.request_id(request.headers)}
            return _refused(request, message, 417, headers)
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
        return None

    return expect
