"""Health is a state machine: every row of its table, caps, breakers, panic and the way back."""

from __future__ import annotations

from random import Random

import pytest

from gateway.fleet.health import Health, blames_center, silence_of
from gateway.fleet.tuning import HealthTuning

TUNING = HealthTuning(jitter=0.0)
DOWN, FAILED = "center_down", "center_failed"


def health_of(places: list[tuple[str, str]] | None = None) -> Health:
    """Eight regions of one center, or these (region, zone)."""
    return Health(places or [(f"r{i}", "a") for i in range(8)], Random(1), TUNING)


def in_one_region(count: int, others: int) -> list[tuple[str, str]]:
    """``count`` centers in one region, a zone each, and ``others`` elsewhere."""
    return [("a", f"z{i}") for i in range(count)] + [(f"r{i}", "z") for i in range(others)]


def put_in(stage: str, cause: str = DOWN) -> Health:
    """A fleet whose center 0 is in ``stage`` at second 10."""
    health = health_of()
    if stage == "ok":
        return health
    for _ in range(4):
        health.erred(0, cause, 10.0)
    if stage in ("half_open", "returning"):
        health.probed(0, 10.0, alive=True)
    if stage == "returning":
        serve(health, 0, 10.0)
    assert health.conditions[0].stage == stage
    return health


def serve(health: Health, center: int, now: float) -> bool:
    """One request there and back."""
    charged = health.charged(center) if center in health.on_trial else False
    answered = health.answered(center, now) if health.troubled[center] else False
    return charged or answered


def happen(health: Health, event: str, now: float) -> None:
    """An event at center 0, by its name in the table."""
    if event == "answer":
        serve(health, 0, now)
    elif event in ("alive", "dead"):
        health.probed(0, now, alive=event == "alive")
    elif event == "down":
        health.erred(0, DOWN, now)
    elif event.endswith("silent"):
        for _ in range(3 if event.startswith("three") else 1):
            health.silent(0, 1.0, now)
    else:
        for _ in range(4 if event.startswith("four") else 1):
            health.erred(0, FAILED, now)


@pytest.mark.parametrize(
    ("stage", "event", "becomes", "serves"),
    [
        ("ok", "answer", "ok", True),
        ("ok", "down", "ejected", False),
        ("ok", "one error", "ok", True),
        ("ok", "four errors", "ejected", False),
        ("ok", "one silent", "ok", True),
        ("ok", "three silent", "ejected", False),
        ("ok", "alive", "ok", True),
        ("ok", "dead", "ok", True),
        ("ejected", "answer", "ejected", False),
        ("ejected", "down", "ejected", False),
        ("ejected", "four errors", "ejected", False),
        ("ejected", "three silent", "ejected", False),
        ("ejected", "alive", "half_open", True),
        ("ejected", "dead", "ejected", False),
        ("half_open", "answer", "returning", True),
        ("half_open", "down", "ejected", False),
        ("half_open", "one error", "ejected", False),
        ("half_open", "one silent", "ejected", False),
        ("half_open", "alive", "half_open", True),
        ("returning", "answer", "returning", True),
        ("returning", "down", "ejected", False),
        ("returning", "one error", "ejected", False),
        ("returning", "one silent", "ejected", False),
        ("returning", "dead", "returning", True),
    ],
)
def test_every_transition(stage: str, event: str, becomes: str, serves: bool) -> None:
    health = put_in(stage)
    happen(health, event, 11.0)
    assert health.conditions[0].stage == becomes
    assert bool(health.in_service()[0]) is serves
    assert all(health.in_service()[1:])


@pytest.mark.parametrize("reason", [DOWN, FAILED])
def test_an_event_says_whether_something_changed(reason: str) -> None:
    health = health_of()
    changes = [health.erred(0, reason, 1.0) for _ in range(6)]
    assert changes == [reason == DOWN, False, False, reason == FAILED, False, False]


# ---- errors and silence ---------------------------------------------------------------------


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


def test_a_center_that_answers_others_is_not_silent() -> None:
    health = health_of()
    for k in range(60):
        if k % 15 == 0:
            health.silent(0, 1.0, float(k))
            health.silent(0, 1.0, float(k))
        else:
            health.answered(0, float(k))
    assert health.conditions[0].stage == "ok"


def test_an_error_is_not_silence() -> None:
    health = health_of()
    for _ in range(2):
        health.silent(0, 1.0, 1.0)
    health.erred(0, FAILED, 1.0)
    assert health.conditions[0].silence == 0.0


