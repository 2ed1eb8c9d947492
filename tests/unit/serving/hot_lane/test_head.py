"""Heads read: what is the lane's, what is aiohttp's, what is refused; and what is remembered."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api import InvalidRequest
from gateway.config.settings import Settings
from gateway.serving.hot_lane.head import (
    BODY_BYTES_MAX,
    HEAD_BYTES_KEPT,
    HEADS_KEPT,
    HeadCache,
    HeadReader,
    RequestHead,
)
from gateway.serving.intake import Intake

PLACES = ("Shanghai", "Beijing")


def find(name: str) -> int:
    if name not in PLACES:
        raise InvalidRequest(f"unknown place {name!r}")
    return PLACES.index(name)


def reader(**settings: Any) -> HeadReader:
    told = msgspec.convert(settings, Settings)
    return HeadReader(Intake(told, find), told)


def head(*fields: str, line: str = "POST /v2/models/mlp/infer HTTP/1.1") -> bytes:
    return "\r\n".join([line, "Host: a", *fields, "", ""]).encode("latin-1")


def read(*fields: str, trusted: bool = True, **more: str) -> RequestHead | None:
    return reader().read(head(*fields, **more), trusted=trusted)


def test_a_plain_one() -> None:
    found = read("Content-Length: 12", "Content-Type: application/json")
    assert found is not None
    assert (found.model, found.version, found.body_bytes, found.minor) == ("mlp", "", 12, 1)
    assert found.keep_alive
    assert found.plain
    assert found.refusal is None
    assert found.request_id is None


@pytest.mark.parametrize(
    ("path", "model", "version"),
    [
        ("/v2/models/mlp/infer/", "mlp", ""),
        ("/v2/models/a.b-c_D~9/versions/7/infer", "a.b-c_D~9", "7"),
        ("/v2/models/mlp/versions/v2/infer/", "mlp", "v2"),
    ],
)
def test_paths_of_inference(path: str, model: str, version: str) -> None:
    found = read(line=f"POST {path} HTTP/1.1")
    assert found is not None
    assert (found.model, found.version, found.body_bytes) == (model, version, 0)


@pytest.mark.parametrize(
    "line",
    [
        "GET /v2/models/mlp/infer HTTP/1.1",
        "POST /v2/models/mlp HTTP/1.1",
        "POST /v2/models/mlp/infer?x=1 HTTP/1.1",
        "POST /v2/models/m%6cp/infer HTTP/1.1",
        "POST //v2/models/mlp/infer HTTP/1.1",
        "POST /v2/models/../infer HTTP/1.1",
        "POST /v2/models/mlp/infer// HTTP/1.1",
        "POST http://a/v2/models/mlp/infer HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ],
)
def test_other_requests_are_aiohttps(line: str) -> None:
    assert read(line=line) is None


@pytest.mark.parametrize(
    "field",
    [
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        f"Content-Length: {BODY_BYTES_MAX + 1}",
    ],
)
def test_odd_requests_are_aiohttps(field: str) -> None:
    assert read(field) is None


def test_the_bound_of_a_body_is_the_smaller_one() -> None:
    small = reader(server={"body_bytes_max": 10})
    assert small.read(head("Content-Length: 11"), trusted=True) is None
    found = small.read(head("Content-Length: 10"), trusted=True)
    assert found is not None
    assert found.body_bytes == 10


@pytest.mark.parametrize(
    "text",
    [
        head("Content-Length: 1", "Content-Length: 1"),
        head("Content-Length: 1", "Transfer-Encoding: chunked"),
        head("Transfer-Encoding: gzip, chunked"),
        head("Host: b"),
        head(line="POST  /v2/models/mlp/infer HTTP/1.1"),
        head(line="POST /v2/models/mlp/infer#x HTTP/1.1"),
        head(line="CONNECT a:1 HTTP/1.1"),
        head(" folded: 1"),
        head(*(f"x{n}: 1" for n in range(200))),
        head("x: " + "y" * 17_000),
        b"POST /v2/models/mlp/infer HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_wrong_ones_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        reader().read(text, trusted=True)


@pytest.mark.parametrize(
    ("minor", "field", "keep_alive"),
    [
        (1, "x: y", True),
        (1, "Connection: close", False),
        (1, "Connection: x, Close", False),
        (0, "x: y", False),
        (0, "Connection: keep-alive", True),
    ],
)
def test_how_long_the_connection_stays(minor: int, field: str, keep_alive: bool) -> None:
    found = read(field, line=f"POST /v2/models/mlp/infer HTTP/1.{minor}")
    assert found is not None
    assert (found.minor, found.keep_alive) == (minor, keep_alive)
    assert found.plain == (minor == 1 and keep_alive)


def test_who_is_trusted_is_believed() -> None:
    fields = ("x-nearway-origin: Beijing", "x-nearway-tenant: acme", "x-nearway-explain: 1")
    believed, passed_over = read(*fields), read(*fields, trusted=False)
    assert believed is not None
    assert (believed.said.vantage, believed.said.tenant, believed.plain) == (1, "acme", False)
    assert passed_over is not None
    assert (passed_over.said.vantage, passed_over.said.tenant) == (0, "anonymous")
    assert passed_over.plain


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("x-nearway-origin: Atlantis", 400),
        ("x-request-timeout-ms: soon", 400),
        ("Content-Type: text/plain", 415),
    ],
)
def test_what_is_wrong_with_the_request_is_kept_for_its_answer(field: str, status: int) -> None:
    found = read(field, "Content-Length: 3")
    assert found is not None
    assert found.refusal is not None
    assert (found.refusal.http_status, found.body_bytes) == (status, 3)


def test_of_a_field_said_twice_the_first_counts() -> None:
    found = read("x-request-id: one", "X-Request-Id: two")
    assert found is not None
    assert found.request_id == "one"


# ---- remembering --------------------------------------------------------------------------


class Counting:
    """A reader that counts how often it is asked."""

    def __init__(self, **settings: Any) -> None:
        self.asked = 0
        self._reader = reader(**settings)
        self.traces = self._reader.traces
        self.traceparent = self._reader.traceparent

    def read(self, text: bytes, *, trusted: bool) -> RequestHead | None:
        self.asked += 1
        return self._reader.read(text, trusted=trusted)


def cache(**settings: Any) -> tuple[HeadCache, Counting]:
    counting = Counting(**settings)
    made = HeadCache(trusted=True)
    made.take(counting)  # type: ignore[arg-type]  # a stand-in
    return made, counting


def test_a_head_is_read_once() -> None:
    heads, counting = cache()
    first = heads.find(head("x: 1"))
    assert heads.find(head("x: 1")) is first
    assert heads.known[head("x: 1")] is first
    heads.find(head("x: 2"))
    assert counting.asked == 2


@pytest.mark.parametrize(
    "text",
    [
        head("x-request-id:r1"),
        head("x-request-id: " + "r" * 200),
        head("X-REQUEST-ID: r1"),
        head("x-request-id: r1", "X-REQUEST-ID: r2"),
        head("TRACEPARENT: 00-1-1-00"),
        head("x: " + "y" * HEAD_BYTES_KEPT),
        head("x-nearway-origin: Atlantis"),
        head("Expect: 100-continue"),
    ],
)
def test_what_will_not_come_again_is_not_kept(text: bytes) -> None:
    heads, _ = cache()
    heads.find(text)
    assert len(heads) == 0


def test_what_is_refused_is_refused_each_time() -> None:
    heads, counting = cache()
    for _ in range(2):
        with pytest.raises(InvalidRequest):
            heads.find(head("Host: b"))
    assert counting.asked == 2


def test_it_is_bounded_and_keeps_what_is_used() -> None:
    heads, counting = cache()
    often = head("x: often")
    heads.find(often)
    for number in range(3 * HEADS_KEPT):
        heads.find(head(f"x: {number}"))
        if number % 100 == 0:
            heads.find(often)
    assert len(heads) <= 2 * HEADS_KEPT
    asked = counting.asked
    heads.find(often)
    assert counting.asked == asked
    heads.find(head("x: 0"))
    assert counting.asked == asked + 1


IDS = ["x-request-id: {}", "X-Request-Id: {}", "X-Request-ID: {}", "traceparent: {}"]


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize("others", [[], ["x-nearway-origin: Beijing", "Content-Length: 7"]])
def test_heads_that_differ_in_an_id_alone_are_read_once(field: str, others: list[str]) -> None:
    heads, counting = cache()
    for number in range(5):
        for text in (
            head(*others, field.format(f"id-{number}")),
            head(field.format(f"id-{number}"), *others),
        ):
            assert heads.find(text) == reader().read(text, trusted=True)
    assert counting.asked == 1
    assert len(heads) == 1


def test_the_first_id_counts_and_traces_are_passed_over() -> None:
    heads, _ = cache()
    found = heads.find(head("traceparent: t", "x-request-id: one", "X-Request-Id: two"))
    assert found is not None
    assert found.request_id == "one"


TRACING = {"telemetry": {"traces": "http://127.0.0.1:4318"}}


def a_traceparent(number: int) -> str:
    return f"00-{number:032x}-{number:016x}-01"


@pytest.mark.parametrize("settings", [{}, TRACING])
def test_spans_of_clients_are_believed_while_something_is_traced(settings: Any) -> None:
    heads, counting = cache(**settings)
    for number in (1, 2, 3):
        text = head(f"traceparent: {a_traceparent(number)}", "x-request-id: r")
        found = heads.find(text)
        assert found == reader(**settings).read(text, trusted=True)
        assert found is not None
        assert found.said.traceparent == (a_traceparent(number) if settings else "")
    assert counting.asked == 1
    plain = heads.find(head())
    assert plain is not None
    assert plain.said.traceparent == ""


def test_a_stranger_is_not_believed() -> None:
    heads = HeadCache(trusted=False)
    heads.take(reader(**TRACING))
    found = heads.find(head(f"traceparent: {a_traceparent(1)}"))
    assert found is not None
    assert found.said.traceparent == ""


def test_of_two_spans_the_first_counts_and_of_nonsense_none() -> None:
    heads, _ = cache(**TRACING)
    both = heads.find(head(*(f"traceparent: {a_traceparent(number)}" for number in (7, 8))))
    assert both is not None
    assert both.said.traceparent == a_traceparent(7)
    odd = heads.find(head("traceparent: t"))
    assert odd is not None
    assert odd.said.traceparent == ""


@pytest.mark.parametrize(
    "fields",
    [
        ["X-REQUEST-ID: one", "x-request-id: two"],
        ["x-request-id:  one", "x-request-id: two"],
        ["x-request-id: o ne", "x-request-id: two"],
        ["x-request-id: one", "Host: b"],
        ["x-request-id: one", "Content-Length: 1", "Content-Length: 1"],
        ["x-request-id: one", "x-nearway-origin: Atlantis"],
        ["x-request-id: one", "Expect: 100-continue"],
        ["x-request-id: one", "x: \x00"],
        ["x-request-id: one\x00"],
        ["x-request-id: one\n", "x: y"],
        ["x-request-id: one", " folded"],
    ],
)
def test_an_id_changes_nothing_of_what_is_wrong_or_odd(fields: list[str]) -> None:
    text = head(*fields)
    for _ in range(2):
        assert outcome(cache()[0].find, text) == outcome(
            lambda given: reader().read(given, trusted=True), text
        )


def outcome(find_head: Any, text: bytes) -> Any:
    """The head, the refusal's words, or None."""
    try:
        found = find_head(text)
    except InvalidRequest as error:
        return f"refused: {str(error)[:20]}"
    if found is None or found.refusal is None:
        return found
    return str(found.refusal), found.request_id
