"""Chaos on real processes: a very small run of the real thing, and the quick bench in the soak."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.chaos.scene import MODEL, NEAR, ORIGIN, OTHER_MODEL, scene
from gateway.measure.chaos.episode import Episode, Load, play
from gateway.measure.chaos.plan import ChaosPlan, Fault
from gateway.measure.chaos.stage import Stage, stage_plan
from gateway.measure.samples import Samples

ROOT = Path(__file__).resolve().parents[2]
RATE = 100.0


async def played(folder: Path, fault: Fault, duration_s: float) -> tuple[Episode, Samples]:
    made = scene(folder, NEAR)
    plan = ChaosPlan("one fault", (fault,))
    load = Load(MODEL, made.known, RATE, 0.5, duration_s, ORIGIN, OTHER_MODEL)
    load = replace(load, timeout_ms=10_000.0, patience_s=20.0)
    async with Stage(stage_plan((plan,), made.centers, made.sections())) as stage:
        return await play(stage, plan, load)


async def test_killing_one_of_three_loses_nothing(tmp_path: Path) -> None:
    episode, samples = await played(tmp_path, Fault(1.0, 1.5, "kill", "busiest"), 3.0)
    (row,) = episode.rows
    counts = row.figures.counts
    assert (counts.lost, counts.wrong) == (0, 0), episode.words
    # On a busy machine more may be under way than the retry budget lets be tried again at once.
    assert all("retry_budget" in words for words in episode.words)
    assert counts.right > 0.9 * counts.sent > 90
    assert row.figures.before.right == row.figures.before.sent
    assert row.detected_s > 0.0
    assert set(samples.centers) <= {"near-a", "near-b", "near-c"}
    assert not episode.failed


@pytest.mark.soak
async def test_a_second_gateway_takes_the_port_over(tmp_path: Path) -> None:
    episode, _ = await played(tmp_path, Fault(1.0, 8.0, "restart", "gateway"), 10.0)
    (row,) = episode.rows
    assert row.done == 1
    counts = row.figures.counts
    assert (counts.lost, counts.wrong, counts.honest) == (0, 0, 0), episode.words


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_the_quick_bench_writes_all_three_reports(tmp_path: Path) -> None:
    command = ["-m", "gateway.cli.main", "bench", "chaos", "--quick", "--into", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # 1: a promise about time was broken, as it may be on a busy machine; nothing else ends so.
    assert done.returncode in (0, 1), done.stderr
    told = json.loads((tmp_path / "chaos.json").read_text())
    assert not told["not_run"]
    assert [len(episode["rows"]) for episode in told["episodes"]] == [1, 1]
    for episode in told["episodes"]:
        counts = episode["rows"][0]["figures"]["counts"]
        assert (counts["lost"], counts["wrong"]) == (0, 0)
    assert "| lost requests | 0.00 | 0.00 | holds |" in (tmp_path / "chaos.md").read_text()
    assert "Under faults" in (tmp_path / "chaos.html").read_text()


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_a_verification_under_faults_has_the_table(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[fault]]\nat_s = 3.0\nfor_s = 3.0\nkind = "kill"\ntarget = "cn-north-9a"\n'
        '[[fault]]\nat_s = 4.0\nfor_s = 2.0\nkind = "garbage"\ntarget = "cn-east-4"\n'
    )
    result, html = tmp_path / "v.json", tmp_path / "v.html"
    command = [
        *("-m", "gateway.cli.main", "verify", "--sites", "core", "--chaos", str(plan)),
        *("--duration", "10", "--warmup", "2", "--rate", "100"),
        *("--json", str(result), "--html", str(html)),
    ]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 2), done.stderr
    chaos = json.loads(result.read_text())["chaos"]
    assert [row["fault"]["kind"] for row in chaos["rows"]] == ["kill", "garbage"]
    for row in chaos["rows"]:
        counts = row["figures"]["counts"]
        assert (counts["lost"], counts["wrong"]) == (0, 0)
    assert not chaos["failed"]
    assert "garbage cn-east-4" in html.read_text()
    assert "promises hold" in done.stdout
