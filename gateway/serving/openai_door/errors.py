"""Errors in OpenAI's shape: as an answer, and behind a stream's head."""

from __future__ import annotations

from gateway.api import NearwayError
from gateway.serving.boundary import internal_answer as openai_internal_answer
from gateway.serving.boundary import openai_error_answer
from gateway.wire.openai_errors import error_object

__all__ = ["error_event", "openai_error_answer", "openai_internal_answer"]


def error_event(error: NearwayError) -> bytes:
    """The last event of a stream that broke off; the client libraries raise it."""
    return b"data: " + error_object(error) + b"\n\n"
