"""What is refused beyond the parser's own strictness."""

from __future__ import annotations

import pytest

from gateway.serving.strictness import head_fault, length_fault

HTTP_1_1, HTTP_1_0 = (1, 1), (1, 0)


@pytest.mark.parametrize(
    ("version", "hosts", "codings"),
    [
        (HTTP_1_1, ["a"], []),
        (HTTP_1_1, ["a.example:8080"], ["chunked"]),
        (HTTP_1_1, ["[2001:db8::1]:80"], ["Chunked"]),
        (HTTP_1_1, [""], []),
        (HTTP_1_1, ["a:"], []),
        (HTTP_1_0, [], []),
        (HTTP_1_0, ["a"], []),
    ],
)
def test_right(version: tuple[int, int], hosts: list[str], codings: list[str]) -> None:
    assert head_fault("POST", version, hosts, codings) is None


@pytest.mark.parametrize(
    ("method", "version", "hosts", "codings", "named"),
    [
        ("CONNECT", HTTP_1_1, ["a"], [], "CONNECT"),
        ("POST", (0, 9), ["a"], [], "0.9"),
        ("POST", (2, 0), ["a"], [], "2.0"),
        ("POST", HTTP_1_1, [], [], "Host"),
        ("POST", HTTP_1_1, ["a", "a"], [], "2 times"),
        ("POST", HTTP_1_0, ["a", "b"], [], "2 times"),
        ("POST", HTTP_1_1, ["a b"], [], "'a b'"),
        ("POST", HTTP_1_1, ["a/b"], [], "'a/b'"),
        ("POST", HTTP_1_1, ["u@a"], [], "'u@a'"),
        ("POST", HTTP_1_1, ["a:x"], [], "'a:x'"),
        ("POST", HTTP_1_1, ["[::1"], [], "'[::1'"),
        ("POST", HTTP_1_1, ["a"], ["gzip, chunked"], "gzip, chunked"),
        ("POST", HTTP_1_1, ["a"], ["chunked", "chunked"], "chunked, chunked"),
        ("POST", HTTP_1_1, ["a"], [""], "Transfer-Encoding"),
        ("POST", HTTP_1_0, ["a"], ["chunked"], "HTTP/1.0"),
    ],
)
def test_wrong_and_named(
    method: str, version: tuple[int, int], hosts: list[str], codings: list[str], named: str
) -> None:
    fault = head_fault(method, version, hosts, codings)
    assert fault is not None
    assert named in fault


def test_a_head_has_a_bound() -> None:
    assert length_fault(100, 100) is None
    assert "101 bytes" in (length_fault(101, 100) or "")
