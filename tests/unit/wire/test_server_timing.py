"""Our own Server-Timing reads back; a stranger's never raises."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import parse_server_timing, server_timing

MS = st.floats(0, 1e6)
patient = settings(deadline=None)


def test_the_four_parts_in_order() -> None:
    text = server_timing(0.21309, 8.2, 0, 0.3)
    assert text == "gateway;dur=0.2131, network;dur=8.2000, queue;dur=0.0000, service;dur=0.3000"


@patient
@given(MS, MS, MS, MS)
def test_reads_back(gateway: float, network: float, queue: float, service: float) -> None:
    parts = parse_server_timing(server_timing(gateway, network, queue, service))
    assert list(parts) == ["gateway", "network", "queue", "service"]
    assert list(parts.values()) == pytest.approx([gateway, network, queue, service], abs=6e-5)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", {}),
        ("cache", {}),
        ("db;dur=53", {"db": 53.0}),
        ("db ; dur = 53.5 , app;dur=1", {"db": 53.5, "app": 1.0}),
        ('db;desc="a, b; dur=9";dur=2', {"db": 2.0}),
        ('db;desc="a\\"b";dur="2.5"', {"db": 2.5}),
        ("db;DUR=2", {"db": 2.0}),
        ("db;dur=1, db;dur=2", {"db": 1.0}),
        ("db;dur=-1, app;dur=x, q;dur=nan, r;dur=inf", {}),
        ("db;duration=5", {}),
        ('db;desc="dur=5', {}),
        ("gateway;dur=1.2.3, network;dur=1, queue;dur=1, service;dur=1", {}),
        ("service;dur=0.3", {"service": 0.3}),
    ],
)
def test_what_others_write(text: str, parts: dict[str, float]) -> None:
    assert parse_server_timing(text) == parts


@patient
@given(st.text(alphabet='ab;,="\\ dur1.', max_size=200))
def test_never_raises(text: str) -> None:
    assert all(value >= 0 for value in parse_server_timing(text).values())


def test_a_huge_header_is_read_in_part() -> None:
    assert "last" not in parse_server_timing('x;desc="\\"' * 100_000 + ", last;dur=1")
