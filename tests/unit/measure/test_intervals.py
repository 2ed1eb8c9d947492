import math

import numpy as np
import pytest

from gateway.measure import intervals
from gateway.measure.samples import Samples


def samples(total_ms, status, intended_s, origin=None, origins=("a",)):
    n = len(total_ms)
    nothing = np.full(n, np.nan)
    return Samples(
        intended_s=np.asarray(intended_s, dtype=np.float64),
        origin=np.asarray(origin if origin is not None else [0] * n, dtype=np.int32),
        status=np.asarray(status, dtype=np.int32),
        client_total_ms=np.asarray(total_ms, dtype=np.float64),
        client_ms=nothing,
        gateway_ms=nothing,
        network_ms=nothing,
        queue_ms=nothing,
        service_ms=nothing,
        late_send_ms=nothing,
        center=np.full(n, -1, dtype=np.int32),
        origins=origins,
    )


def run(seed, *, rate=60, seconds=20, shared=0.0):
    """Log-normal latencies of median 1; ``shared`` is the part of the spread a second shares."""
    random = np.random.default_rng(seed)
    n = random.poisson(rate * seconds)
    at = np.sort(random.uniform(0, seconds, n))
    second = random.normal(0, 1, seconds)[at.astype(int)]
    own = random.normal(0, 1, n)
    return np.exp(math.sqrt(shared) * second + math.sqrt(1 - shared) * own), at


@pytest.mark.parametrize(("shared", "least"), [(0.0, 0.94), (0.25, 0.88)])
def test_the_interval_of_the_median_covers_the_true_one(shared, least):
    covered = 0
    for seed in range(120):
        values, at = run(seed, shared=shared)
        found = intervals.quantile_of(values, at, 0.5, replicates=200, seed=seed)
        covered += found.low <= 1.0 <= found.high
    assert covered / 120 >= least


def test_the_interval_of_a_share_covers_the_true_one_where_seconds_differ():
    covered = 0
    for seed in range(120):
        values, at = run(seed, shared=0.25)
        found = intervals.share_of(values <= 1.0, at, replicates=200, seed=seed)
        covered += found.low <= 0.5 <= found.high
    assert covered / 120 >= 0.88


def test_blocks_make_an_interval_wider_than_independence_would():
    values, at = run(3, shared=0.5)
    hit = values <= 1.0
    found = intervals.share_of(hit, at)
    independent = intervals.wilson(float(hit.mean()), hit.size)
    assert found.half_width > 1.5 * independent.half_width


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_a_run_without_a_failure_is_not_taken_for_certain(n):
    found = intervals.share_of(np.ones(n, bool), np.linspace(0, 30, n, endpoint=False))
    assert found.value == found.high == 1.0
    assert 3.0 / n <= 1.0 - found.low <= 4.0 / n


def test_unanswered_and_refused_requests_are_misses():
    at = np.linspace(0, 10, 100, endpoint=False)
    status = [200] * 90 + [0, -1, 500, 503, 429] * 2
    known = samples([1.0] * 100, status, at)
    assert intervals.share_within(known, 10.0).value == pytest.approx(0.9)
    assert intervals.quantile_interval(known, 0.5).value == 1.0
    assert intervals.quantile_interval(known, 0.95).value == math.inf


def test_the_target_itself_is_within_and_another_total_can_be_judged():
    known = samples([10.0, 10.1], [200, 200], [0.0, 0.5])
    assert intervals.share_within(known, 10.0).value == 0.5
    other = np.array([10.0, 9.0])
    assert intervals.share_within(known, 10.0, total_ms=other).value == 1.0


def test_a_high_percentile_of_few_requests_has_no_upper_end():
    values, at = np.arange(1000.0), np.linspace(0, 10, 1000, endpoint=False)
    found = intervals.quantile_of(values, at, 0.999)
    assert found.value == 998.0
    assert found.high == math.inf
    assert found.as_json()["high"] is None
    assert math.isfinite(intervals.quantile_of(values, at, 0.9).high)


@pytest.mark.parametrize(
    ("n", "q", "ranks"),
    [(100, 0.5, (39, 60)), (1000, 0.999, (996, 1000)), (3, 0.5, (-1, 3))],
)
def test_ranks_are_those_of_the_binomial(n, q, ranks):
    assert intervals.binomial_ranks(n, q) == ranks


def test_ranks_by_the_normal_join_those_by_the_binomial():
    exact = intervals.binomial_ranks(799, 0.5)
    normal = intervals.binomial_ranks(801, 0.5)
    assert max(abs(a - b) for a, b in zip(exact, normal, strict=True)) <= 3


def test_a_quantile_on_the_grid_is_near_the_bootstrap_done_one_by_one():
    values, at = run(5, rate=500, shared=0.2)
    found = intervals.quantile_of(values, at, 0.99, replicates=400, seed=1)
    block = at.astype(int)
    random = np.random.default_rng(2)
    slow = []
    for _ in range(400):
        drawn = random.integers(0, 20, 20)
        pieces = np.concatenate([values[block == b] for b in drawn])
        slow.append(np.quantile(pieces, 0.99, method="inverted_cdf"))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert found.low <= low * 1.03
    assert found.high >= high * 0.97
    assert found.half_width < 2.0 * (high - low) / 2


def test_the_same_seed_gives_the_same_interval():
    values, at = run(1)
    one, two = (intervals.quantile_of(values, at, 0.9, seed=4) for _ in range(2))
    assert one == two


def test_strata_count_by_weight_and_not_by_how_often_they_were_drawn():
    at = np.linspace(0, 20, 400, endpoint=False)
    origin = np.array([0] * 300 + [1] * 100)
    np.random.default_rng(0).shuffle(origin)
    known = samples(np.where(origin == 0, 1.0, 50.0), [200] * 400, at, origin, ("near", "far"))
    plain = intervals.share_within(known, 10.0)
    even = intervals.share_within(known, 10.0, weights=np.array([1.0, 1.0]))
    assert plain.value == pytest.approx(0.75)
    assert even.value == pytest.approx(0.5)
    assert 0.0 < even.half_width < plain.half_width


def test_an_origin_without_requests_gives_its_weight_to_the_others():
    at = np.linspace(0, 5, 50, endpoint=False)
    known = samples([1.0] * 50, [200] * 50, at, [0] * 50, ("seen", "unseen"))
    found = intervals.share_within(known, 10.0, weights=np.array([1.0, 9.0]))
    assert found.value == 1.0
    with pytest.raises(ValueError, match="weights for 2 origins"):
        intervals.share_within(known, 10.0, weights=np.array([1.0]))


def test_nothing_measured_is_nothing_known():
    empty = samples([], [], [])
    assert math.isnan(intervals.share_within(empty, 10.0).value)
    assert math.isnan(intervals.quantile_interval(empty, 0.5).high)
    assert math.isnan(intervals.share_within(empty, 1.0, weights=np.ones(1)).low)


def test_half_the_width_takes_four_times_as_long():
    found = intervals.Interval(0.9, 0.95, 1.0)
    assert intervals.seconds_needed(found, 60.0, 0.025) == pytest.approx(240.0)
    assert intervals.seconds_needed(intervals.Interval(1, 2, math.inf), 60.0, 1.0) == math.inf
    with pytest.raises(ValueError, match="above 0"):
        intervals.seconds_needed(found, 60.0, 0.0)


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0])
def test_a_quantile_outside_0_to_1_is_refused(q):
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.quantile_of(np.ones(3), np.ones(3), q)
