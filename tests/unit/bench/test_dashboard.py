"""The bench's fleet is one that a gateway takes, and its clock is the process's."""

from __future__ import annotations

import os
import time
from pathlib import Path

from bench.dashboard.run import cpu_s, fleet_text, interval_of_median
from gateway.config.fleet_file import load_fleet


def test_the_fleet_has_as_many_centers_as_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text(fleet_text(1000), encoding="utf-8")
    fleet = load_fleet(path, "all")
    assert len({center.id for center in fleet}) == 1000
    assert len({center.location for center in fleet}) > 150
    assert all(center.url is None for center in fleet)


def test_cpu_time_is_that_of_the_process() -> None:
    before_s = cpu_s(os.getpid())
    while time.process_time() < before_s + 0.2:
        pass
    assert cpu_s(os.getpid()) > before_s


def test_the_median_lies_in_its_interval_and_one_wild_round_does_not_widen_it() -> None:
    values = [float(n) for n in range(16)]
    low, high = interval_of_median(values)
    assert low < 7.5 < high
    assert (low, high) == interval_of_median([-1e6, *values[1:-1], 1e6])
    assert interval_of_median([3.0, 1.0, 2.0]) == (1.0, 3.0)
