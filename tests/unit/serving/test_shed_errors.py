"""Every refusal says who, why, which knob and when."""

from __future__ import annotations

import pytest

from gateway.api import Shed
from gateway.serving.shed_errors import behind_others, no_place, over_share, too_long


@pytest.mark.parametrize(
    ("error", "status", "reason", "seconds", "words"),
    [
        (over_share("acme", 2100.0), 429, "fair_share", 3, ("tenant 'acme'", "2100 ms")),
        (over_share(None, 40.0), 429, "fair_share", 1, ("this origin", "40 ms")),
        (no_place(3, 800, 1024), 503, "requests_in_flight", 1, ("800", "server.in_flight_max")),
        (behind_others(2, 1500.0), 503, "waiting", 2, ("than 2", "admission.yield_share")),
        (too_long(3500.0, 1000.0), 503, "waiting", 3, ("1000 ms", "admission.wait_ms_max")),
    ],
)
def test_a_refusal_is_complete(
    error: Shed, status: int, reason: str, seconds: int, words: tuple[str, ...]
) -> None:
    assert (error.http_status, error.reason, error.retry_after_s) == (status, reason, seconds)
    assert all(word in str(error) for word in words)