def test_impatient_attempts_prove_less_each() -> None:
    health = health_of()
    proof = silence_of(5.5, 5.0, TUNING)
    asked = 0
    while health.conditions[0].stage == "ok":
        health.silent(0, proof, 1.0)
        asked += 1
    assert asked == 7
    assert health.conditions[0].cusum == 0.0


@pytest.mark.parametrize(
    ("attempt_ms", "predicted_ms", "proof"),
    [
        (12.5, 5.0, 1.0),
        (1000.0, 5.0, 1.0),
        (5.0, 5.0, 0.4),
        (4.9, 5.0, 0.0),
        (20.0, 0.0, 1.0),
        (20.0, float("nan"), 0.0),
        (20.0, float("inf"), 0.0),
    ],
)
def test_what_a_silent_attempt_proves(attempt_ms: float, predicted_ms: float, proof: float) -> None:
    assert silence_of(attempt_ms, predicted_ms, TUNING) == pytest.approx(proof)


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
        ("center_busy", False),
        ("deadline_exceeded", False),
    ],
)
def test_who_is_blamed(reason: str, blamed: bool) -> None:
    assert blames_center(reason) is blamed


def test_errors_eject_at_most_a_third_of_a_region_but_refusals_always() -> None:
    health = health_of(in_one_region(7, 12))
    for center in range(3):
        for _ in range(6):
            health.erred(center, FAILED, float(center))
    assert [it.stage for it in health.conditions[:3]] == ["ejected", "ejected", "ok"]
    health.erred(2, DOWN, 4.0)
    assert health.conditions[2].stage == "ejected"


def test_the_only_center_of_a_region_may_be_ejected() -> None:
    health = health_of()
    for _ in range(4):
        health.erred(0, FAILED, 1.0)
    assert not health.in_service()[0]


# ---- penalties and probes -------------------------------------------------------------------


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


def come_back(health: Health, center: int, now: float) -> None:
    health.probed(center, now, alive=True)
    while health.conditions[center].stage != "ok":
        serve(health, center, now)


@pytest.mark.parametrize(("cause", "due"), [(DOWN, [0]), (FAILED, [])])
def test_a_connection_that_is_back_is_probed_at_once_if_it_was_missed(
    cause: str, due: list[int]
) -> None:
    health = put_in("ejected", cause)
    assert health.due(10.1) == []
    health.reached(0, 10.2)
    assert health.due(10.2) == due
    health.reached(1, 10.2)
    assert health.conditions[1].stage == "ok"


def test_a_center_that_fails_again_soon_waits_longer_and_later_it_is_forgiven() -> None:
    health = put_in("ejected")
    come_back(health, 0, 12.0)
    health.erred(0, DOWN, 20.0)
    assert health.conditions[0].probe_at == 22.0
    come_back(health, 0, 22.0)
    health.erred(0, DOWN, 22.0 + TUNING.forgive_s + 1.0)
    assert health.conditions[0].probe_at == 22.0 + TUNING.forgive_s + 2.0


def test_penalties_are_spread() -> None:
    places = [(f"r{i}", "a") for i in range(50)]
    health = Health(places, Random(1), HealthTuning())
    for center in range(50):
        health.erred(center, DOWN, 0.0)
    waits = [it.probe_at for it in health.conditions]
    assert 0.8 <= min(waits) < 0.9
    assert 1.1 < max(waits) <= 1.2


def test_when_one_center_answers_its_region_is_asked_soon() -> None:
    health = health_of(in_one_region(4, 6))
    health.erred(9, DOWN, 10.0)
    for center in range(4):
        health.erred(center, DOWN, 10.0)
    now = 10.0
    for _ in range(5):
        for center in (0, 1, 2, 3, 9):
            health.probed(center, now, alive=False)
        now += 1.0
    assert health.due(now + TUNING.mates_s) == []
    health.probed(0, now, alive=True)
    assert health.due(now + TUNING.mates_s) == []
    serve(health, 0, now)
    assert health.due(now + TUNING.mates_s) == [1, 2, 3]


# ---- slow start -----------------------------------------------------------------------------


