"""Changes of health are lines in the log."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gateway.runtime.health_log import LINES_MAX, SLOW_FOR_S, HealthLog


class Told:
    """A fleet of which only stages are known."""

    def __init__(self, count: int) -> None:
        self.now = ["ok"] * count

    def stages(self) -> list[str]:
        return list(self.now)

    def why(self, center: int) -> str:
        return "refused 0.1 s ago" if self.now[center] == "ejected" else ""


def test_only_changes_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fleet: Any = Told(3)
    health = HealthLog(["a", "b", "c"])
    health.look(fleet, 1.0)
    fleet.now[1] = "ejected"
    health.look(fleet, 1.0)
    health.look(fleet, 1.0)
    fleet.now[1] = "ok"
    health.look(fleet, 1.0)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "center b is ejected: refused 0.1 s ago (was ok)"),
        ("INFO", "center b is ok (was ejected)"),
    ]


def test_a_dark_region_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    fleet: Any = Told(100)
    health = HealthLog([str(row) for row in range(100)])
    fleet.now = ["ejected"] * 100
    health.look(fleet, 1.0)
    assert len(caplog.records) == LINES_MAX + 1
    assert caplog.records[-1].getMessage() == "and 80 more centers changed"


def test_who_is_slow_for_a_moment_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fleet: Any = Told(2)
    health = HealthLog(["a", "b"])
    fleet.now = ["slow", "slow"]
    health.look(fleet, 1.0)
    fleet.now[1] = "ok"
    health.look(fleet, 1.5)
    fleet.now[1] = "slow"
    health.look(fleet, 1.0 + SLOW_FOR_S)
    assert [record.getMessage() for record in caplog.records] == ["center a is slow (was ok)"]
    fleet.now[1] = "ejected"
    health.look(fleet, 3.1)
    assert caplog.records[-1].levelname == "WARNING"
