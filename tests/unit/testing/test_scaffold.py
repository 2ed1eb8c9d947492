"""What `new` writes: a package of each kind that keeps the contract and passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from gateway.api import ConfigError
from gateway.config import Policy, load_settings
from gateway.testing.checked import check_package
from gateway.testing.package import find_package
from gateway.testing.scaffold import SUMMARY, policy_toml, with_plugin, write_package

KINDS = list(SUMMARY)
RULES = "E,F,I,N,UP,B,RUF"


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract_and_its_policy_uses_it(kind: str, tmp_path: Path) -> None:
    written = write_package(f"new_{kind}", kind, tmp_path, Policy(), ())
    package = find_package(str(written.folder))
    [checked] = check_package(package, {})
    assert [str(f) for f in checked.findings if not f.passed] == []
    assert (checked.kind, checked.name) == (kind, f"new_{kind}")
    name, policy = package.policy() or ("", Policy())
    assert name == written.policy_name
    assert f"new_{kind}" in str(msgspec.to_builtins(policy))


def test_its_own_tests_pass_and_its_code_is_formatted(tmp_path: Path) -> None:
    for kind in KINDS:
        write_package(f"fresh_{kind}", kind, tmp_path, Policy(), ())
    style = ["--isolated", "--config", "line-length=100", "--config", "src=['*/src']"]
    tests = sorted(map(str, tmp_path.glob("*/tests")))
    for command in (
        ["ruff", "format", *style, "--check", "."],
        ["ruff", "check", *style, "--select", RULES, "."],
        ["pytest", "-q", "--import-mode=importlib", *tests],
    ):
        done = run([sys.executable, "-m", *command], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    sources = ":".join(map(str, folder.glob("*/src")))
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": sources},
    )


def test_the_readme_names_every_parameter(tmp_path: Path) -> None:
    for kind in KINDS:
        written = write_package(f"told_{kind}", kind, tmp_path, Policy(), ())
        package = find_package(str(written.folder))
        readme = (written.folder / "README.md").read_text()
        parameters = fields(package.offers[0].plugin_class())
        assert [field.name for field in parameters if f"| `{field.name}` |" not in readme] == []
        assert "$" not in readme


@pytest.mark.parametrize(
    "name", ["Silence", "two-words", "2nd", "", "a__b", "_a", "class", "a" * 41, "../up", "a b"]
)
def test_a_wrong_name_is_refused_and_nothing_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="words in lower case joined by _"):
        write_package(name, "scorer", tmp_path, Policy(), ())
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_a_wrong_kind_and_a_folder_that_exists_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is installed; take another name"):
        write_package("queue", "scorer", tmp_path, Policy(), ("queue",))
    with pytest.raises(ConfigError, match="expected one of filter, scorer"):
        write_package("mine", "scorers", tmp_path, Policy(), ())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        write_package("mine", "scorer", tmp_path, Policy(), ())
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["kept.txt"]


def test_a_plugin_is_put_in_after_the_others_or_in_its_own_place() -> None:
    base = Policy(scorers=("network", {"name": "toll", "ms": 1.0}, "queue"))
    assert with_plugin(base, "scorers", "mine").scorers[-1] == "mine"
    changed = with_plugin(base, "scorers", {"name": "toll", "ms": 2.0})
    assert changed.scorers == ("network", {"name": "toll", "ms": 2.0}, "queue")
    assert with_plugin(base, "pickers", "mine").picker == "mine"
    assert with_plugin(base, "sources", "mine").sources == ("mine",)


def test_a_policy_as_toml_is_the_same_policy(tmp_path: Path) -> None:
    policy = Policy(
        filters=(),
        scorers=("network", {"name": "toll", "by": {"a b": 1.5}, "names": ["x"], "on": True}),
        picker={"name": "ring", "d": 3, "most": float("inf")},
    )
    text = f"[policies.p]\n{policy_toml(policy)}\n"
    assert tomllib.loads(text)
    (tmp_path / "p.toml").write_text(text)
    assert load_settings(tmp_path / "p.toml").settings.policies["p"] == policy
