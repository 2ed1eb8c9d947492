"""The rules of admission under three times the load, in virtual time: a seed is a figure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.overload.judging import (
    GOODPUT_MIN,
    SHED_MS_MAX,
    class_floors,
    class_streams,
    is_too_busy,
    rows_of,
    tables,
    tenant_floors,
    tenant_streams,
)
from bench.overload.measuring import Episode, Stream, took_ms
from bench.overload.scene import CAPACITY_PER_S, CENTERS, SLOTS
from bench.overload.virtual import Asker, Play, Site, Virtual, play_virtually, samples_of
from gateway.config.settings import Admission

PHASES_S = (6.0, 12.0, 4.0)


@pytest.fixture(scope="module")
def classes() -> Episode:
    return play_virtually(class_streams(CAPACITY_PER_S), PHASES_S)


def shares(episode: Episode, phase: int) -> dict[str, float]:
    return {name: float(episode.phase(name, phase).answered.mean()) for name in episode.samples}


def test_the_floors_of_classes_hold(classes: Episode) -> None:
    """But the p99 of so short an overload has its first tenth of a second in it."""
    found = {floor.name: floor for floor in class_floors(classes)}
    ratio = found.pop("priority 1: p99 / unloaded")
    assert [floor.name for floor in found.values() if not floor.holds] == []
    assert ratio.found < 1.7


def test_refusals_are_judged_beyond_what_a_bare_server_takes(classes: Episode) -> None:
    bare = classes.samples["default"]
    slow = {
        name: replace(rows, client_total_ms=np.where(rows.answered, rows.client_total_ms, 5.0))
        for name, rows in classes.samples.items()
    }
    for bare_ms, holds in ((4.0, True), (2.0, False)):
        heard = replace(bare, client_total_ms=np.full(len(bare), bare_ms))
        episode = replace(classes, samples=slow, bare=heard)
        floor = class_floors(episode)[-1]
        assert (floor.found, floor.holds) == (5.0 - bare_ms, holds)
        assert is_too_busy(episode) is (bare_ms > SHED_MS_MAX)
    assert not is_too_busy(classes)


def test_the_higher_class_loses_nobody_and_the_lower_gets_what_is_left(classes: Episode) -> None:
    told = shares(classes, 1)
    assert told["priority 1"] == 1.0
    left = (1.0 - 0.2) / 2.8
    assert 0.9 * left < told["default"] < 1.05 * left
    assert set(classes.samples["default"].status.tolist()) == {200, 503}


def test_before_the_overload_hardly_anybody_is_refused(classes: Episode) -> None:
    assert min(shares(classes, 0).values()) > 0.995


def test_the_floors_of_tenants_hold() -> None:
    episode = play_virtually(tenant_streams(CAPACITY_PER_S), PHASES_S)
    assert [floor.name for floor in tenant_floors(episode) if not floor.holds] == []
    assert 429 in episode.samples["flooding"].status
    assert 503 not in episode.samples["polite"].status


def test_without_admission_the_higher_class_waits_with_the_others() -> None:
    """What the floors are worth: they fail when nobody is refused."""
    episode = play_virtually(class_streams(CAPACITY_PER_S), (3.0, 3.0, 3.0), admits=False)
    found = {floor.name: floor.holds for floor in class_floors(episode)}
    assert not found["priority 1: p99 / unloaded"]


def goodput(played: list[Any], begin_s: float, end_s: float) -> float:
    came = [one.at_s + one.took_ms / 1e3 for one in played if one.status == 200]
    return sum(begin_s <= at_s < end_s for at_s in came) / (end_s - begin_s) / CAPACITY_PER_S


def test_of_three_classes_the_lowest_is_refused_first() -> None:
    streams = (
        Stream("high", (0.2 * CAPACITY_PER_S,), {"x-nearway-priority": "1"}),
        Stream("default", (1.4 * CAPACITY_PER_S,)),
        Stream("low", (1.4 * CAPACITY_PER_S,), {"x-nearway-priority": "3"}),
    )
    told = shares(play_virtually(streams, (8.0,)), 0)
    assert told["high"] == 1.0
    assert told["default"] > 5 * told["low"]


def test_a_lower_class_is_sent_to_a_farther_center_with_a_slot() -> None:
    sites = (Site(SLOTS), Site(SLOTS, 30.0), Site(SLOTS, 150.0))
    askers = (
        Asker("high", (0.2 * CAPACITY_PER_S,), 1),
        Asker("default", (0.3 * CAPACITY_PER_S,)),
    )
    played = Virtual(Play(sites, askers, (8.0,))).run()
    assert np.mean([one.status == 200 for one in played]) > 0.99


def test_an_adaptive_limit_finds_the_slots_that_were_not_declared() -> None:
    took = {}
    for adaptive in (False, True):
        asker = Asker("a", (0.5 * CAPACITY_PER_S, 3.0 * CAPACITY_PER_S))
        play = Play(
            (Site(SLOTS, declared=4 * SLOTS),) * CENTERS, (asker,), (6.0, 8.0),
            reports=False, rules=Admission(adaptive=adaptive),
        )  # fmt: skip
        played = Virtual(play).run()
        late = samples_of([one for one in played if one.at_s > 8.0])
        took[adaptive] = float(np.median(took_ms(late)[late.answered]))
        assert goodput(played, 6.5, 14.0) > GOODPUT_MIN - 0.15
    assert took[True] < 0.5 * took[False]


def test_the_tables_name_every_stream_phase_and_floor(classes: Episode) -> None:
    floors = class_floors(classes)
    text = tables("Classes", classes, floors)
    assert len(rows_of(classes)) == 6
    for word in ("priority 1", "overload", *(floor.name for floor in floors)):
        assert word in text
