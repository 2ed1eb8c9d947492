"""Who is to blame for late requests."""

import math

import numpy as np
import pytest

from gateway.measure.blame import Expected, blame
from gateway.measure.samples import Samples
from gateway.measure.service_area import AreaRules

EXPECTED = Expected({"Nanjing": 4.0, "Hefei": 5.0}, run_ms=0.2, speed={"slow": 3.0})
ROUND_TRIP = AreaRules()


def late(n: int = 4, status: int = 200, center: str = "fast", **part_ms: float) -> Samples:
    parts = {"network": 4.0, "queue": 0.0, "service": 0.2, "gateway": 0.2, "client": 0.1}
    parts |= part_ms
    row = {name: np.full(n, ms if status == 200 else math.nan) for name, ms in parts.items()}
    return Samples(
        np.arange(n, dtype=np.float64),
        np.zeros(n, np.int32),
        np.full(n, status, np.int32),
        sum(row.values(), np.zeros(n)),
        row["client"],
        row["gateway"],
        row["network"],
        row["queue"],
        row["service"],
        np.zeros(n),
        np.zeros(n, np.int32),
        ("Nanjing", "Hefei"),
        (center,),
    )


@pytest.mark.parametrize("part", ["network", "queue", "service", "gateway", "client"])
def test_the_part_that_took_the_most_beyond_its_expectation(part: str) -> None:
    slow = {"network": 7.0, "queue": 3.0, "service": 3.2, "gateway": 3.2, "client": 3.1}[part]
    found = blame(late(**{part: slow}), EXPECTED, ROUND_TRIP)
    assert found.part == part
    assert found.over_ms[part] == max(found.over_ms.values())
    assert f"{part} took" in found.sentence


def test_nothing_beyond_its_expectation_blames_nobody() -> None:
    found = blame(late(), EXPECTED, ROUND_TRIP)
    assert found.part == ""
    assert found.sentence == ""


def test_a_long_network_of_a_far_city_is_expected() -> None:
    found = blame(late(network=4.0, gateway=0.6), EXPECTED, ROUND_TRIP)
    assert found.part == "gateway"
    assert found.over_ms["network"] == pytest.approx(0.0)


def test_gateway_and_client_share_half_a_millisecond() -> None:
    found = blame(late(gateway=0.3, client=0.3), EXPECTED, ROUND_TRIP)
    assert found.over_ms["gateway"] + found.over_ms["client"] == pytest.approx(0.1)


def test_a_slow_center_may_take_its_speed_factor_longer() -> None:
    fair = blame(late(center="slow", service=0.6), EXPECTED, ROUND_TRIP)
    assert fair.over_ms["service"] == pytest.approx(0.0)
    assert blame(late(center="fast", service=0.6), EXPECTED, ROUND_TRIP).part == "service"


def test_an_unknown_run_time_never_blames_service() -> None:
    found = blame(late(service=50.0, queue=1.0), Expected({"Nanjing": 4.0}), ROUND_TRIP)
    assert found.part == "queue"


def test_one_way_counts_half_of_the_network_on_both_sides() -> None:
    found = blame(late(network=6.0), EXPECTED, AreaRules(reading="one-way"))
    assert found.over_ms["network"] == pytest.approx(1.0)


def test_requests_without_an_answer_are_errors() -> None:
    found = blame(late(status=-1), EXPECTED, ROUND_TRIP)
    assert found.part == "errors"
    assert found.sentence == "4 of 4 late requests were not answered at all"


def test_no_late_request_no_blame() -> None:
    assert blame(late(n=0), EXPECTED, ROUND_TRIP).part == ""
