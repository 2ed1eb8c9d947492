"""Two ways for an event loop to be woken at an instant, more exactly than its own timers.

uvloop's ``call_later`` rounds to whole milliseconds and asyncio's rounds up, which is too
coarse for delays of a few milliseconds. A ``TimerFdAlarm`` is a file descriptor that the
kernel makes readable at an absolute instant of CLOCK_MONOTONIC (Linux). A ``ThreadAlarm``
waits in a thread and works everywhere. Both call ``on_wake`` in the loop's own thread and
hold one instant at a time; instants are seconds of ``time.monotonic()``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

OnWake = Callable[[], object]

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1


class Alarm(Protocol):
    """Wakes once for every ``arm``; an earlier instant not yet reached is forgotten."""

    def arm(self, due_s: float) -> None:
        """Wake at ``due_s``, at once when that is over."""

    def disarm(self) -> None:
        """Wake no more until armed again."""

    def close(self) -> None:
        """Free what it holds; it never wakes again."""


class TimerFdAlarm:
    """A timerfd read by the loop. Raises OSError where the system offers none.

    Setting a timerfd also clears its count of expirations, so every wake-up that ends in
    ``arm`` or ``disarm`` needs no ``read``: one system call less per wake-up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wake: OnWake) -> None:
        self._loop = loop
        self._set_ns = _timerfd_setter()
        self._fd = _timerfd_create()
        loop.add_reader(self._fd, on_wake)

    def arm(self, due_s: float) -> None:
        """Wake at ``due_s``. 0 would disarm, so the earliest instant is 1 ns."""
        self._set_ns(self._fd, max(1, int(due_s * 1e9)))

    def disarm(self) -> None:
        """Wake no more until armed again."""
        self._set_ns(self._fd, 0)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class ThreadAlarm:
    """A daemon thread that waits for the instant and tells the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_wake: OnWake) -> None:
        self._loop = loop
        self._on_wake = on_wake
        self._due_s: float | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._wait, name="nearway-alarm", daemon=True)
        self._thread.start()

    def arm(self, due_s: float) -> None:
        """Wake at ``due_s``."""
        with self._changed:
            self._due_s = due_s
            self._changed.notify()

    def disarm(self) -> None:
        """Wake no more until armed again."""
        with self._changed:
            self._due_s = None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _wait(self) -> None:
        with self._changed:
            while not self._closed:
                left_s = None if self._due_s is None else self._due_s - time.monotonic()
                if left_s is None or left_s > 0:
                    self._changed.wait(left_s)
                    continue
                self._due_s = None
                with contextlib.suppress(RuntimeError):  # the loop was closed before the alarm
                    self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._closed:
            self._on_wake()


class _Itimerspec(ctypes.Structure):
    """struct itimerspec: interval, then the first expiration; both seconds, nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def timerfd_offered() -> bool:
    """True on Linux, where a loop can be woken by a timerfd."""
    return sys.platform == "linux"


def _timerfd_create() -> int:
    """A non-blocking, close-on-exec timerfd on CLOCK_MONOTONIC."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        return os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create failed")
    return fd


def _timerfd_setter() -> Callable[[int, int], None]:
    """``set_ns(fd, due_ns)``: arm at an absolute instant, or disarm when it is 0."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":

        def set_ns(fd: int, due_ns: int) -> None:
            os.timerfd_settime_ns(fd, flags=os.TFD_TIMER_ABSTIME, initial=due_ns)

        return set_ns
    settime = ctypes.CDLL(None, use_errno=True).timerfd_settime
    spec = _Itimerspec()
    reference = ctypes.byref(spec)

    def set_by_ctypes(fd: int, due_ns: int) -> None:
        spec.value_s, spec.value_ns = divmod(due_ns, 1_000_000_000)
        if settime(fd, _TFD_TIMER_ABSTIME, reference, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    return set_by_ctypes
