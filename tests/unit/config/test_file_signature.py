"""Signatures of files and folders."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config.file_signature import signature_of


def test_the_same_files_have_the_same_signature(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    assert signature_of([tmp_path]) == signature_of([tmp_path])


def test_another_size_in_a_folder_below(tmp_path: Path) -> None:
    below = tmp_path / "model" / "1"
    below.mkdir(parents=True)
    (below / "model.onnx").write_bytes(b"1")
    before = signature_of([tmp_path])
    (below / "model.onnx").write_bytes(b"12")
    assert signature_of([tmp_path]) != before


def test_another_time_alone(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("1")
    before = signature_of([file])
    os.utime(file, ns=(1, 1))
    assert signature_of([file]) != before


def test_a_rename_over_it_even_with_equal_size_and_time(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    file.write_text("1")
    other.write_text("2")
    for each in (file, other):
        os.utime(each, ns=(1, 1))
    before = signature_of([file])
    other.replace(file)
    assert signature_of([file]) != before


def test_a_file_that_comes_and_one_that_goes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    absent = signature_of([file])
    file.write_text("1")
    there = signature_of([file])
    assert there != absent
    file.unlink()
    assert signature_of([file]) == absent
