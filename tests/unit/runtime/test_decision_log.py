"""The decision log's task: writes while it runs, and the rest when it stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from gateway.api import ConfigError, Outcome, Query, Report
from gateway.config import load_settings
from gateway.runtime import decision_log
from gateway.runtime.deciding import Deciding, build_deciding
from gateway.runtime.decision_log import DecisionLogTask
from gateway.simulation.recorded import read_log


def deciding(path: Path) -> Deciding:
    flags = {"telemetry.decision_log": str(path), "fleet.sites": "core"}
    made = build_deciding(load_settings(None, flags).settings, lambda: 0.0)
    made.fleet.add_model("m", 1.0, np.ones(len(made.centers), dtype=bool))
    return made


def request(of: Deciding, now: float) -> None:
    router = of.router
    decision = router.decide(Query(of.find_vantage("Shanghai"), "m"), now)
    router.commit(decision, now)
    outcome = Outcome(
        decision.center,
        decision.query.vantage,
        "m",
        "answer",
        5.0,
        Report(0.1, 1.0),
        decision.predicted_ms,
        decision.charged_ms,
        now + 0.005,
        token=decision.token,
    )
    router.ended(outcome)


async def test_what_happens_is_written_as_it_runs_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "EVERY_S", 0.001)
    made = deciding(tmp_path / "log")
    now = 1.0
    task = DecisionLogTask(made, lambda: now)
    task.start()
    request(made, now)
    for _ in range(500):
        if task.recorder.records:
            break
        await asyncio.sleep(0.002)
    assert task.state() == {"records": 1, "dropped": 0, "error": ""}
    now = 2.0
    request(made, now)
    await task.stop()
    found = read_log(tmp_path / "log")
    assert found.records["at"].tolist() == [1.0, 2.0]
    assert found.header.policy_name == made.router.policy.name
    assert found.header.scorers == tuple(named.name for named in made.router.policy.scorers)
    assert found.header.centers == made.centers
    vantage = found.records["vantage"][0]
    assert found.header.vantages[vantage] == "Shanghai"
    assert found.keyframes[0].rows["rtt_ms"]


async def test_a_task_that_never_ran_can_be_stopped(tmp_path: Path) -> None:
    task = DecisionLogTask(deciding(tmp_path / "log"), lambda: 1.0)
    await task.stop()
    assert len(read_log(tmp_path / "log").records) == 0


def test_a_wrong_path_is_found_before_serving(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"telemetry\.decision_log"):
        DecisionLogTask(deciding(tmp_path / "nowhere" / "log"), lambda: 1.0)
