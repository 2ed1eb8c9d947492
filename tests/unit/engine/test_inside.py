"""Nothing in a model's folder leads out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.engine.inside import inside, read_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("root:x:0:0")
    made = tmp_path / "model"
    (made / "1").mkdir(parents=True)
    (made / "labels.txt").write_text("a\nb\n")
    return made


@pytest.mark.parametrize(
    "name", ["../secret", "../absent", "1/../../secret", "/etc/passwd", "link", "far/x"]
)
def test_what_leads_out_is_refused(folder: Path, name: str) -> None:
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "far").symlink_to(folder.parent)
    (folder.parent / "x").write_text("")
    with pytest.raises(ConfigError, match="leads out"):
        read_inside(folder, name, 100)


def test_what_stays_inside_is_read(folder: Path) -> None:
    (folder / "link").symlink_to("labels.txt")
    assert read_inside(folder, "link", 100) == b"a\nb\n"
    assert inside(folder, "1/../labels.txt").is_file()
    whole = folder.parent / "whole"
    whole.symlink_to(folder)
    assert read_inside(whole, "labels.txt", 100) == b"a\nb\n"


def test_what_is_no_plain_file_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "round").symlink_to("round")
    for name in ("pipe", "1"):
        with pytest.raises(ConfigError, match="plain file"):
            inside(folder, name)
    with pytest.raises(ConfigError, match="cannot be found"):
        inside(folder, "round")
    with pytest.raises(ConfigError, match="cannot be found"):
        inside(folder, "a\0b")
    with pytest.raises(FileNotFoundError):
        inside(folder, "absent")


def test_more_than_is_wanted_is_not_read(folder: Path) -> None:
    assert len(read_inside(folder, "labels.txt", 4)) == 4
    with pytest.raises(ConfigError, match="more than 3 bytes"):
        read_inside(folder, "labels.txt", 3)
