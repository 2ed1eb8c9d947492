"""``explain`` draws each candidate's milliseconds, where the terminal is wide enough."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

ASKED = ["explain", "--origin", "Hefei", "--model", "blast-furnace", "--from-priors"]


def told(width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    done = CliRunner().invoke(app, [*ASKED, "--top", "40"])
    assert done.exit_code == 0
    return done.stdout.splitlines()


def test_bars_are_as_long_as_their_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(140, monkeypatch)
    rows = [line.split() for line in lines if "cn-" in line and "█" in line]
    lengths = {float(row[-2]): len(row[-1]) for row in rows}
    longest_ms = max(lengths)
    assert len(rows) == 40
    assert len(lengths) > 3
    for sum_ms, length in lengths.items():
        assert length == pytest.approx(40 * sum_ms / longest_ms, abs=1.0)
    assert "█ network  ▓ queue  ▒ service  ░ risk" in lines


def test_a_narrow_terminal_has_the_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [line for line in told(80, monkeypatch) if "█" in line]


def test_no_option_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(app, ["explain", "--from-priors"])
    assert done.exit_code == 0
    assert "blast-furnace from Shanghai by policy" in done.stdout
