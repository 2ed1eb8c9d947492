"""Whatever the file is, it ends in a document or a ConfigError."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.config import load_settings, toml_file
from gateway.config.fleet_file import load_fleet
from gateway.config.toml_file import read_toml

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nested lists": (b"a = " + b"[" * 100_000, "nested too deep"),
    "nested tables": (b"a = " + b"{b = " * 100_000, "nested too deep"),
    "a huge number": (b"a = " + b"9" * 10_000, "not valid TOML"),
    "said twice": (b"a = 1\na = 2", "not valid TOML"),
    "no text": (b"\xff\xfe\x00a", "UTF-8"),
    "a null": (b"a = 1\x00", "not valid TOML"),
    "an open string": (b'a = "' + b"x" * 1_000_000, "not valid TOML"),
}
READERS: list[Callable[[Path], Any]] = [
    lambda path: read_toml(path, "absent"),
    load_settings,
    lambda path: load_fleet(path, "all"),
]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("read", READERS, ids=["toml", "config", "fleet"])
def test_hostile_ones_are_refused_by_name(
    tmp_path: Path, name: str, read: Callable[[Path], Any]
) -> None:
    content, wrong = HOSTILE[name]
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=wrong) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("read", READERS, ids=["toml", "config", "fleet"])
def test_what_is_no_file_is_refused(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="plain file"):
            read(path)
    with pytest.raises(ConfigError, match=r"absent|no such"):
        read(tmp_path / "absent.toml")


def test_it_is_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1\n")
    assert read_toml(path, "absent") == {"a": 1}
    monkeypatch.setattr(toml_file, "TOML_BYTES_MAX", 5)
    with pytest.raises(ConfigError, match="more than 5 bytes"):
        read_toml(path, "absent")
