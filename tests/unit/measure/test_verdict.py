"""The verdict over synthetic samples: ruling, reason, sentence, what stands beside it."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from gateway.measure.blame import Expected
from gateway.measure.intervals import Interval
from gateway.measure.noise import LoopState, Witness, witnesses
from gateway.measure.samples import Samples
from gateway.measure.service_area import AreaRules, City, Coverage, ServiceArea
from gateway.measure.verdict import Case, Verdict, judge, percent, rule, total_of
from gateway.wan import PROFILES

CITIES = {"Near": (4.0, 10_000_000), "Mid": (8.0, 5_000_000), "Far": (20.0, 25_000_000)}
QUIET = LoopState(late_p99_ms=0.1)


def area(*, reading: str = "round-trip", budget_ms: float = 1.0) -> ServiceArea:
    rules = AreaRules(reading=reading, service_budget_ms=budget_ms)
    cities = tuple(
        City(name, people, 30.0, 110.0, ms, ms, ms / 3, "c", 0.5)
        for name, (ms, people) in CITIES.items()
    )
    inside = tuple(c.network_ms <= rules.network_ms_max for c in cities)
    return ServiceArea(
        rules, cities, inside, Coverage(40_000_000, 0.375, 0.4, 0.2, 0.3, 0.5, 0.6, 0.95)
    )


def run(
    n: int = 12_000,
    *,
    late_share: float = 0.0,
    late_part: str = "network",
    unanswered: float = 0.0,
    seconds: float = 60.0,
    gateway_ms: float = 0.2,
    sent_ms: float = 0.05,
    far_share: float = 0.15,
) -> Samples:
    """Requests at random instants: ``far_share`` of them from Far, the rest by people."""
    random = np.random.default_rng(5)
    names = tuple(CITIES)
    near = (1 - far_share) * 2 / 3
    origin = random.choice(3, n, p=[near, near / 2, far_share]).astype(np.int32)
    parts = {
        "network": np.array([CITIES[name][0] for name in names])[origin],
        "queue": np.zeros(n),
        "service": np.full(n, 0.2),
        "gateway": np.full(n, gateway_ms),
        "client": np.full(n, 0.1),
    }
    parts[late_part] = parts[late_part] + np.where(random.random(n) < late_share, 30.0, 0.0)
    lost = random.random(n) < unanswered
    return Samples(
        np.sort(random.uniform(0, seconds, n)),
        origin,
        np.where(lost, 0, 200).astype(np.int32),
        sum(parts.values(), np.zeros(n)),
        *(
            np.where(lost, math.nan, parts[k])
            for k in ("client", "gateway", "network", "queue", "service")
        ),
        np.full(n, sent_ms),
        np.full(n, -1, np.int32),
        names,
        (),
    )


def verdict(
    samples: Samples,
    *,
    areas: Sequence[ServiceArea] = (),
    timer_p99_ms: float = 0.1,
    loop: LoopState = QUIET,
    ran_s: float = 60.0,
) -> Verdict:
    expected = Expected({name: ms for name, (ms, _) in CITIES.items()}, run_ms=0.2)
    noise = witnesses(samples, timer_p99_ms=timer_p99_ms, loop=loop)
    both = tuple(areas) or (area(), area(reading="one-way"))
    return judge(Case(samples, ran_s, both, PROFILES["cloud"], expected, noise))


def test_pass_when_the_lower_bound_reaches_the_objective() -> None:
    found = verdict(run(late_share=0.003))
    assert found.ruling == "pass"
    assert found.share.low >= 0.99
    assert found.share.value == pytest.approx(0.997, abs=0.002)


def test_fail_when_the_upper_bound_is_below_it() -> None:
    found = verdict(run(late_share=0.05))
    assert found.ruling == "fail"
    assert found.share.high < 0.99


def test_cannot_tell_when_the_objective_lies_in_the_interval() -> None:
    found = verdict(run(late_share=0.0105))
    assert found.ruling == "cannot tell"
    assert "lies in the interval" in found.reason


def test_cannot_tell_when_the_run_was_too_short_and_how_long_would_do() -> None:
    found = verdict(run(n=600, late_share=0.01, seconds=3.0), ran_s=3.0)
    assert found.ruling == "cannot tell"
    assert "points wide" in found.reason
    assert found.seconds_needed > 3.0
    assert "a run of about" in found.sentence


def test_a_short_run_that_is_plainly_late_fails_all_the_same() -> None:
    found = verdict(run(n=300, late_share=0.6, seconds=3.0), ran_s=3.0)
    assert found.share.half_width > 0.005
    assert found.ruling == "fail"


@pytest.mark.parametrize(
    ("samples", "timer_p99_ms", "loop", "words"),
    [
        (run(), 0.9, QUIET, "a bare timer's p99 lateness was 0.90 ms"),
        (run(sent_ms=0.8), 0.1, QUIET, "the generator's p99 lateness in sending was 0.80 ms"),
        (run(), 0.1, LoopState(late_p99_ms=4.0), "the gateway loop's p99 lateness was 4.00 ms"),
    ],
)
def test_cannot_tell_on_a_busy_machine_however_good_the_share(
    samples: Samples, timer_p99_ms: float, loop: LoopState, words: str
) -> None:
    found = verdict(samples, timer_p99_ms=timer_p99_ms, loop=loop)
    assert found.ruling == "cannot tell"
    assert found.share.low >= 0.99
    assert words in found.sentence


def test_the_unanswered_are_misses_and_are_named() -> None:
    found = verdict(run(unanswered=0.05))
    assert found.ruling == "fail"
    assert found.blame.part == "errors"
    assert "not answered at all" in found.sentence
    assert found.area_unanswered > 0


def test_two_planted_milliseconds_in_the_gateway_are_found_there() -> None:
    found = verdict(run(gateway_ms=2.2))
    assert found.ruling == "fail"
    assert found.share.value == pytest.approx(2 / 3, abs=0.01)
    assert found.blame.part == "gateway"
    assert "gateway took 1.7 ms more than expected" in found.sentence


@pytest.mark.parametrize("part", ["network", "queue", "service", "gateway"])
def test_each_part_can_be_to_blame(part: str) -> None:
    assert verdict(run(late_share=0.1, late_part=part)).blame.part == part


def test_the_sentence_names_area_people_interval_everybody_and_physics() -> None:
    found = verdict(run())
    for words in (
        "Pass: 100 % (",
        "2 cities of the service area with 15.0 million people",
        "37.5 % of the mainland's city people",
        "within 10 ms round trip",
        "everybody in the mainland's 3 cities (40.0 million people) 37.5 %",
        "straight fibre would allow 95.00 %",
    ):
        assert words in found.sentence
    assert ". " not in found.sentence


def test_a_custom_area_is_marked() -> None:
    custom = (area(budget_ms=3.0), area(reading="one-way", budget_ms=3.0))
    found = verdict(run(), areas=custom)
    assert "a custom area (service budget 3 ms)" in found.sentence
    assert "custom" not in verdict(run()).sentence


def test_everybody_is_weighted_by_people_not_by_how_often_they_were_drawn() -> None:
    thin = verdict(run(far_share=0.05)).everybody
    thick = verdict(run(far_share=0.6)).everybody
    assert thin.value == pytest.approx(15 / 40)
    assert thick.value == pytest.approx(15 / 40)


def test_without_requests_from_outside_nothing_is_claimed_for_everybody() -> None:
    found = verdict(run(far_share=0.0))
    assert math.isnan(found.everybody.value)
    assert "(40.0 million people) – %" in found.sentence


def test_both_readings_are_shown_each_with_its_own_area() -> None:
    strict, loose = verdict(run()).readings
    assert (strict.reading, strict.cities) == ("round-trip", 2)
    assert (loose.reading, loose.cities) == ("one-way", 2)
    assert loose.everybody.value == pytest.approx(15 / 40)
    assert strict.share.value == 1.0


def test_one_way_holds_half_the_network_against_the_target() -> None:
    samples = run(n=100, far_share=0.0)
    strict = total_of(samples, AreaRules())
    loose = total_of(samples, AreaRules(reading="one-way"))
    np.testing.assert_allclose(strict - loose, samples.network_ms / 2)


def test_parts_add_up_and_share_the_mean() -> None:
    parts = {part.name: part for part in verdict(run()).parts}
    assert sum(part.share for part in parts.values()) == pytest.approx(1.0)
    assert parts["gateway"].p50_ms == pytest.approx(0.2)


def test_the_radius_shrinks_by_what_we_take() -> None:
    fast, slow = (verdict(run(gateway_ms=ms)).radii[0] for ms in (0.2, 1.2))
    assert fast.path_km - slow.path_km == pytest.approx(100 / PROFILES["cloud"].near_ms, abs=0.1)
    assert fast.people_share == pytest.approx(15 / 40)


def test_nothing_from_the_area_cannot_tell() -> None:
    everything = run(n=500)
    only_far = everything.where(everything.origin == 2)
    found = verdict(only_far)
    assert found.ruling == "cannot tell"
    assert found.reason == "no request came from the service area"
    assert "nothing was measured" in found.sentence


def test_an_empty_run_cannot_tell() -> None:
    empty = run(n=10).where(np.zeros(10, dtype=np.bool_))
    assert verdict(empty).ruling == "cannot tell"


def test_near_the_objective_no_sensible_run_would_tell() -> None:
    ruling, _, needed_s = rule(Interval(0.988, 0.9901, 0.992), 0.99, ran_s=60.0, noise=())
    assert ruling == "cannot tell"
    assert needed_s == math.inf


def test_every_busy_witness_is_named() -> None:
    busy = (Witness("a", 1.0, 0.5, "this"), Witness("b", 2.0, 0.5, "that"))
    _, reason, _ = rule(Interval(1.0, 1.0, 1.0), 0.99, ran_s=60.0, noise=busy)
    assert "this was 1.00 ms" in reason
    assert "that was 2.00 ms" in reason


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.0, "0 %"), (0.99616, "99.62 %"), (0.2784, "27.8 %"), (math.nan, "– %")],
)
def test_percent_shows_the_digits_that_matter(share: float, words: str) -> None:
    assert percent(share) == words
