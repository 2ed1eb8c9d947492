from __future__ import annotations

import json

import pytest

from gateway.api import CenterFailed, DeadlineExceeded, NearwayError, NotFound, Overloaded, Refused
from gateway.wire.openai_errors import InvalidField, error_object, read_error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (InvalidField("no", "stop"), "invalid_request_error", None),
        (InvalidField("no", "stop", "unsupported_parameter"), None, "unsupported_parameter"),
        (NotFound("no"), "invalid_request_error", "model_not_found"),
        (Overloaded("no"), "rate_limit_error", "overloaded"),
        (DeadlineExceeded("no"), "timeout_error", "deadline_exceeded"),
        (CenterFailed("no"), "server_error", "center_failed"),
        (Refused("no", 422), "invalid_request_error", "refused"),
    ],
)
def test_the_shape(error: NearwayError, kind: str | None, code: str | None) -> None:
    told = json.loads(error_object(error))["error"]
    assert set(told) == {"message", "type", "param", "code"}
    assert told["message"] == "no"
    assert kind in (None, told["type"])
    assert told["code"] == code
    assert told["param"] == ("stop" if isinstance(error, InvalidField) else None)


def test_an_upstream_s_error_is_read_in_its_usual_shapes() -> None:
    assert read_error(b'{"error":{"message":"m","param":"p","code":400,"x":1}}') == (
        "m",
        "p",
        "400",
    )
    assert read_error(b'{"error":{}}') == ("", None, None)
    for other in (b'{"error":"words"}', b"<html>", b"[]", b"", b"\xff", b"[" * 9999):
        assert read_error(other) is None


def test_a_wrong_field_is_counted_as_a_wrong_request() -> None:
    assert InvalidField("m", "p").reason == "invalid_request"
    assert InvalidField("m", "p").http_status == 400
