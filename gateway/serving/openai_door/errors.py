"""An error's answer in OpenAI's shape; its head is that of any other error of ours."""

from __future__ import annotations

from aiohttp import web

from gateway.api import NearwayError
from gateway.serving.boundary import bytes_answer, error_fields, internal_message
from gateway.wire.openai_errors import error_object, error_text


def openai_error_answer(error: NearwayError, request_id: str) -> web.Response:
    """Status, message, ``param`` and ``code``."""
    return bytes_answer(error_object(error), error.http_status, error_fields(error, request_id))


def openai_internal_answer(request: web.Request, request_id: str) -> web.Response:
    """Called while an unforeseen exception is handled: the client is told the id alone."""
    message = internal_message(request_id, f"{request.method} {request.path}")
    return bytes_answer(error_text(message, 500), 500, {"x-request-id": request_id})


def error_event(error: NearwayError) -> bytes:
    """The last event of a stream that broke off; the client libraries raise it."""
    return b"data: " + error_object(error) + b"\n\n"
