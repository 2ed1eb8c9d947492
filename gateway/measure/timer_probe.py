"""The noise floor: how late this machine wakes a process that asks for nothing else.

A process of its own asks to be woken every 5 ms and notes by how much it was late. What it
sees (other processes, a hypervisor taking the core, the kernel's timer slack of about 0.05 ms)
hits every process of the measurement too, so no latency can be judged finer than this.

``python -m gateway.measure.timer_probe`` runs until its input closes or SIGTERM, then prints
one line of JSON. ``TimerProbe`` runs that beside a measurement. ``time.sleep`` is
``clock_nanosleep`` to an absolute instant of the monotonic clock (Python 3.11 on Linux).
"""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from types import TracebackType

import msgspec
import numpy as np

PERIOD_S = 0.005
SAMPLES_MAX = 8 * 3600 * 200
"""Eight hours of wake-ups; after that the probe stops noting."""
READY = "ready"
START_WAIT_S = 15.0
STOP_WAIT_S = 5.0


class Noise(msgspec.Struct, frozen=True):
    """Lateness of wake-ups, ms. ``by_second``: the largest of each second since the start."""

    count: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    by_second: list[float] = []


def probe(
    stopped: Callable[[], bool],
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Noise:
    """Ask to be woken every ``PERIOD_S`` until ``stopped()``; the lateness seen.

    After a wake-up later than a period the missed ones are skipped, as a timer would.
    """
    late_ms = array("d")
    at_s = array("d")
    start_s = now()
    due_s = start_s + PERIOD_S
    while not stopped() and len(late_ms) < SAMPLES_MAX:
        sleep(max(0.0, due_s - now()))
        woken_s = now()
        late_ms.append((woken_s - due_s) * 1e3)
        at_s.append(due_s - start_s)
        due_s += PERIOD_S * max(1, int((woken_s - due_s) / PERIOD_S) + 1)
    return summary(late_ms, at_s)


def summary(late_ms: array[float], at_s: array[float]) -> Noise:
    """The figures of lateness ``late_ms`` at instants ``at_s`` (seconds since the start)."""
    if not late_ms:
        return Noise()
    late = np.frombuffer(late_ms, dtype=np.float64)
    second = np.frombuffer(at_s, dtype=np.float64).astype(np.int64)
    by_second = np.zeros(int(second.max()) + 1)
    np.maximum.at(by_second, second, late)
    p50_ms, p99_ms, max_ms = np.percentile(late, (50, 99, 100)).tolist()
    return Noise(late.size, p50_ms, p99_ms, max_ms, [round(v, 4) for v in by_second.tolist()])


class TimerProbe:
    """Runs the probe in a process of its own; ``noise`` holds what it saw after the block.

    Raises RuntimeError on entry when the process does not come up. A probe that died
    meanwhile leaves a ``Noise`` with count 0.
    """

    def __init__(self) -> None:
        self.noise = Noise()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> TimerProbe:
        command = [sys.executable, "-m", "gateway.measure.timer_probe"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._process = process
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_WAIT_S)
        if not ready or process.stdout.readline().strip() != READY.encode():
            self._end(process)
            raise RuntimeError(
                f"the timer probe did not start within {START_WAIT_S} s: is "
                f"{' '.join(command)} runnable here?"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            told = self._end(self._process)
            with contextlib.suppress(msgspec.DecodeError):
                self.noise = msgspec.json.decode(told, type=Noise)

    def _end(self, process: subprocess.Popen[bytes]) -> bytes:
        """Close its input and take what it says; killed when it says nothing."""
        self._process = None
        try:
            told, _ = process.communicate(timeout=STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            told, _ = process.communicate()
        return told


def main() -> None:
    """Probe until the input closes or SIGTERM, then print the figures as JSON."""
    stop = threading.Event()

    def until_closed() -> None:
        sys.stdin.buffer.read()
        stop.set()

    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=until_closed, name="timer-probe-input", daemon=True).start()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    noise = probe(stop.is_set)
    sys.stdout.write(msgspec.json.encode(noise).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
