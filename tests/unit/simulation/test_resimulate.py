"""Resimulate: the log's fleet, arrivals and run times as a scenario."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from gateway.api import Center, ConfigError, Location
from gateway.config.fleet_file import load_fleet
from gateway.config.settings import SHIPPED_POLICIES
from gateway.simulation.resimulate import (
    models_of,
    recorded_scenario,
    resimulate,
    write_fleet,
    write_trace,
)
from gateway.wire.decision_frames import (
    LoggedDecisions,
    LogHeader,
    decode_log,
    header_frame,
    names_frame,
    prefix,
    record_dtype,
    records_frame,
)

CENTERS = (
    Center("a", "r", "z", 'Shanghai "east"', "CN", Location(31.2, 121.5), slots=2),
    Center("b", "r", "y", "Beijing", "CN", Location(39.9, 116.4), core=True, speed_factor=2.0),
)
HEADER = LogHeader(CENTERS, ("Shanghai", "Beijing"), "p", {}, ("network",))


def logged(count: int = 400) -> LoggedDecisions:
    records = np.zeros(count, dtype=record_dtype(1))
    records["at"] = 50.0 + np.arange(count) * 0.002
    records["tried"] = -1
    records["model"] = 1 + np.arange(count) % 2
    records["vantage"] = np.arange(count) % 2
    records["center"] = np.arange(count) % 2
    records["ending"] = 1
    records["service_ms"] = np.where(np.arange(count) % 2, 8.0, 1.0)
    return LoggedDecisions(HEADER, records, (), ("", "small", "large"))


def write(path: Path, log: LoggedDecisions) -> Path:
    frames = (header_frame(HEADER), names_frame(log.names[1:]), records_frame(log.records))
    path.write_bytes(prefix() + b"".join(frames))
    assert len(decode_log(path.read_bytes(), "f").records) == len(log.records)
    return path


def test_the_trace_holds_every_first_choice(tmp_path: Path) -> None:
    log = logged(6)
    log.records["tried"][3, 0] = 1  # a second choice is no arrival
    assert write_trace(log, tmp_path / "t.csv") == 5
    with (tmp_path / "t.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [row["t_ms"] for row in rows][:3] == ["0.000000", "2.000000", "4.000000"]
    assert rows[1] == {"t_ms": "2.000000", "origin": "Beijing", "model": "large"}


def test_the_fleet_is_the_logs(tmp_path: Path) -> None:
    write_fleet(CENTERS, tmp_path / "fleet.toml")
    for mine, written in zip(CENTERS, load_fleet(tmp_path / "fleet.toml", "all"), strict=True):
        for name in ("id", "region", "zone", "city", "location", "core", "slots", "speed_factor"):
            assert getattr(written, name) == getattr(mine, name), name


def test_run_times_are_those_at_speed_one() -> None:
    plans = {plan.name: plan for plan in models_of(logged(), Path("f"))}
    assert plans["small"].mean_ms == pytest.approx(1.0)
    assert plans["large"].mean_ms == pytest.approx(4.0)  # 8 ms at a center that takes twice
    assert plans["large"].sigma == pytest.approx(0.0, abs=1e-6)


def test_the_arrivals_run_through_the_simulator(tmp_path: Path) -> None:
    path = write(tmp_path / "decisions.log", logged())
    run = resimulate(path, "nearest", SHIPPED_POLICIES["nearest"], seed=1)
    assert len(run.latency_ms) == 400
    assert run.ok.all()
    assert run.centers == ("a", "b")
    assert np.diff(run.arrival_s) == pytest.approx(0.002)
    again = resimulate(path, "nearest", SHIPPED_POLICIES["nearest"], seed=1)
    assert run.summary() == again.summary()


def test_the_scenarios_folder_is_gone_afterwards(tmp_path: Path) -> None:
    path = write(tmp_path / "decisions.log", logged())
    with recorded_scenario(path) as scenario:
        assert Path(scenario.folder).is_dir()
        assert scenario.requests == 400
    assert not Path(scenario.folder).exists()


@pytest.mark.parametrize(
    ("count", "service_ms", "told"),
    [(1, 1.0, "found 1 first choices"), (400, np.nan, "no answer tells its service time")],
)
def test_a_log_that_cannot_be_simulated_says_why(
    count: int, service_ms: float, told: str, tmp_path: Path
) -> None:
    log = logged(count)
    log.records["service_ms"] = service_ms
    path = write(tmp_path / "decisions.log", log)
    with pytest.raises(ConfigError, match=told):
        resimulate(path, "nearest", SHIPPED_POLICIES["nearest"], seed=1)