def test_a_returning_center_is_given_one_two_four_eight_at_once() -> None:
    health = put_in("ejected")
    health.probed(0, 11.0, alive=True)
    rounds = []
    while health.conditions[0].stage != "ok":
        given = 0
        while health.in_service()[0]:
            assert health.charged(0) is (given + 1 == health.conditions[0].round)
            given += 1
        rounds.append(given)
        for left in range(given, 0, -1):
            assert not health.in_service()[0]
            assert health.answered(0, 12.0) is (left == 1)
    assert rounds == [1, 2, 4, 8]
    assert health.on_trial == set()
    assert health.in_service()[0]


def test_a_request_that_says_nothing_is_owed_again() -> None:
    health = put_in("half_open")
    assert health.charged(0)
    assert health.unjudged(0)
    assert health.in_service()[0]
    assert not health.unjudged(0)
    assert not health.unjudged(1)
    serve(health, 0, 11.0)
    assert health.conditions[0].stage == "returning"


def test_answers_from_before_the_ejection_do_not_count() -> None:
    health = put_in("half_open")
    health.answered(0, 10.1)
    assert health.conditions[0].stage == "half_open"


def test_nobody_is_on_trial_while_all_are_well() -> None:
    assert not health_of().on_trial


# ---- breakers and panic ---------------------------------------------------------------------


@pytest.mark.parametrize("fails", ["down", "silent", "errors"])
def test_a_region_of_which_more_than_half_fails_is_out(fails: str) -> None:
    health = health_of(in_one_region(7, 12))
    for center in range(4):
        for _ in range(4):
            if fails == "silent":
                health.silent(center, 1.0, 1.0 + 0.1 * center)
            else:
                health.erred(center, DOWN if fails == "down" else FAILED, 1.0 + 0.1 * center)
    assert not health.in_service()[:7].any()
    assert health.in_service()[7:].all()
    assert "out with its region" in health.conditions[6].why(1.5)
    assert health.due(3.0) == list(range(7))


def test_three_silent_attempts_take_out_a_region_that_is_silent_as_a_whole() -> None:
    health = health_of(in_one_region(3, 6))
    assert not health.silent(0, 1.0, 1.0)
    assert not health.silent(1, 1.0, 1.1)
    assert health.silent(0, 1.0, 1.2)
    assert health.in_service().tolist() == [0, 0, 0] + [1] * 6
    assert [health.conditions[center].cause for center in range(3)] == [
        "silent",
        "silent",
        "region",
    ]


@pytest.mark.parametrize("how", ["answered", "doubtful", "long ago", "one alone"])
def test_a_region_that_still_speaks_is_not_silent_as_a_whole(how: str) -> None:
    health = health_of(in_one_region(3, 6))
    health.silent(0, 1.0, 1.0)
    if how != "one alone":
        health.silent(1, 0.9 if how == "doubtful" else 1.0, 1.1)
    if how == "answered":
        health.answered(1, 1.2)
    health.silent(0, 1.0, 2.5 if how == "long ago" else 1.3)
    assert health.in_service().all()


def test_failures_further_apart_do_not_trip_a_region() -> None:
    health = health_of(in_one_region(7, 12))
    for center in range(6):
        health.erred(center, DOWN, 0.6 * center)
    assert health.in_service()[6]


def test_a_pair_is_no_region_to_trip() -> None:
    health = health_of(in_one_region(2, 6))
    health.erred(0, DOWN, 1.0)
    assert health.in_service()[1]


def test_a_center_taken_out_with_its_region_comes_back_by_its_own_probe() -> None:
    health = health_of(in_one_region(3, 6))
    health.erred(0, DOWN, 1.0)
    assert health.erred(1, DOWN, 1.1)
    assert health.conditions[2].cause == "region"
    come_back(health, 2, 2.2)
    assert health.in_service().tolist() == [0, 0, 1] + [1] * 6
    health.erred(0, DOWN, 2.3)
    assert health.in_service()[2]


def test_panic_ignores_all_ejections_but_refusals() -> None:
    health = health_of([(f"r{i}", "a") for i in range(5)])
    health.erred(0, DOWN, 1.0)
    for _ in range(4):
        health.erred(1, FAILED, 1.0)
    assert health.in_service().tolist() == [0, 0, 1, 1, 1]
    for _ in range(3):
        health.silent(2, 1.0, 1.0)
    assert health.in_service().tolist() == [0, 1, 1, 1, 1]
    health.probed(0, 2.0, alive=True)
    assert health.in_service().tolist() == [1, 0, 0, 1, 1]


