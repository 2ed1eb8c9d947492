from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.api import ConfigError
from gateway.cli.main import app

SMALL = ["--requests", "300", "--set", "warm_up_s=0.1"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert isinstance(result.exception, ConfigError)
    return str(result.exception)


def test_a_table_has_policies_oracles_and_bounds() -> None:
    text = run("s0", "--policy", "predicted_completion,two_choices", *SMALL)
    rows = [line.split()[0] for line in text.splitlines() if line.startswith(" ")]
    assert rows == [
        *("policy", "predicted_completion", "two_choices", "oracle", "oracle,"),
        *("pooled", "empty", "light"),
    ]


def test_second_copies_are_told_where_there_are_some() -> None:
    some = ["--requests", "3000", "--no-bounds", "--set", "warm_up_s=0.1"]
    assert "second copies" in run("s12", *some)
    assert "second copies" not in run("s12", *some, "--set", "attempts.hedge_share=0")


def test_without_bounds_there_is_the_policy_alone() -> None:
    text = run("s0", "--no-bounds", *SMALL)
    assert "oracle" not in text.replace("the oracle's", "")


def test_json_is_the_same_bytes_twice() -> None:
    one, two = (run("s1", "--json", "--seed", "7", *SMALL) for _ in range(2))
    assert one == two
    document = json.loads(one)
    assert document["runs"][0]["seed"] == 7
    assert document["runs"][0]["requests"] == 300
    assert set(document["bounds"]) == {"light", "empty", "pooled"}
    assert document["regret_ms"]["predicted_completion"]["mean"] >= 0.0


def test_the_list_names_every_scenario() -> None:
    names = [row["name"] for row in json.loads(run("--list", "--json"))]
    assert "s11" in names
    assert all(name in run("--list") for name in names)


def test_a_scenario_and_a_policy_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'description = "mine"\nrequests = 200\nwarm_up_s = 0.1\n[fleet]\nslots = 1\n'
    )
    (tmp_path / "config.toml").write_text(
        '[policies.far]\nscorers = ["queue"]\n[routing]\npolicy = "far"\n'
    )
    text = run(
        str(tmp_path / "mine.toml"), "--config", str(tmp_path / "config.toml"), "--no-bounds"
    )
    assert " far " in text


def test_a_value_may_be_a_word_or_a_number() -> None:
    changed = ["--set", "gateways.count=2", "--set", "arrivals.process=gamma", "--set"]
    assert run("s0", "--no-bounds", *changed, "arrivals.cv=2.0", *SMALL)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["s99"], "neither a file nor shipped"),
        (["s0", "--policy", "none"], "'none' is not defined"),
        (["s0", "--set", "reports"], "expected KEY=VALUE"),
        (["s0", "--set", "reports.los=1"], "did you mean 'loss'"),
    ],
)
def test_mistakes_are_told(arguments: list[str], told: str) -> None:
    assert told in refusal(*arguments)


def test_fluid_mode_has_a_row_of_its_own() -> None:
    pour = ["s0", "--fluid", "0.2", "--set", "warm_up_s=0.1", "--set", "fleet.slots=8"]
    assert "rate/s" in run(*pour)
    assert json.loads(run(*pour, "--json"))["simulated_s"] == 0.2
