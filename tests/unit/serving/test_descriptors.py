"""The limit is raised to what the system allows, and some of it is kept back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.serving.descriptors import KEPT_BACK, WANTED, at_most, for_clients, shortage


@pytest.mark.parametrize(("soft", "hard"), [(64, 200), (100, 100)])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int) -> None:
    code = (
        "import resource; from gateway.serving.descriptors import limit, raise_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(limit(), raise_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [str(soft), str(hard), str(hard)]


def test_some_are_kept_back() -> None:
    assert for_clients(20_000) == 20_000 - KEPT_BACK
    assert for_clients(100) == 50


def test_at_a_peak_there_may_be_a_few_more() -> None:
    for files in (64, 1024, 20_000):
        assert for_clients(files) < at_most(files) < files


def test_a_low_limit_is_told_with_what_to_do() -> None:
    assert shortage(WANTED) == ""
    assert "1024 files" in shortage(1024)
    assert "ulimit -Hn" in shortage(1024)
