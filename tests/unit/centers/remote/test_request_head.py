"""A request's head: what the attempt says, and nothing that could end a line."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.centers.port import Attempt
from gateway.centers.remote.endpoint import Endpoint
from gateway.centers.remote.request_head import MADE_MAX, RequestHeads, model_path

ENDPOINT = Endpoint.from_url("http://triton:8000/base")


def attempt(**changed: Any) -> Attempt:
    made = Attempt("id-1", 1, "m", "", b"{}", None, 0.0)
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def lines(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")


def test_json() -> None:
    heads = RequestHeads(ENDPOINT)
    for _ in range(2):
        assert lines(heads.infer(attempt(), 1234.56)) == [
            "POST /base/v2/models/m/infer HTTP/1.1",
            "host: triton:8000",
            "endpoint-load-metrics-format: text",
            "content-type: application/json",
            "content-length: 2",
            "x-request-timeout-ms: 1234.6",
            "x-request-id: id-1",
        ]


def test_binary_with_version_and_vantage() -> None:
    heads = RequestHeads(ENDPOINT, ("Shanghai", "Xi'an"))
    found = lines(heads.infer(attempt(version="3", head_bytes=2, body=b"{}1234"), 5.0))
    assert found[0] == "POST /base/v2/models/m/versions/3/infer HTTP/1.1"
    assert found[3:5] == ["content-type: application/octet-stream", "content-length: 6"]
    assert found[-2:] == ["inference-header-content-length: 2", "x-nearway-vantage: Xi'an"]


def test_a_traced_attempt_tells_its_span() -> None:
    heads = RequestHeads(ENDPOINT, ("Shanghai", "Xi'an"))
    span = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    for _ in range(2):
        told = lines(heads.infer(attempt(traceparent=span), 5.0))
        assert told[-2:] == ["x-nearway-vantage: Xi'an", f"traceparent: {span}"]
        assert not any("traceparent" in line for line in lines(heads.infer(attempt(), 5.0)))


def test_json_and_binary_of_one_model_do_not_mix() -> None:
    heads = RequestHeads(ENDPOINT)
    for head_bytes in (None, 2, None):
        found = lines(heads.infer(attempt(head_bytes=head_bytes), 5.0))
        assert ("content-type: application/json" in found) == (head_bytes is None)


def test_spent_budget_is_still_a_time() -> None:
    found = lines(RequestHeads(ENDPOINT).infer(attempt(), -3.0))
    assert "x-request-timeout-ms: 0.1" in found


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\nb", "ü", "a\x00"])
def test_nothing_ends_a_line(bad: str) -> None:
    heads = RequestHeads(ENDPOINT, (bad,))
    plain = len(lines(RequestHeads(ENDPOINT, ("x",)).infer(attempt(vantage=0, version="1"), 5.0)))
    made = attempt(request_id=bad, model=bad, version=bad, vantage=0)
    assert len(lines(heads.infer(made, 5.0))) == plain


def test_what_is_made_is_bounded() -> None:
    heads = RequestHeads(ENDPOINT)
    for number in range(MADE_MAX + 10):
        heads.infer(attempt(model=f"m{number}"), 5.0)
    assert len(heads._json) <= MADE_MAX


def test_questions() -> None:
    heads = RequestHeads(ENDPOINT, ("Shanghai",))
    assert lines(heads.question("GET", "/v2/health/live", vantage=0)) == [
        "GET /base/v2/health/live HTTP/1.1",
        "host: triton:8000",
        "endpoint-load-metrics-format: text",
        "x-nearway-vantage: Shanghai",
    ]
    assert lines(heads.question("POST", "/v2/repository/index", 2))[-1] == "content-length: 2"


def test_paths_are_quoted() -> None:
    assert model_path("a/../b", "1 2") == "/v2/models/a%2F..%2Fb/versions/1%202"


def test_a_route_of_openai_s_passes_as_it_is() -> None:
    heads = RequestHeads(Endpoint.from_url("http://host:1/base"))
    attempt = Attempt("r", 0, "m", "", b"{}", None, 1.0, "chat/completions")
    text = heads.infer(attempt, 5.0).decode()
    assert text.startswith("POST /base/v1/chat/completions HTTP/1.1\r\n")
    assert "content-type: application/json\r\ncontent-length: 2\r\n" in text
    plain = heads.infer(Attempt("r", 0, "m", "", b"{}", None, 1.0), 5.0).decode()
    assert plain.startswith("POST /base/v2/models/m/infer HTTP/1.1\r\n")