def test_while_all_that_are_left_are_on_trial_they_serve_freely() -> None:
    """Half of the centers stand, so it is no panic by their number."""
    health = health_of([(f"r{i}", "a") for i in range(4)])
    for center in range(4):
        health.erred(center, DOWN, 1.0)
    assert not health.in_service().any()
    for center in (2, 3):
        health.probed(center, 2.0, alive=True)
        health.charged(center)
    assert health.in_service().tolist() == [0, 0, 1, 1]
    for _ in range(4):  # 1, 2, 4 and 8 at once
        health.answered(2, 2.1)
        while health.conditions[2].allowed:
            health.charged(2)
        while health.conditions[2].waiting > 1:
            health.answered(2, 2.1)
    health.answered(2, 2.2)
    assert health.conditions[2].stage == "ok"
    assert health.in_service().tolist() == [0, 0, 1, 0]  # one is whole: the other waits its turn


def test_draining_the_last_whole_center_lets_those_on_trial_serve() -> None:
    health = health_of([(f"r{i}", "a") for i in range(3)])
    for center in (0, 1):
        health.erred(center, DOWN, 1.0)
        health.probed(center, 2.0, alive=True)
        health.charged(center)
    assert health.in_service().tolist() == [0, 0, 1]
    health.drain(2, draining=True)
    assert health.in_service().tolist() == [1, 1, 0]
    health.drain(2, draining=False)
    assert health.in_service().tolist() == [0, 0, 1]


def test_a_gateway_that_hears_nobody_still_tries() -> None:
    health = health_of()
    for center in range(8):
        for _ in range(4):
            health.silent(center, 1.0, 1.0)
    assert health.in_service().all()
    for center in range(8):
        assert health.conditions[center].stage == "ejected"


def test_a_returning_center_serves_freely_in_a_panic() -> None:
    health = health_of([(f"r{i}", "a") for i in range(4)])
    health.erred(0, DOWN, 1.0)
    health.probed(0, 2.0, alive=True)
    health.charged(0)
    assert not health.in_service()[0]
    for center in (1, 2, 3):
        health.erred(center, DOWN, 2.0)
    assert health.in_service().tolist() == [1, 0, 0, 0]


def test_drained_centers_are_out_and_do_not_cause_panic() -> None:
    health = health_of([(f"r{i}", "a") for i in range(4)])
    for center in (0, 1):
        assert health.drain(center, draining=True)
    assert not health.drain(0, draining=True)
    for _ in range(4):
        health.erred(2, FAILED, 1.0)
    assert health.in_service().tolist() == [0, 0, 0, 1]
    health.drain(0, draining=False)
    assert health.in_service()[0]


def test_a_drained_center_may_fail_and_recover_unseen() -> None:
    health = health_of([(f"r{i}", "a") for i in range(4)])
    health.drain(0, draining=True)
    health.erred(0, DOWN, 1.0)
    health.probed(0, 2.0, alive=True)
    assert health.in_service().tolist() == [0, 1, 1, 1]
    health.erred(1, DOWN, 2.0)
    health.drain(0, draining=False)
    assert health.in_service().tolist() == [1, 0, 1, 1]


def test_trouble_ends_when_the_errors_are_forgotten() -> None:
    health = health_of()
    health.erred(0, FAILED, 1.0)
    assert health.troubled[0]
    for _ in range(200):
        if health.troubled[0]:
            health.answered(0, 2.0)
    assert not health.troubled[0]
    assert health.conditions[0].error_rate == 0.0


def test_unwell_are_those_not_simply_ok() -> None:
    health = health_of()
    assert health.unwell() == []
    health.erred(5, DOWN, 1.0)
    health.drain(2, draining=True)
    assert health.unwell() == [2, 5]
    health.drain(2, draining=False)
    health.probed(5, 9.0, alive=True)
    assert health.unwell() == [5]
    serve(health, 5, 9.0)
    for _ in range(100):
        health.charged(5)
        health.answered(5, 9.5)
    assert health.unwell() == []


def test_parts_of_a_proof_do_not_take_a_region_out_and_whole_ones_do() -> None:
    """A pause in which copies win here and there is no region that went dark."""
    health = health_of(in_one_region(3, 4))
    for center in (0, 1, 0, 1):
        health.silent(center, 0.9, 1.0)
    assert health.unwell() == []
    for center in (0, 1):
        health.answered(center, 1.1)
    for center in (0, 1, 0):
        health.silent(center, 1.0, 1.2)
    assert {0, 1} <= set(health.unwell())
