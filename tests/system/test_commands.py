"""Each command as a person runs it: what it prints, and its exit code when he is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository


def nearway(*words: object, status: int = 0, timeout_s: float = 100) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1"},
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_version_and_help() -> None:
    assert nearway("--version").startswith("nearway ")
    told = nearway("--help")
    for command in ("serve", "verify", "load", "explain", "models", "plugins", "config"):
        assert command in told


def test_explain_from_priors_names_pick_and_refused() -> None:
    told = json.loads(
        nearway(
            "explain", "--origin", "Hohhot", "--model", "blast-furnace", "--from-priors", "--json"
        )
    )
    assert told["pick"].startswith(("cn-north-9", "cn-north-11"))
    best, next_best = told["rows"][:2]
    assert best["center"] == told["pick"]
    assert best["total_ms"] == pytest.approx(sum(best["scorers_ms"].values()), abs=0.01)
    assert best["total_ms"] <= next_best["total_ms"]
    assert "→" in nearway(
        "explain", "--origin", "Hohhot", "--model", "blast-furnace", "--from-priors"
    )


def test_models_and_check(tmp_path: Path) -> None:
    rows = json.loads(nearway("models", "--json"))
    assert {row["name"] for row in rows} >= {"blast-furnace", "rail-inspection", "grid-load"}
    nearway("models", "check", repository())
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "model.onnx").write_bytes(b"not a model")
    assert "broken" in nearway("models", "check", tmp_path, status=1)


def test_plugins_and_config(tmp_path: Path) -> None:
    told = nearway("plugins")
    assert "two_choices" in told
    assert "predicted_completion" in told
    file = tmp_path / "nearway.toml"
    file.write_text('[network]\nprofile = "premium"\n')
    assert "88 centers" in nearway("config", "check", file)
    shown = json.loads(nearway("config", "show", "--config", file, "--json"))
    assert shown["network.profile"] == {"value": "premium", "from": "nearway.toml"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve", "--config", "nowhere.toml"], "nowhere.toml"),
        (["serve", "--fleet", "nowhere.toml"], "nowhere.toml"),
        (["serve", "--models", "nowhere"], "nowhere"),
        (["serve", "--sites", "few"], "few"),
        (["serve", "--nosuch"], "nosuch"),
        (["explain", "--origin", "Atlantis", "--model", "m", "--from-priors"], "Atlantis"),
        (["explain", "--origin", "Wuhu", "--model", "nosuch", "--from-priors"], "nosuch"),
        (["verify", "--objective", "2"], "objective"),
        (["verify", "--model", "nosuch", "--duration", "1"], "nosuch"),
        (["load", "--url", "http://127.0.0.1:9", "--model", "m", "--duration", "1"], "127.0.0.1:9"),
        (["load", "--url", "http://127.0.0.1:9", "--model", "m", "--rate", "many"], "many"),
        (["config", "check", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_a_wrong_word_is_told_and_exits_3(words: list[str], told: str) -> None:
    assert told in nearway(*words, status=3)


def test_a_taken_port_is_told(served: Any) -> None:
    port = served.url.rpartition(":")[2]
    told = nearway("serve", "--port", port, "--admin-port", "0", status=3)
    assert port in told
    assert "server.port" in told


def test_load_against_our_own_endpoint(served: Any, tmp_path: Path) -> None:
    report, figures = tmp_path / "load.html", tmp_path / "load.json"
    nearway(
        *("load", "--url", served.url, "--model", "grid-load", "--rate", "40,80"),
        *("--duration", "2", "--warmup", "0.5", "--origins", "by-population"),
        *("--json", figures, "--html", report),
    )
    told = json.loads(figures.read_text())
    assert [rate["asked_rate"] for rate in told["rates"]] == [40, 80]
    assert all(rate["achieved_rate"] > 0.8 * rate["asked_rate"] for rate in told["rates"])
    assert "<svg" in report.read_text()


def test_verify_judges_and_reports(tmp_path: Path) -> None:
    """Short, so it may say "cannot tell"; its numbers must be whole all the same."""
    result, report = tmp_path / "v.json", tmp_path / "v.html"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gateway.cli.main", "verify", "--sites", "core"),
            *("--duration", "6", "--warmup", "1", "--rate", "60"),
            *("--json", str(result), "--html", str(report)),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (0, 1, 2), done.stderr
    told = json.loads(result.read_text())
    assert told["verdict"]["ruling"] == ("pass", "fail", "cannot tell")[done.returncode]
    assert not told["errors"]
    html = report.read_text()
    assert html.count("<svg") >= 3
    assert "src=" not in html
    assert "<link" not in html
