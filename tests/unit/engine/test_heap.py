"""What a model takes: how much the heap grows, at least its files, else a guess by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.engine.heap import FACTOR, files_bytes, heap_reader, taken_bytes


def test_the_heap_grows_by_what_is_allocated_and_shrinks_again() -> None:
    read = heap_reader()
    if read is None:
        pytest.skip("the C library of this machine does not count its heap")
    before = read()
    block = np.ones(4_000_000, np.uint8)
    grown = read() - before
    assert 3_900_000 < grown < 6_000_000
    del block
    assert read() - before < 2_000_000


def test_the_growth_counts_and_the_files_are_the_least() -> None:
    assert taken_bytes(5000, 2000) == 5000
    assert taken_bytes(-100, 2000) == 2000
    assert taken_bytes(None, 2000) == int(FACTOR * 2000)


def test_files_of_a_version_are_added_up(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x" * 30)
    (tmp_path / "weights.bin").write_bytes(b"x" * 12)
    (tmp_path / "folder").mkdir()
    assert files_bytes(tmp_path) == 42
