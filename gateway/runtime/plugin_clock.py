"""The clock that plugins' time is taken with: what a call computes, and what it sleeps.

The thread's CPU time alone does not see a plugin that sleeps or waits for a file while the
loop stands still; wall time alone blames a plugin for the moments in which the machine took
the processor away. The kernel tells the two apart: a thread that gives the processor up of
its own will makes a *voluntary* context switch. So the time away counts when there was such
a switch, and does not when there was none.

Waiting for the interpreter lock is a voluntary switch as well. A thread that holds it for
milliseconds just while a plugin is being timed looks like the plugin; a quarantine begins
with a second for that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable

try:
    import resource
except ImportError:  # not on this system
    resource = None  # type: ignore[assignment]  # a missing module has no other value

Clock = Callable[[], float]


class PluginClock:
    """Seconds computed or slept by the thread that calls it; always the same thread.

    The arguments are the thread's CPU seconds, wall seconds, and how often it gave the
    processor up so far.
    """

    __slots__ = ("_computed_s", "_cpu_s", "_given_up", "_slept_s", "_switches", "_wall", "_wall_s")

    def __init__(self, cpu_s: Clock, wall_s: Clock, given_up: Callable[[], int]) -> None:
        self._cpu_s, self._wall, self._given_up = cpu_s, wall_s, given_up
        self._computed_s, self._wall_s, self._switches = cpu_s(), wall_s(), given_up()
        self._slept_s = 0.0

    def __call__(self) -> float:
        """Seconds; only differences mean something."""
        computed_s, wall_s, switches = self._cpu_s(), self._wall(), self._given_up()
        if switches != self._switches:
            away_s = (wall_s - self._wall_s) - (computed_s - self._computed_s)
            self._slept_s += max(0.0, away_s)
        self._computed_s, self._wall_s, self._switches = computed_s, wall_s, switches
        return computed_s + self._slept_s


def plugin_clock() -> Clock:
    """The clock for this thread; CPU time alone where the kernel counts no switches a thread."""
    who = getattr(resource, "RUSAGE_THREAD", None)
    if who is None:
        return time.thread_time
    usage = resource.getrusage
    return PluginClock(time.thread_time, time.perf_counter, lambda: usage(who).ru_nvcsw)
