"""The command line: what is asked for, and what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers.arms import DEFAULT
from bench.peers.run import machine, named, parsed


def test_by_default_everything_but_the_optional() -> None:
    asked = parsed([])
    assert asked.arms == DEFAULT
    assert (asked.rounds, asked.seconds, asked.connections) == (5, 2.0, (1, 16, 64))
    assert (asked.rate_per_s, asked.open_loop_s, asked.one_core) == (1000.0, 60.0, True)


def test_quick_is_short_and_gives_way_to_what_is_said() -> None:
    asked = parsed(["--quick", "--rounds", "3", "--open-loop-s", "0"])
    assert (asked.rounds, asked.seconds, asked.connections) == (3, 1.0, (16,))
    assert (asked.open_loop_s, asked.one_core) == (0.0, False)


def test_arms_by_name_in_any_case_and_in_the_tables_order() -> None:
    assert [arm.name for arm in named(["ENVOY", "nginx"])] == ["nginx", "Envoy"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--arm", "varnish"], "no arm is called 'varnish'; expected one of direct, nginx"),
        (["--connections", "0"], "1 or more"),
        (["--connections", "many"], "invalid literal"),
        (["--rounds", "-1"], "1 or more"),
    ],
)
def test_what_cannot_be_is_refused(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(words)
    assert complaint in capsys.readouterr().err


def test_the_cache_and_the_leave_to_install(tmp_path: Path) -> None:
    asked = parsed(["--cache", str(tmp_path), "--no-install", "--out", str(tmp_path / "out")])
    assert (asked.cache.folder, asked.cache.may_install) == (tmp_path, False)
    assert asked.out == tmp_path / "out"


def test_the_machine_in_words() -> None:
    assert "cores, Linux" in machine()
    assert "\n" not in machine()
