import json
import math

import numpy as np
import pytest

from gateway.measure.rate_result import mean_parts, p99_by_second, rate_result
from gateway.measure.samples import Samples
from gateway.measure.timer_probe import Noise

QUIET = Noise(1000, 0.1, 0.2, 0.5, [0.5])


def samples(n=1000, seconds=10, *, late_ms=0.05, status=None, parts=True):
    random = np.random.default_rng(0)
    network = random.uniform(2, 6, n) if parts else np.full(n, np.nan)
    own = np.full(n, 0.5) if parts else network
    total = random.uniform(2, 6, n) + 2.0 if not parts else network + 4 * 0.5
    return Samples(
        intended_s=np.linspace(1, 1 + seconds, n, endpoint=False),
        origin=np.zeros(n, dtype=np.int32),
        status=np.full(n, 200, dtype=np.int32) if status is None else np.asarray(status, np.int32),
        client_total_ms=total,
        client_ms=own,
        gateway_ms=own,
        network_ms=network,
        queue_ms=own,
        service_ms=own,
        late_send_ms=np.full(n, late_ms),
        center=(np.arange(n) % 4 == 0).astype(np.int32),
        origins=("",),
        centers=("north", "south"),
        errors={},
    )


def figures(known, **more):
    given = {
        "rate": 100.0,
        "duration_s": 10.0,
        "warmup_s": 1.0,
        "target_ms": 7.0,
        "noise": QUIET,
    }
    return rate_result(known, **{**given, **more})


def test_the_figures_are_those_of_the_samples():
    known = samples()
    result = figures(known)
    assert result.requests == result.answered == 1000
    assert result.achieved_rate == pytest.approx(100.0, rel=0.02)
    assert result.share_within.value == np.mean(known.client_total_ms <= 7.0)
    assert result.latency_ms["p50"].value == pytest.approx(6.0, abs=0.2)
    assert result.centers == {"north": 750, "south": 250}
    assert sum(result.histogram) == 1000
    assert len(result.histogram_edges_ms) == len(result.histogram) + 1
    assert result.limited_by == ""
    assert len(result.p99_by_second_ms) == 10


def test_answers_after_the_time_are_not_achieved():
    known = samples()
    known.client_total_ms[:] += 5000.0
    assert figures(known).achieved_rate == pytest.approx(50.0, rel=0.02)


def test_mean_parts_add_up_and_the_slowest_are_slow_because_of_the_network():
    known = samples()
    typical, slowest = mean_parts(known, 0.4, 0.6), mean_parts(known, 0.99, 1.0)
    assert sum(typical.values()) == pytest.approx(6.0, abs=0.2)
    assert slowest["network"] > typical["network"] + 1.5
    assert slowest["queue"] == typical["queue"] == pytest.approx(0.5)


def test_a_foreign_server_has_no_parts():
    result = figures(samples(parts=False))
    assert result.parts_ms == result.typical_ms == result.slowest_ms == {}
    assert math.isfinite(result.latency_ms["p99"].value)


@pytest.mark.parametrize(
    ("late_ms", "late_now_and_then_ms", "noise_p99_ms", "blamed"),
    [
        (0.1, 0.1, 0.2, ""),
        (5.0, 5.0, 0.2, "generator"),
        (5.0, 5.0, 9.0, "generator"),
        (0.1, 5.0, 0.2, "machine"),
        (0.1, 0.1, 3.0, "machine"),
    ],
)
def test_who_is_to_blame(late_ms, late_now_and_then_ms, noise_p99_ms, blamed):
    known = samples(late_ms=late_ms)
    known.late_send_ms[::20] = late_now_and_then_ms
    noise = Noise(1000, 0.1, noise_p99_ms, 9.0, [])
    assert figures(known, noise=noise).limited_by == blamed


def test_nothing_answered_still_has_a_result():
    result = figures(samples(status=[0] * 1000))
    assert result.answered == 0
    assert result.share_within.value == 0.0
    assert result.latency_ms["p50"].value == math.inf
    assert set(result.p99_by_second_ms) == {math.inf}
    assert sum(result.histogram) == 0


def test_no_request_at_all_has_one_too():
    result = figures(samples(n=0))
    assert math.isnan(result.latency_ms["p50"].value)
    assert result.p99_by_second_ms == []


def test_seconds_without_requests_are_gaps():
    known = samples()
    told = p99_by_second(known.where((known.intended_s < 3) | (known.intended_s >= 4)))
    assert math.isnan(told[2])
    assert json.dumps([v for v in told if not math.isnan(v)])
