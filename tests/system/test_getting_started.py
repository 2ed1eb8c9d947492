"""docs/getting_started.md is walked, every command, where nothing but the wheel is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WALK = ROOT / "tests" / "system" / "walk.py"


def walk(page: Path, bin_folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, WALK, page, "--bin", bin_folder, "--other-ports"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.timeout(300)
def test_a_newcomer_arrives(installed: Path) -> None:
    page = ROOT / "docs" / "getting_started.md"
    done = walk(page, installed)
    assert done.returncode == 0, done.stdout + done.stderr
    taken = done.stdout.count("$ ")
    assert taken >= page.read_text().count("\n$ ") - 3  # all but the installation


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("$ echo one; echo two\none\n…o\n", ""),
        ("$ folder=here\n$ echo in $folder\nin here\n", ""),
        ("$ echo one; echo two\none\n", "line 2: $ echo one; echo two\nprinted:\none\ntwo\n"),
        ("$ true\n$ echo one\ntwo\n", "line 3: $ echo one\nprinted:\none\n"),
        ("$ true\n$ false\n", "line 3: $ false\nended with exit code 1:\n"),
        ("$ exit 0\n", "the shell ended"),
        ("echo one\n", "line 2: a console block begins with '$ '"),
    ],
)
def test_what_differs_from_the_page_ends_the_walk(block: str, why: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{block}```\n")
    done = walk(page, tmp_path)
    assert done.returncode == (1 if why else 0), done.stdout + done.stderr
    assert why in done.stderr


def test_a_named_block_is_a_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`deep/a.txt`:\n\n```text\nhello\n```\n\n```console\n$ cat deep/a.txt\nhello\n```\n"
    )
    assert walk(page, tmp_path).returncode == 0
