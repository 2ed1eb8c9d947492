"""A call's head: metadata read as headers are, the deadline, and what is no call."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import InvalidRequest
from gateway.serving.grpc_door.invocation import CallHead, CallHeaders, read_head, timeout_s

PSEUDO = {":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "x"}
CONTENT = {"te": "trailers", "content-type": "application/grpc"}


def head(size: int = 100, **more: str | None) -> CallHead:
    told: dict[str, Any] = {**PSEUDO, **CONTENT}
    told |= {name.replace("__", ":").replace("_", "-"): value for name, value in more.items()}
    fields = [(k.encode(), v.encode()) for k, v in told.items() if v is not None]
    return read_head(fields, size, 1000, {})


def test_a_name_is_found_whatever_its_case_and_its_first_value_counts() -> None:
    headers = CallHeaders((("x-nearway-origin", "Beijing"), ("x-nearway-origin", "Wuhu")))
    assert headers.get("X-Nearway-Origin") == "Beijing"
    assert headers.get("x-other") is None


def test_bytes_are_no_header() -> None:
    assert CallHeaders((("x-nearway-origin", b"Beijing"),)).get("x-nearway-origin") is None


def test_the_length_of_the_json_is_the_doors_to_say() -> None:
    headers = CallHeaders((("inference-header-content-length", "1"),))
    assert headers.get("Inference-Header-Content-Length") is None


async def test_what_headers_say_is_read_once_for_one_intake_and_trust(make_front: Any) -> None:
    headers = CallHeaders((("x-nearway-origin", "Beijing"), ("x-nearway-explain", "1")))
    first, second = make_front().intake, make_front().intake
    said, wanted = headers.read(first, trusted=True)
    assert headers.read(first, trusted=True)[0] is said
    assert wanted.explained
    assert headers.read(second, trusted=True)[0] is not said
    assert not headers.read(second, trusted=False)[1].explained


def test_what_is_not_metadata_is_kept_apart() -> None:
    read = head(grpc_timeout="250m", grpc_encoding="gzip", user_agent="me", x_more="1")
    assert dict(read.headers.pairs) == {"user-agent": "me", "x-more": "1"}
    assert (read.path, read.timeout_s, read.encoding) == ("/a.B/C", 0.25, "gzip")
    assert (read.refused, read.error, read.method) == (0, None, None)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"__method": "GET"}, 405),
        ({"content_type": None}, 415),
        ({"content_type": "application/json"}, 415),
        ({"content_type": "application/grpc-web"}, 415),
        ({"content_type": "application/grpc+proto"}, 0),
        ({"content_type": "application/grpc; a=b"}, 0),
        ({"content_type": "Application/GRPC"}, 0),
    ],
)
def test_what_is_no_call_has_a_status_of_http(more: dict[str, str | None], status: int) -> None:
    assert head(**more).refused == status


def test_too_much_metadata_is_an_error() -> None:
    assert "server.head_bytes_max" in str(head(size=1001).error)
    assert head(size=1000).error is None


@pytest.mark.parametrize("value", ["aGk=", "aGk", "aGk,", "aA,aQ"])
def test_bytes_are_read_from_base64_padded_or_not(value: str) -> None:
    assert head(x_raw_bin=value).headers.pairs == (("x-raw-bin", b"hi"),)


def test_bytes_that_are_no_base64_are_refused_by_name() -> None:
    assert "x-raw-bin" in str(head(x_raw_bin="?").error)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("1H", 3600.0),
        ("2M", 120.0),
        ("30S", 30.0),
        ("250m", 0.25),
        ("5u", 5e-6),
        ("99999999n", 0.099999999),
        ("0S", 0.0),
        ("99999999H", None),
    ],
)
def test_timeouts(given: str, seconds: float | None) -> None:
    told = timeout_s(given)
    assert told == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("given", ["", "5", "S", "-1S", "1.5S", "100000000S", "1s", "\u0663S"])
def test_what_is_no_timeout_is_told(given: str) -> None:
    with pytest.raises(InvalidRequest, match="grpc-timeout"):
        timeout_s(given)
    assert "grpc-timeout" in str(head(grpc_timeout=given).error) or given == "\u0663S"
