"""Cores apart: the generator on one, everything that is measured on the others.

The generator never sleeps while it drives (``open_loop``), so on a shared core the gateway
would wait for its time slice, milliseconds, and be blamed for it. The bare timer does share the
generator's core: there the machine's noise shows, not the gateway's own work; so the generator
gives way to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

Cores = frozenset[int]
ANY: Cores = frozenset()
GIVING_WAY = 10
"""A nice value: enough for the scheduler to let others in at once."""


def share_out() -> tuple[Cores, Cores]:
    """(the generator's core, the others); both empty where there is one core or no say in it."""
    if not hasattr(os, "sched_getaffinity"):
        return ANY, ANY
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        return ANY, ANY
    return frozenset(mine[-1:]), frozenset(mine[:-1])


def give_way() -> None:
    """Lower this process's priority for good: whoever wakes on its core runs at once."""
    if os.nice(0) < GIVING_WAY:
        os.nice(GIVING_WAY - os.nice(0))


@contextmanager
def on(cores: Cores) -> Iterator[None]:
    """This thread, and the processes it starts meanwhile, run on ``cores``; empty: anywhere."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
