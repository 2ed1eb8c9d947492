"""Who used how much CPU: run times of threads, and what the cores did besides.

A process's time is the sum over its threads of ``/proc/PID/task/TID/schedstat``, whose first
number is nanoseconds on a core, user and system together. The ticks of ``/proc/PID/stat`` are
10 ms wide: too coarse for runs of a few seconds. A thread that ends between two looks takes its
time with it; the peers keep theirs.

``/proc/stat`` has nothing finer than ticks, so what a core did is known to about a hundredth of
a second, enough to see a stranger on it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6

ThreadTimes = Mapping[tuple[int, int], int]
"""(process, thread) -> ns on a core so far."""


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """Seconds since boot of a set of cores: at work for somebody, and taken by the host."""

    busy_s: float
    steal_s: float

    def since(self, earlier: CoreTimes) -> CoreTimes:
        """What has come to it."""
        return CoreTimes(self.busy_s - earlier.busy_s, self.steal_s - earlier.steal_s)


def thread_times(processes: Iterable[int], proc: Path = PROC) -> ThreadTimes:
    """The run time of every living thread of ``processes``."""
    times = {}
    for process in processes:
        with contextlib.suppress(OSError):
            for task in (proc / str(process) / "task").iterdir():
                with contextlib.suppress(OSError):
                    text = (task / "schedstat").read_text()
                    times[process, int(task.name)] = int(text.split()[0])
    return times


def spent_s(before: ThreadTimes, after: ThreadTimes) -> float:
    """Seconds between two looks; a thread that is new counts from its beginning."""
    return sum(ns - before.get(thread, 0) for thread, ns in after.items()) / 1e9


def family(root: int, proc: Path = PROC) -> tuple[int, ...]:
    """``root`` and all its living descendants, itself first."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(_parent((entry / "stat").read_text()), []).append(
                    int(entry.name)
                )
    found = [root]
    for process in found:
        found += children.get(process, ())
    return tuple(found)


def resident_mb(processes: Iterable[int], proc: Path = PROC) -> float:
    """Resident memory in MB, summed; pages that several processes share count in each."""
    pages = 0
    for process in processes:
        with contextlib.suppress(OSError):
            pages += int((proc / str(process) / "statm").read_text().split()[1])
    return pages * PAGE_MB


def core_times(cores: Iterable[int], proc: Path = PROC) -> CoreTimes:
    """What ``cores`` did since boot. Interrupts are left out: they belong to nobody."""
    wanted = {f"cpu{core}" for core in cores}
    busy = steal = 0
    for line in (proc / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _iowait, _irq, _softirq, stolen, *_ = map(int, fields)
            busy += user + nice + system
            steal += stolen
    return CoreTimes(busy * TICK_S, steal * TICK_S)


def move(processes: Iterable[int], cores: Iterable[int], proc: Path = PROC) -> None:
    """Put every thread of ``processes`` on ``cores``."""
    wanted = set(cores)
    for process in processes:
        with contextlib.suppress(OSError):
            for task in (proc / str(process) / "task").iterdir():
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(task.name), wanted)


def _parent(stat: str) -> int:
    """The parent in a line of ``/proc/PID/stat``; a command's name may hold anything."""
    return int(stat.rpartition(")")[2].split()[1])
