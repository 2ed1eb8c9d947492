"""Where a model runs: tiny ones inline on the event loop, the others on a few threads.

A hop to a thread costs 43 to 106 us, and two threads slow models under 20 us down (x0.6)
while they speed those over 100 us up (x1.45 to 1.8), because a run releases the GIL. So the
measured run time, for the batch at hand, decides. The loop is given as its
``call_soon_threadsafe``; this room knows no event loop. What waits for a thread is bounded by
the centers' slots, which submit.

Models of class C, whose work can wait, have threads of their own: a run of another class never
stands behind one of theirs. Those threads run at a lower priority where the system has one per
thread (Linux), so that a core both want goes to the other class.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from gateway.api import CenterDown, NdArray
from gateway.engine.loaded_model import LoadedModel

INLINE_OVER_MS = 0.2
"""An inline run longer than this held up the loop noticeably and is counted."""

CLASS_C_NICE = 10
"""A tenth of the share of a thread at 0: beside a core and a half of foreign load the p99 of class
A was 1.05 to 1.3 times that alone, at 0 it was 2.3 to 4.4 times. Not the least there is: where
foreign processes take every core, a thread that has just got the interpreter's lock and no core
keeps the loop waiting too."""

OnDone = Callable[[list[NdArray] | None, Exception | None, float], None]
"""(arrays, error, run_ms): exactly one of the first two is None."""

CancelRun = Callable[[], bool]
"""True: the run will never start and ``on_done`` is never called. False: too late."""


def too_late() -> bool:
    """The cancel of a run that is over."""
    return False


class Runner:
    """Runs models and calls back on the loop. ``blocked_*`` count inline runs that were long."""

    def __init__(
        self,
        threads_max: int,
        inline_below_ms: float,
        call_soon_threadsafe: Callable[..., object],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``threads_max`` 0: one less than the cores, at least one. ``clock`` counts seconds."""
        cores_left = max(1, (os.cpu_count() or 1) - 1)
        self.threads = min(threads_max, cores_left) if threads_max > 0 else cores_left
        self.blocked_count = 0
        self.blocked_ms_max = 0.0
        self._inline_below_ms = inline_below_ms
        self.call_soon_threadsafe = call_soon_threadsafe
        self._clock = clock
        self._closed = False
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix="nearway-run")
        self._class_c = ThreadPoolExecutor(
            max(1, self.threads - 1), "nearway-class-c", initializer=_serve_last
        )

    def submit(
        self,
        model: LoadedModel,
        inputs: Mapping[str, NdArray],
        outputs: Sequence[str],
        on_done: OnDone,
    ) -> CancelRun:
        """Run ``model``; ``on_done`` is called once, on the loop, inline before this returns.

        After ``close`` every run fails with CenterDown.
        """
        if self._closed:
            on_done(None, CenterDown(f"model {model.name!r}: the engine is shut down"), 0.0)
            return too_late
        if model.config.latency_class == "C":
            return self._class_c.submit(self._on_thread, model, inputs, outputs, on_done).cancel
        if model.expected_ms(inputs) < self._inline_below_ms:
            arrays, error, run_ms = self._timed(model, inputs, outputs)
            if run_ms > INLINE_OVER_MS:
                self.blocked_count += 1
                self.blocked_ms_max = max(self.blocked_ms_max, run_ms)
            on_done(arrays, error, run_ms)
            return too_late
        return self._executor.submit(self._on_thread, model, inputs, outputs, on_done).cancel

    def close(self) -> None:
        """Drop what has not started, wait for what runs. Safe to call twice."""
        self._closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._class_c.shutdown(wait=True, cancel_futures=True)

    def _on_thread(
        self,
        model: LoadedModel,
        inputs: Mapping[str, NdArray],
        outputs: Sequence[str],
        on_done: OnDone,
    ) -> None:
        result = self._timed(model, inputs, outputs)
        try:
            self.call_soon_threadsafe(on_done, *result)
        except RuntimeError:
            return  # the loop is closed: nobody waits for the answer any more

    def _timed(
        self, model: LoadedModel, inputs: Mapping[str, NdArray], outputs: Sequence[str]
    ) -> tuple[list[NdArray] | None, Exception | None, float]:
        started_s = self._clock()
        try:
            arrays = model.run(inputs, outputs)
        except Exception as error:  # noqa: BLE001  # request boundary: whoever waits must hear
            return None, error, (self._clock() - started_s) * 1e3
        return arrays, None, (self._clock() - started_s) * 1e3


def _serve_last() -> None:
    """This thread gets a core when the others want none."""
    if sys.platform == "linux":  # elsewhere it would be the whole process's
        with contextlib.suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, 0, min(usual + CLASS_C_NICE, 19))
