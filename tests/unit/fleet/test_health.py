"""Health is a state machine: every row of its table, the cap, panic, and what it says."""

from random import Random

import pytest

from gateway.fleet.health import Health, blames_center
from gateway.fleet.tuning import HealthTuning

TUNING = HealthTuning(jitter=0.0)
DOWN, FAILED = "center_down", "center_failed"


def health_of(n: int = 8, regions: list[str] | None = None) -> Health:
    return Health(regions or ["r"] * n, Random(1), TUNING)


def put_in(stage: str, cause: str = DOWN) -> Health:
    """A fleet whose center 0 is in ``stage`` at second 10."""
    health = health_of()
    if stage == "ok":
        return health
    for _ in range(4):
        health.erred(0, cause, 10.0)
    if stage == "half_open":
        health.probed(0, 10.0, alive=True)
    assert health.conditions[0].stage == stage
    return health


@pytest.mark.parametrize(
    ("stage", "event", "becomes", "serves"),
    [
        ("ok", "answer", "ok", True),
        ("ok", "down", "ejected", False),
        ("ok", "one error", "ok", True),
        ("ok", "four errors", "ejected", False),
        ("ok", "alive", "ok", True),
        ("ok", "silent", "ok", True),
        ("ejected", "answer", "ejected", False),
        ("ejected", "down", "ejected", False),
        ("ejected", "four errors", "ejected", False),
        ("ejected", "alive", "half_open", True),
        ("ejected", "silent", "ejected", False),
        ("half_open", "answer", "ok", True),
        ("half_open", "down", "ejected", False),
        ("half_open", "one error", "ejected", False),
        ("half_open", "alive", "half_open", True),
    ],
)
def test_every_transition(stage: str, event: str, becomes: str, serves: bool) -> None:
    health = put_in(stage)
    now = 11.0
    if event == "answer":
        changed = health.answered(0, now)
    elif event in ("alive", "silent"):
        changed = health.probed(0, now, alive=event == "alive")
    else:
        reason = DOWN if event == "down" else FAILED
        times = 4 if event == "four errors" else 1
        changed = sum(health.erred(0, reason, now) for _ in range(times)) > 0
    assert health.conditions[0].stage == becomes
    assert health.in_service()[0] is serves
    assert changed == (stage != becomes)
    assert all(health.in_service()[1:])


def test_three_errors_among_answers_do_not_eject_but_half_errors_do() -> None:
    health = health_of()
    for k in range(300):
        if k % 10 == 0:
            health.erred(0, FAILED, 0.1 * k)
        else:
            health.answered(0, 0.1 * k)
    assert health.conditions[0].stage == "ok"
    for k in range(20):
        health.erred(0, FAILED, 40.0 + k)
        health.answered(0, 40.5 + k)
    assert health.conditions[0].stage == "ejected"


def test_penalties_double_to_their_bound_and_probes_come_once() -> None:
    health = put_in("ejected")
    now, waits = 10.0, []
    for _ in range(8):
        due_at = health.conditions[0].probe_at
        assert health.due(due_at - 0.01) == []
        assert health.due(due_at) == [0]
        assert health.due(due_at + 0.1) == []
        waits.append(due_at - now)
        now = due_at
        health.probed(0, now, alive=False)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_probe_nobody_answers_is_sent_again() -> None:
    health = put_in("ejected")
    assert health.due(11.0) == [0]
    assert health.due(11.0 + TUNING.probe_s) == [0]


def test_a_center_that_fails_again_soon_waits_longer_and_later_it_is_forgiven() -> None:
    health = put_in("half_open")
    health.answered(0, 12.0)
    health.erred(0, DOWN, 20.0)
    assert health.conditions[0].probe_at == 22.0
    health.probed(0, 22.0, alive=True)
    health.answered(0, 23.0)
    health.erred(0, DOWN, 23.0 + TUNING.forgive_s + 1.0)
    assert health.conditions[0].probe_at == 23.0 + TUNING.forgive_s + 2.0


