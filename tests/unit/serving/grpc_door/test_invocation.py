"""Metadata is read as headers are, a peer as an address, a deadline as what is left."""

from __future__ import annotations

from math import inf

import pytest

from gateway.serving.grpc_door.invocation import CallHeaders, address_of, left_ms


def test_a_name_is_found_whatever_its_case_and_its_first_value_counts() -> None:
    headers = CallHeaders((("x-nearway-origin", "Beijing"), ("x-nearway-origin", "Wuhu")))
    assert headers.get("X-Nearway-Origin") == "Beijing"
    assert headers.get("x-other") is None


def test_bytes_are_no_header() -> None:
    assert CallHeaders((("x-nearway-origin", b"Beijing"),)).get("x-nearway-origin") is None


def test_the_length_of_the_head_is_the_doors_to_say() -> None:
    headers = CallHeaders((("inference-header-content-length", "1"),))
    assert headers.get("Inference-Header-Content-Length") is None
    headers.body_head = "44"
    assert headers.get("Inference-Header-Content-Length") == "44"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.1:555", "10.0.0.1"),
        ("ipv6:[::1]:555", "::1"),
        ("ipv6:%5B::1%5D:555", "::1"),
        ("unix:/tmp/x", None),
        ("", None),
    ],
)
def test_addresses(peer: str, address: str | None) -> None:
    assert address_of(peer) == address


class Context:
    def __init__(self, left_s: float | None) -> None:
        self.left_s = left_s

    def time_remaining(self) -> float | None:
        return self.left_s


@pytest.mark.parametrize(
    ("left_s", "left"), [(None, None), (inf, None), (1e9, None), (0.25, 250.0), (-1.0, -1000.0)]
)
def test_what_is_left(left_s: float | None, left: float | None) -> None:
    assert left_ms(Context(left_s)) == left
