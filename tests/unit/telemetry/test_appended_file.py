import multiprocessing
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.telemetry.appended_file import AppendedFile

LINES = 200


def test_it_goes_on_where_a_file_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\n")
    file = AppendedFile(path, "k")
    file.append(b"after\n")
    file.close()
    file.close()
    assert path.read_bytes() == b"before\nafter\n"


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = AppendedFile(path, "k")
    file.append(b"1\n")
    path.rename(tmp_path / "log.1")
    file.append(b"2\n")
    file.append(b"3\n")
    path.unlink()
    file.append(b"4\n")
    assert (tmp_path / "log.1").read_bytes() == b"1\n"
    assert path.read_bytes() == b"4\n"
    file.close()


def test_one_that_was_emptied_in_place_is_not_filled_with_zeros(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = AppendedFile(path, "k")
    file.append(b"1\n")
    path.write_bytes(b"")
    file.append(b"2\n")
    assert path.read_bytes() == b"2\n"
    file.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'telemetry.access_log = ".*nowhere/log": No such file'):
        AppendedFile(tmp_path / "nowhere" / "log", "telemetry.access_log")


def test_others_may_not_read_it(tmp_path: Path) -> None:
    AppendedFile(tmp_path / "log", "k").close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


def write(path: Path, letter: bytes) -> None:
    file = AppendedFile(path, "k")
    for _ in range(LINES):
        file.append(letter * 300 + b"\n")


def test_lines_of_two_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "log"
    spawn = multiprocessing.get_context("fork")
    both = [spawn.Process(target=write, args=(path, letter)) for letter in (b"a", b"b")]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    lines = path.read_bytes().splitlines()
    assert sorted(lines) == [b"a" * 300] * LINES + [b"b" * 300] * LINES