def test_penalties_are_spread() -> None:
    health = Health(["r"] * 50, Random(1), HealthTuning())
    for center in range(50):
        health.erred(center, DOWN, 0.0)
    waits = [it.probe_at for it in health.conditions]
    assert 0.8 <= min(waits) < 0.9
    assert 1.1 < max(waits) <= 1.2


def test_errors_eject_at_most_half_of_a_region_but_refusals_always() -> None:
    health = health_of(regions=["a"] * 4 + ["b"] * 12)
    for center in range(4):
        for _ in range(6):
            health.erred(center, FAILED, 1.0)
    assert [it.stage for it in health.conditions[:4]] == ["ejected", "ejected", "ok", "ok"]
    for center in range(4):
        health.erred(center, DOWN, 2.0)
    assert not any(health.in_service()[:4])


def test_the_only_center_of_a_region_may_be_ejected() -> None:
    health = health_of(regions=["a", "b", "c", "d"])
    for _ in range(4):
        health.erred(0, FAILED, 1.0)
    assert health.in_service() == [False, True, True, True]


def test_panic_ignores_ejections_for_errors_and_keeps_those_for_refusals() -> None:
    health = health_of(regions=["a", "b", "c", "d", "e"])
    health.erred(0, DOWN, 1.0)
    for center in (1, 2):
        for _ in range(4):
            health.erred(center, FAILED, 1.0)
    assert health.in_service() == [False, True, True, True, True]
    health.probed(0, 2.0, alive=True)
    assert health.in_service() == [True, False, False, True, True]


def test_drained_centers_are_out_and_do_not_cause_panic() -> None:
    health = health_of(regions=["a", "b", "c", "d"])
    for center in (0, 1):
        health.drain(center, draining=True)
    for _ in range(4):
        health.erred(2, FAILED, 1.0)
    assert health.in_service() == [False, False, False, True]
    health.drain(0, draining=False)
    assert health.in_service()[0]


@pytest.mark.parametrize(
    ("reason", "blamed"),
    [
        ("center_down", True),
        ("center_failed", True),
        ("plugin_error", True),
        ("invalid_request", False),
        ("not_found", False),
        ("too_large", False),
        ("unsupported_media", False),
        ("unsupported", False),
        ("overloaded", False),
        ("no_center", False),
    ],
)
def test_who_is_blamed(reason: str, blamed: bool) -> None:
    assert blames_center(reason, 5.0, 5.0, TUNING) is blamed


def test_a_missed_deadline_is_blamed_only_when_it_was_generous() -> None:
    assert not blames_center("deadline_exceeded", 3.0, 8.0, TUNING)
    assert not blames_center("deadline_exceeded", 40.0, 8.0, TUNING)
    assert blames_center("deadline_exceeded", 1000.0, 8.0, TUNING)
    assert not blames_center("deadline_exceeded", 1000.0, float("nan"), TUNING)


def test_it_says_why() -> None:
    health = health_of()
    for _ in range(3):
        health.erred(0, DOWN, 10.0)
    assert health.why(0, 10.4) == ("refused 3 times in a row, last 0.4 s ago; next probe in 0.6 s")
    health.probed(0, 11.0, alive=True)
    assert "waiting for the first answer" in health.why(0, 11.0)
    health.drain(1, draining=True)
    assert health.why(1, 11.0) == "draining"
    for _ in range(4):
        health.erred(2, FAILED, 11.0)
    assert "19% recent errors (center_failed)" in health.why(2, 11.0)
    assert health.why(3, 11.0) == ""


def test_trouble_ends_when_the_errors_are_forgotten() -> None:
    health = health_of()
    health.erred(0, FAILED, 1.0)
    assert health.troubled[0]
    for _ in range(200):
        if health.troubled[0]:
            health.answered(0, 2.0)
    assert not health.troubled[0]
    assert health.conditions[0].error_rate == 0.0
