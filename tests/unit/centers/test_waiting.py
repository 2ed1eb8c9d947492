"""Class C waits apart, leaves a slot free, and is never ahead of another class."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_models import repository

from gateway.api import CenterBusy
from gateway.centers import Failed, Whole
from gateway.centers.waiting import makes_late, slots_kept

OTHER = "grid-load"
OTHER_BODY = (repository() / OTHER / "example.json").read_bytes()


@pytest.mark.parametrize(("slots", "kept"), [(1, 0), (2, 1), (16, 1)])
def test_one_slot_is_kept_where_there_is_more_than_one(slots: int, kept: int) -> None:
    assert slots_kept(slots) == kept


def held_site(local_site: Any, **more: Any) -> Any:
    """A center whose runs end by hand, where ``OTHER`` is of class C."""
    site = local_site(rows_max=1, **more)
    site.runner.at_once = False
    site.center.engine.served(OTHER, "").class_c = True
    return site


def running(site: Any) -> list[str]:
    return [run[0].name for run in site.runner.runs]


def test_class_c_leaves_a_slot_and_the_next_of_another_class_runs_at_once(local_site: Any) -> None:
    site = held_site(local_site, slots=3)
    for k in range(4):
        site.start(OTHER_BODY, model=OTHER, name=f"c{k}")
    site.turn()
    assert running(site) == [OTHER, OTHER]
    site.start(name="a")
    site.turn()
    assert running(site) == [OTHER, OTHER, "blast-furnace"]
    assert (site.center.meter.in_flight, site.center.meter_c.in_flight) == (1, 4)
    for _ in range(5):
        site.runner.end()
        site.turn()
    assert list(site.heard()) == ["c0", "c1", "a", "c2", "c3"]
    assert site.heard()["c0"].report.in_flight == 1  # of those that others wait for
    assert all(isinstance(event, Whole) for event in site.heard().values())
    assert site.idle()


def test_who_came_later_of_another_class_is_served_before_class_c(local_site: Any) -> None:
    site = held_site(local_site, slots=1)
    for model, body, name in ((OTHER, OTHER_BODY, "c0"), (OTHER, OTHER_BODY, "c1")):
        site.start(body, model=model, name=name)
    site.turn()
    site.start(name="a")
    site.turn()
    assert running(site) == [OTHER]
    site.runner.end()
    site.turn()
    assert running(site) == ["blast-furnace"]
    site.runner.end()
    site.runner.end()
    assert list(site.heard()) == ["c0", "a", "c1"]
    assert site.idle()


def test_a_full_line_of_class_c_is_no_reason_to_refuse_another(local_site: Any) -> None:
    site = held_site(local_site, slots=2, queue_max=1)
    for k in range(3):
        site.start(OTHER_BODY, model=OTHER, name=f"c{k}")
    site.turn()
    assert isinstance(site.heard()["c2"].error, CenterBusy)
    for k in range(3):
        site.start(name=f"a{k}")
    site.turn()
    assert isinstance(site.heard()["a2"].error, CenterBusy)
    for _ in range(4):
        site.runner.end()
        site.turn()
    assert [name for name, event in site.heard().items() if isinstance(event, Whole)] == [
        *("c0", "a0", "a1", "c1"),
    ]
    assert site.idle()


def test_one_of_class_c_that_waits_can_be_cancelled(local_site: Any) -> None:
    site = held_site(local_site, slots=2)
    calls = [site.start(OTHER_BODY, model=OTHER, name=f"c{k}") for k in range(3)]
    site.turn()
    calls[1].cancel()
    site.runner.end()
    site.runner.end()
    assert list(site.heard()) == ["c0", "c2"]
    assert site.idle()


@pytest.mark.parametrize(("slots", "running_c"), [(1, 1), (3, 2)])
def test_an_emulated_center_keeps_the_classes_apart_too(
    make_site: Any, slots: int, running_c: int
) -> None:
    site = make_site(slots=slots, speed_factor=1e5, queue_max=8)
    site.center.model_for("blast-furnace", "").class_c = True
    calls = [site.start() for _ in range(6)]
    site.time.run(site.rtt_s)
    center = site.center
    assert (center.free_slots, len(center.waiting_c)) == (slots - running_c, 6 - running_c)
    calls[5].cancel()
    assert len(center.waiting_c) == 5 - running_c
    site.center.model_for("blast-furnace", "").class_c = False
    other = site.start()
    site.time.run(2 * site.rtt_s)
    assert (center.free_slots, len(center.waiting)) == ((0, 1) if slots == 1 else (0, 0))
    other.cancel()
    site.center.model_for("blast-furnace", "").class_c = True
    site.time.run()
    assert sum(isinstance(event, Whole) for _, event in site.events) == 5
    assert not any(isinstance(event, Failed) for _, event in site.events)
    assert (center.free_slots, center.meter.in_flight) == (slots, 0)


def test_a_run_is_closed_where_one_more_would_make_somebody_late(
    local_site: Any, body: bytes
) -> None:
    """A row takes what the model takes, each further one 1 s; slots are taken by hand."""
    site = local_site(rows_max=8, slots=1)
    served = site.center.engine.served("blast-furnace", "")
    served.extra_s = 1.0
    for hurried in (True, False):
        site.runner.at_once = True
        site.runner.rows.clear()
        deadline_s = site.time.now() + 2.5 if hurried else 1e9
        for k in range(5):  # of one turn
            site.start(body, name=("turn", hurried, k), deadline_s=deadline_s)
        site.turn()
        assert site.runner.rows == ([3, 2] if hurried else [5])
        site.runner.at_once = False
        site.runner.rows.clear()
        site.start(body, name=("first", hurried))
        site.turn()
        for k in range(5):  # while they wait
            site.start(body, name=("wait", hurried, k), deadline_s=deadline_s)
        site.turn()
        while site.runner.runs:
            site.runner.end()
        assert site.runner.rows == ([1, 3, 2] if hurried else [1, 5])
    assert len(site.heard()) == 22
    assert site.idle()


def test_who_is_late_anyhow_closes_no_run(local_site: Any) -> None:
    served = local_site().center.engine.served("blast-furnace", "")
    served.extra_s = 1.0
    assert makes_late(served, 3, 0.0, 1.5)
    assert not makes_late(served, 2, 0.0, 1.5)
    assert not makes_late(served, 3, 0.0, 0.0)
