"""Watching files: changes count when they lie still, and once."""

from __future__ import annotations

from pathlib import Path

from gateway.config import load_settings
from gateway.config.file_signature import Signature
from gateway.runtime.file_watch import FileWatch, Still, watched_paths


def signature(number: int) -> Signature:
    return (("file", 1, number, number),)


def looks(*numbers: int) -> list[bool]:
    still = Still(signature(0))
    return [still.look(signature(number)) for number in numbers]


def test_nothing_new_is_nothing_to_tell() -> None:
    assert looks(0, 0, 0) == [False, False, False]


def test_a_change_is_told_once_it_lies_still() -> None:
    assert looks(1, 1, 1) == [False, True, False]


def test_a_file_that_is_being_written_is_waited_for() -> None:
    assert looks(1, 2, 3, 3, 3) == [False, False, False, True, False]


def test_what_is_put_back_in_time_was_no_change() -> None:
    assert looks(1, 0, 0) == [False, False, False]


async def test_looks_find_what_changed_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "nearway.toml"
    file.write_text("a")
    told: list[str] = []

    async def changed() -> None:
        told.append(file.read_text())

    watch = FileWatch(lambda: [file], changed)
    await watch.look()
    await watch.look()
    assert told == []
    file.write_text("abc")
    await watch.look()
    await watch.look()
    await watch.look()
    assert told == ["abc"]


def test_what_is_watched(tmp_path: Path) -> None:
    fleet, models, config = tmp_path / "fleet.toml", tmp_path / "models", tmp_path / "c.toml"
    flags = {"fleet.file": str(fleet), "models.dirs": [str(models)], "models.shipped": False}
    settings = load_settings(None, flags).settings
    assert watched_paths(settings, config) == [config, fleet, models]
    assert watched_paths(settings, None) == [fleet, models]
