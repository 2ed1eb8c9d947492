"""Late beats are counted, punctual ones are not."""

from __future__ import annotations

from gateway.runtime.loop_watch import BEAT_S, LoopWatch
from gateway.testing import VirtualTime


class HeldTime(VirtualTime):
    """A clock on which the loop was held: calls come later than they were due."""

    held_s = 0.0

    def now(self) -> float:
        return super().now() + self.held_s


def test_beats_go_on_and_late_ones_are_counted() -> None:
    time, beats = HeldTime(), []
    watch = LoopWatch(time, beats.append)  # type: ignore[arg-type]
    time.run(10.5 * BEAT_S)
    assert len(beats) == 10
    assert watch.state()["blocked_count"] == 0
    time.held_s = 0.005
    time.run(11.5 * BEAT_S)
    state = watch.state()
    assert state["blocked_count"] == 1
    assert 4.9 < state["blocked_ms_max"] < 5.1
    watch.stop()
    time.run(1.0)
    assert len(beats) == 11
