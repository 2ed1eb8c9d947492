"""The generator's core is its own, and everything is put back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gateway.measure.cores import ANY, on, share_out

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="no say in cores on this system"
)


def test_one_core_for_the_generator_the_rest_for_the_others() -> None:
    own, others = share_out()
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        assert own == others == ANY
        return
    assert len(own) == 1
    assert own | others == mine
    assert not own & others


def test_children_inherit_and_the_thread_is_put_back() -> None:
    before = os.sched_getaffinity(0)
    one = frozenset({min(before)})
    with on(one):
        told = subprocess.run(
            [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert told.strip() == str(sorted(one))
    assert os.sched_getaffinity(0) == before
    with on(ANY):
        assert os.sched_getaffinity(0) == before
