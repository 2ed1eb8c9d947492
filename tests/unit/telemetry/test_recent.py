"""The ring forgets the oldest."""

from __future__ import annotations

from gateway.telemetry.recent import KEPT, RecentMs


def test_nothing_yet_is_zero() -> None:
    assert RecentMs().percentiles_ms() == (0.0, 0.0)


def test_percentiles_are_of_what_is_kept() -> None:
    recent = RecentMs()
    for _ in range(KEPT):
        recent.add(100.0)
    for _ in range(KEPT):
        recent.add(1.0)
    assert recent.count == 2 * KEPT
    assert recent.percentiles_ms() == (1.0, 1.0)
