"""Whose fault a status is, and what the client hears."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import (
    CenterBusy,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    Refused,
    TooLarge,
    Unsupported,
    UnsupportedMedia,
)
from gateway.centers.remote.answer_head import read_head
from gateway.centers.remote.refusals import MESSAGE_CHARS_MAX, error_of, told_message


def told(status: int, payload: bytes = b'{"error":"why"}', late: bool = False, **more: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    return error_of("a", read_head(status, "1.1", pairs), payload, late=late)


@pytest.mark.parametrize(
    ("status", "kind", "heard"),
    [
        (400, InvalidRequest, 400),
        (404, NotFound, 404),
        (413, TooLarge, 413),
        (415, UnsupportedMedia, 415),
        (422, Refused, 422),
        (409, Refused, 409),
        (501, Unsupported, 501),
    ],
)
def test_the_request_s_fault_reaches_the_client(status: int, kind: Any, heard: int) -> None:
    error = told(status)
    assert type(error) is kind
    assert (error.http_status, str(error)) == (heard, "why")
    assert not error.another_center_may_help


def test_refusals_do_not_share_their_status() -> None:
    assert (told(422).http_status, told(409).http_status) == (422, 409)
    assert Refused.http_status == 400


@pytest.mark.parametrize("status", [401, 403, 405, 407, 408, 431, 500, 502, 204, 302])
def test_the_center_s_fault_lets_another_try(status: int) -> None:
    error = told(status)
    assert type(error) is CenterFailed
    assert error.another_center_may_help
    assert f"center a answered {status}: why" in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_no_room(status: int) -> None:
    error = told(status, retry_after="7")
    assert type(error) is CenterBusy
    assert "7" in str(error)


def test_504_is_the_deadline_only_when_it_is_over() -> None:
    assert type(told(504)) is CenterFailed
    assert type(told(504, late=True)) is DeadlineExceeded


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"error": "a\\n b"}', "a b"),
        (b"<html>Not  here</html>", "<html>Not here</html>"),
        (b"", ""),
        (b'{"error": 3}', '{"error": 3}'),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * MESSAGE_CHARS_MAX),
    ],
)
def test_message(payload: bytes, message: str) -> None:
    assert told_message(payload) == message


def test_long_messages_are_cut() -> None:
    assert len(told_message(b'{"error":"' + b"x" * 5000 + b'"}')) == MESSAGE_CHARS_MAX


def test_an_error_in_openai_s_shape_keeps_its_words() -> None:
    body = b'{"error":{"message":"too  long","type":"x","param":"messages","code":"context"}}'
    error = told(400, body)
    assert isinstance(error, InvalidRequest)
    assert (str(error), error.param, error.code) == ("too long", "messages", "context")
    assert isinstance(told(429, body), CenterBusy)
    assert "too long" in str(told(500, body))
