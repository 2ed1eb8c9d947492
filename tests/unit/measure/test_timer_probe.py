import sys
import time

import pytest

from gateway.measure import timer_probe
from gateway.measure.timer_probe import PERIOD_S, Noise, TimerProbe, probe


class Clock:
    """Virtual: ``sleep`` moves it by what was asked and by the next lateness of the script."""

    def __init__(self, late_s):
        self.now_s = 50.0
        self.late_s = list(late_s)

    def now(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds + self.late_s.pop(0)

    def spent(self):
        return not self.late_s


def test_lateness_is_what_the_clock_says_beyond_what_was_asked():
    clock = Clock([0.0001] * 99 + [0.002])
    noise = probe(clock.spent, now=clock.now, sleep=clock.sleep)
    assert noise.count == 100
    assert noise.p50_ms == pytest.approx(0.1)
    assert noise.max_ms == pytest.approx(2.0)


def test_each_second_has_its_own_largest():
    per_second = round(1 / PERIOD_S)
    late = [0.0001] * (3 * per_second)
    late[per_second + 10] = 0.004
    clock = Clock(late)
    by_second = probe(clock.spent, now=clock.now, sleep=clock.sleep).by_second
    assert by_second[1] == pytest.approx(4.0)
    assert max(by_second[0], by_second[2]) == pytest.approx(0.1)


def test_a_long_stall_is_one_late_wake_up_not_many():
    clock = Clock([0.0, 10.0, 0.0, 0.0])
    noise = probe(clock.spent, now=clock.now, sleep=clock.sleep)
    assert noise.count == 4
    assert noise.max_ms == pytest.approx(10_000.0)
    assert noise.p50_ms == pytest.approx(0.0, abs=1e-6)


def test_nothing_seen_is_no_noise():
    assert probe(lambda: True) == Noise()


def test_the_process_beside_a_measurement_tells_what_it_saw():
    with TimerProbe() as beside:
        assert beside.noise.count == 0
        time.sleep(20 * PERIOD_S)  # a process of its own lives in real time
    noise = beside.noise
    assert noise.count > 1
    assert 0 < noise.p50_ms <= noise.p99_ms <= noise.max_ms
    assert max(noise.by_second) == pytest.approx(noise.max_ms, abs=1e-3)


def test_a_probe_that_cannot_start_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(timer_probe, "START_WAIT_S", 2.0)
    with pytest.raises(RuntimeError, match="did not start"), TimerProbe():
        pass
