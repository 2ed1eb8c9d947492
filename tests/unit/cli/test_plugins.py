"""``nearway plugins`` as it is typed: what it prints, and what it does when he is wrong."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gateway.api import ConfigError, InvalidRequest
from gateway.cli import plugins
from gateway.measure.intervals import Interval
from gateway.testing import trial as trial_module


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def call(*words: object, status: int = 0) -> str:
    done = CliRunner().invoke(plugins.app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == status, done.output
    return done.output


def new(folder: Path, name: str, kind: str = "scorer") -> Path:
    call("new", name, "--kind", kind, "--into", folder)
    return folder / name


class Simulated:
    """Stands for the simulator: latencies by seed, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, scenario: Any, name: str, policy: Any, **asked: Any) -> Any:
        self.asked.append({"scenario": scenario, "name": name, "policy": policy, **asked})
        factor = 1.0 if len(self.asked) % 2 else 0.5
        latency_ms = np.random.default_rng(asked["seed"]).exponential(3.0, 500) * factor

        class Run:
            target_ms, load, seed = 10.0, 0.8, asked["seed"]

        Run.policy, Run.latency_ms = name, latency_ms.astype(np.float32)
        Run.ok = np.ones(500, dtype=bool)
        return Run()


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Simulated:
    fake = Simulated()
    monkeypatch.setattr(trial_module, "simulate", fake)
    return fake


def test_alone_it_lists() -> None:
    told = call()
    assert "two_choices" in told
    assert "policy" in told
    assert {row["name"] for row in json.loads(call("--json"))} >= {"network", "least"}


def test_new_tells_the_next_three_commands(tmp_path: Path) -> None:
    told = call("new", "told", "--kind", "picker", "--into", tmp_path)
    folder = tmp_path / "told"
    for command in ("nearway plugins check", "nearway plugins try", "pip install --editable"):
        assert f"{command} {folder}" in told
    with pytest.raises(ConfigError, match="exists already"):
        call("new", "told", "--kind", "picker", "--into", tmp_path)
    with pytest.raises(ConfigError, match="a plugin called 'queue' is installed"):
        call("new", "queue", "--kind", "scorer", "--into", tmp_path)


def test_check_shows_every_rule_and_what_a_call_costs(tmp_path: Path) -> None:
    told = call("check", new(tmp_path, "sound"))
    assert told.count("✓") == 17
    assert "✗" not in told
    assert "µs at 88 centers" in told
    assert "µs at 1024 centers" in told


def test_check_says_what_is_broken_how_to_mend_it_and_exits_1(tmp_path: Path) -> None:
    folder = new(tmp_path, "torn")
    code = folder / "src" / "nearway_torn" / "torn.py"
    code.write_text(code.read_text().replace(".astype(np.float32)", ""))
    told = call("check", folder, status=1)
    assert "✗  dtype" in told
    assert "found     dtype float64" in told
    assert "mend      end in .astype(np.float32)" in told
    assert "not looked at" in told
    assert "µs" not in told
    [document] = json.loads(call("check", folder, "--json", status=1))
    assert document["conforms"] is False
    assert document["costs"] == []
    failed = [finding for finding in document["findings"] if not finding["passed"]]
    assert [finding["check"] for finding in failed] == ["dtype"]


def test_parameters_may_be_set(tmp_path: Path) -> None:
    folder = new(tmp_path, "settable")
    [document] = json.loads(call("check", folder, "--set", "ms_max=3", "--json"))
    assert document["conforms"] is True
    with pytest.raises(ConfigError, match="unknown parameter 'ms_maks'; did you mean 'ms_max'"):
        call("check", folder, "--set", "ms_maks=3")
    with pytest.raises(InvalidRequest, match="expected KEY=VALUE"):
        call("check", folder, "--set", "ms_max")


def test_try_simulates_the_package_s_policy_beside_the_default(
    tmp_path: Path, simulated: Simulated
) -> None:
    folder = new(tmp_path, "tried")
    told = call("try", folder, "--seeds", 3, "--requests", 500, "--load", 0.5)
    assert [asked["name"] for asked in simulated.asked[1::2]] == ["with_tried"] * 3
    assert [asked["seed"] for asked in simulated.asked] == [1, 1, 2, 2, 3, 3]
    assert {(asked["requests"], asked["load"]) for asked in simulated.asked} == {(500, 0.5)}
    assert simulated.asked[1]["policy"].scorers[-1] == "tried"
    assert "tried" not in simulated.asked[0]["policy"].scorers
    assert "with / without  p99  0.500 (0.500 to 0.500)" in told
    assert "p99: better with it" in told


def test_try_puts_it_in_another_policy_with_other_parameters(
    tmp_path: Path, simulated: Simulated
) -> None:
    folder = new(tmp_path, "placed")
    document = json.loads(
        call("try", folder, "--seeds", 2, "--policy", "nearest", "--set", "ms_max=9.5", "--json")
    )
    assert simulated.asked[1]["policy"].scorers == ("network", {"name": "placed", "ms_max": 9.5})
    assert document["base"]["policy"] == "nearest"
    assert document["p99_ratio"]["value"] == pytest.approx(0.5)
    file = tmp_path / "own.toml"
    file.write_text('[routing]\npolicy = "own"\n[policies.own]\nscorers = ["service"]\n')
    call("try", folder, "--seeds", 2, "--policy", file)
    assert simulated.asked[-1]["policy"].scorers == ("service", "placed")
    with pytest.raises(InvalidRequest, match="'nosuch' is neither a file nor a policy"):
        call("try", folder, "--policy", "nosuch")
    with pytest.raises(ConfigError, match="nosuch"):
        call("try", folder, "--scenario", "nosuch")


def test_try_of_an_installed_picker_puts_it_in_the_picker_s_place(simulated: Simulated) -> None:
    call("try", "two_choices", "--seeds", 2)
    assert simulated.asked[1]["policy"].picker == "two_choices"
    assert simulated.asked[1]["name"] == "with_two_choices"


def test_a_source_reads_in_its_package(tmp_path: Path, simulated: Simulated) -> None:
    folder = new(tmp_path, "gauge", "source")
    call("try", folder, "--seeds", 2)
    assert simulated.asked[1]["scenario"].folder == str(folder)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.5, 0.9, "better"), (1.1, 1.2, "worse"), (0.9, 1.1, "no difference"), (0, inf, "no diff")],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(low: float, high: float, said: str) -> None:
    assert said in plugins._verdict(Interval(low, (low + min(high, 2.0)) / 2, high))
