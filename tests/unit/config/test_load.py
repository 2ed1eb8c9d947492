"""Every wrong config says where, what was found and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.config import load_settings


def write(folder: Path, text: str) -> Path:
    path = folder / "nearway.toml"
    path.write_text(text)
    return path


def test_defaults_bind_loopback_only() -> None:
    settings = load_settings().settings
    assert settings.server.host == settings.server.admin_host == "127.0.0.1"


def test_flag_wins_over_file_and_both_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, "[server]\nport = 9000\nbody_bytes_max = 5\n")
    effective = load_settings(path, {"server.port": 9001})
    assert effective.settings.server.port == 9001
    rows = {key: (value, source) for key, value, source in effective.rows()}
    assert rows["server.port"] == (9001, "flag")
    assert rows["server.body_bytes_max"] == (5, "nearway.toml")
    assert rows["server.host"] == ("127.0.0.1", "default")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[fleet]\nfile = "f.toml"\n[models]\ndirs = ["a", "/b"]\n')
    settings = load_settings(path).settings
    assert settings.fleet.file == str(tmp_path / "f.toml")
    assert settings.models.dirs == (str(tmp_path / "a"), "/b")


def test_own_policies_stand_beside_the_shipped(tmp_path: Path) -> None:
    path = write(tmp_path, '[policies.mine]\nscorers = ["network"]\n')
    assert {"mine", "predicted_completion"} <= set(load_settings(path).settings.policies)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 1\n", ["[server]", "'prot'", "did you mean 'port'"]),
        ("[serve]\nport = 1\n", ["top level", "'serve'", "did you mean 'server'"]),
        ("[server]\nport = 'x'\n", ["server.port", "int", "str"]),
        ("[server]\nport = 70000\n", ["server.port", "65535"]),
        ("[network]\nprofile = 'lan'\n", ["network.profile", "lan"]),
        ("[policies.p]\nscorer = []\n", ["policies", "'scorer'", "did you mean 'scorers'"]),
        ("[routing]\npolicy = 'none'\n", ["routing.policy", "'none'", "predicted_completion"]),
        ("[routing]\nfallback = 'none'\n", ["routing.fallback", "'none'", "two_choices"]),
        ("[routing.shadow]\npolicy = 'none'\n", ["routing.shadow.policy", "'none'"]),
        ("[routing.shadow]\nbugdet = 1\n", ["[routing.shadow]", "did you mean 'budget'"]),
        ("[routing.shadow]\nbudget = 2\n", ["routing.shadow.budget", "1"]),
        ("port = \n", ["not valid TOML", "line 1"]),
    ],
)
def test_wrong_config(tmp_path: Path, text: str, told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, text))
    for part in told:
        assert part in str(caught.value)
    assert "nearway.toml" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_settings(tmp_path / "nowhere.toml")
