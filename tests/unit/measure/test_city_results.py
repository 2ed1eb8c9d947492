"""City by city: status, cause, and the largest set nearest first."""

import math

import numpy as np
import pytest

from gateway.measure.blame import Expected
from gateway.measure.city_results import CityResult, city_results, nearest_set
from gateway.measure.intervals import wilson
from gateway.measure.samples import Samples
from gateway.measure.service_area import AreaRules, City, Coverage, ServiceArea

COVERAGE = Coverage(40_000_000, 0.5, 0.5, 0.4, 0.5, 0.6, 0.7, 0.9)


def city(name: str, network_ms: float, fibre_ms: float = 1.0, people: int = 10_000_000) -> City:
    return City(name, people, 30.0, 110.0, network_ms, network_ms, fibre_ms, "c", 0.5)


AREA = ServiceArea(
    AreaRules(),
    (city("Near", 4.0), city("Mid", 8.0), city("Edge", 9.2), city("Moon", 30.0, fibre_ms=12.0)),
    (True, True, False, False),
    COVERAGE,
)
EXPECTED = Expected({"Near": 4.0, "Mid": 8.0, "Edge": 9.2, "Moon": 30.0}, run_ms=0.2)


def samples(*rows: tuple[str, int, dict[str, float]], unanswered: int = 0) -> Samples:
    """``rows``: (city, how many, parts that differ); the first ``unanswered`` got no answer."""
    names = tuple(c.name for c in AREA.cities)
    usual = {"queue": 0.0, "service": 0.2, "gateway": 0.2, "client": 0.1}
    columns: dict[str, list[float]] = {k: [] for k in ("network", *usual)}
    origin: list[int] = []
    for name, count, parts in rows:
        origin += [names.index(name)] * count
        for key, column in columns.items():
            default = usual.get(key, EXPECTED.network_ms[name])
            column += [parts.get(key, default)] * count
    n = len(origin)
    arrays = {k: np.array(v) for k, v in columns.items()}
    status = np.full(n, 200, np.int32)
    status[:unanswered] = 0
    return Samples(
        np.arange(n) * 0.01,
        np.array(origin, np.int32),
        status,
        sum(arrays.values(), np.zeros(n)),
        arrays["client"],
        arrays["gateway"],
        arrays["network"],
        arrays["queue"],
        arrays["service"],
        np.zeros(n),
        np.full(n, -1, np.int32),
        names,
        (),
    )


def judged(found: Samples) -> dict[str, CityResult]:
    results = city_results(found, found.client_total_ms, AREA, EXPECTED, objective=0.99)
    return {result.city.name: result for result in results}


def test_in_out_and_why_nobody_is_to_blame_for_distance() -> None:
    results = judged(samples(("Near", 50, {}), ("Edge", 50, {"network": 12.0}), ("Moon", 5, {})))
    assert (results["Near"].status, results["Near"].cause) == ("in", "")
    assert (results["Edge"].status, results["Edge"].cause) == ("out", "path")
    assert (results["Moon"].status, results["Moon"].cause) == ("out", "physics")


@pytest.mark.parametrize("part", ["queue", "service", "gateway", "client"])
def test_a_late_city_names_the_part_that_made_it_late(part: str) -> None:
    result = judged(samples(("Mid", 50, {part: 5.0})))["Mid"]
    assert (result.status, result.cause) == ("late", part)


def test_a_worse_path_than_modelled_is_called_path() -> None:
    assert judged(samples(("Near", 50, {"network": 15.0})))["Near"].cause == "path"


def test_one_late_request_of_few_does_not_make_a_city_late() -> None:
    result = judged(samples(("Near", 20, {}), ("Near", 1, {"queue": 50.0})))["Near"]
    assert result.within.value < 0.99
    assert result.status == "in"


def test_a_city_outside_can_be_in_time_all_the_same() -> None:
    assert judged(samples(("Edge", 50, {})))["Edge"].status == "beyond"
    assert judged(samples(("Edge", 5, {})))["Edge"].status == "out"


def test_the_unanswered_are_infinitely_late() -> None:
    result = judged(samples(("Near", 50, {}), unanswered=40))["Near"]
    assert (result.status, result.cause) == ("late", "errors")
    assert result.p99_ms == math.inf
    assert result.within.value == pytest.approx(0.2)


def test_a_city_without_requests_stands_where_the_model_puts_it() -> None:
    result = judged(samples(("Near", 1, {})))["Mid"]
    assert (result.status, result.requests) == ("in", 0)
    assert math.isnan(result.p99_ms)
    assert math.isnan(result.parts_ms[0])


def own(name: str, p99_ms: float, requests: int = 200, late: int = 0) -> CityResult:
    within = wilson(1 - late / requests, requests)
    parts = (1.0, 0.0, 0.0, 0.0, 0.0)
    return CityResult(city(name, 1.0), "in", "", requests, within, 5.0, p99_ms, parts)


def test_the_set_ends_at_the_first_city_whose_own_p99_is_beyond() -> None:
    results = [own("A", 5), own("B", 8), own("C", 10.5), own("D", 6)]
    found = nearest_set(results, 10.0, objective=0.99)
    assert (found.cities, found.people) == (2, 20_000_000)
    assert (found.ended_by, found.ended_by_p99_ms) == ("C", 10.5)
    assert found.unrefuted_cities == 4


def test_the_set_goes_on_in_the_second_telling_until_a_city_is_shown_to_be_beyond() -> None:
    results = [own("A", 12, late=3), own("B", 40, late=50), own("C", 5)]
    found = nearest_set(results, 10.0, objective=0.99)
    assert found.cities == 0
    assert found.unrefuted_cities == 1


def test_a_city_with_too_few_requests_neither_counts_nor_ends_the_set() -> None:
    results = [own("A", 5), own("B", 50, requests=20), own("C", 6), own("D", 50, requests=20)]
    found = nearest_set(results, 10.0, objective=0.99)
    assert (found.cities, found.unjudged, found.ended_by) == (2, 1, "")
