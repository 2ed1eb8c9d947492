"""A center whose model keeps answers: one run for all that ask the same, errors never kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.api import InvalidRequest
from gateway.centers import Failed, Sent, Whole
from gateway.engine import CacheCounts, ResponseCache

MODEL = "blast-furnace"


def with_cache(site: Any, bytes_max: int = 1_000_000) -> Any:
    served = site.center.engine.served(MODEL, "")
    served.cache = ResponseCache(bytes_max, CacheCounts())
    return site


def other(body: bytes) -> bytes:
    document = json.loads(body)
    document["inputs"][0]["data"][0] += 1.0
    return json.dumps(document).encode()


def with_id(body: bytes, number: int) -> bytes:
    return json.dumps({**json.loads(body), "id": f"number {number}"}).encode()


def counts(site: Any) -> tuple[int, int, int]:
    found = site.center.engine.served(MODEL, "").cache.counts
    return found.hits, found.misses, found.coalesced


# ---- a local center -----------------------------------------------------------------------


def test_what_was_asked_before_is_not_run_again(local_site: Any, body: bytes) -> None:
    site = with_cache(local_site())
    for sent in (body, body, other(body), with_id(body, 7)):
        site.start(sent)
        site.turn()
    first, second, third, fourth = (event for _, event in site.events)
    assert site.runner.rows == [1, 1]
    assert first.payload == second.payload != third.payload
    assert json.loads(fourth.payload) == {**json.loads(first.payload), "id": "number 7"}
    assert first.report.service_ms >= 0.0
    assert second.report.service_ms == fourth.report.service_ms == 0.0
    assert counts(site) == (2, 2, 0)
    lookups = site.center.model_for(MODEL, "").model.statistics()["inference_stats"]
    assert (lookups["cache_hit"]["count"], lookups["cache_miss"]["count"]) >= (2, 2)
    assert site.idle()


def test_the_same_at_the_same_time_is_one_run(local_site: Any, body: bytes) -> None:
    site = with_cache(local_site(slots=1))
    site.runner.at_once = False
    calls = [site.start(with_id(body, number), name=number) for number in range(3)]
    site.turn()
    calls.append(site.start(with_id(body, 3), name=3))
    site.turn()
    calls[1].cancel()
    assert site.runner.rows == [1]
    site.runner.end()
    assert [name for name, _ in site.events] == [0, 2, 3]
    for name, event in site.events:
        assert json.loads(event.payload)["id"] == f"number {name}"
    assert counts(site) == (0, 1, 3)
    assert site.idle()


@pytest.mark.parametrize("ends", ["cancelled in line", "cancelled while it runs", "refused"])
def test_who_waited_for_a_run_that_brought_nothing_is_run_for_itself(
    local_site: Any, body: bytes, ends: str
) -> None:
    site = with_cache(local_site(slots=1))
    site.runner.at_once, site.runner.can_stop = False, False
    if ends == "cancelled in line":
        site.start(other(body), name="before")
        site.turn()
    first = site.start(name="first")
    for number in range(2):
        site.start(name=number)
    site.turn()
    if ends == "refused":
        site.runner.refuses = lambda _: True
        site.runner.end()
        site.runner.refuses = lambda _: False
    else:
        first.cancel()
    site.turn()
    while site.runner.runs:
        site.runner.end()
        site.turn()
    heard = site.heard()
    assert isinstance(heard.get("first", Failed(InvalidRequest(""))), Failed)
    assert isinstance(heard[0], Whole)
    assert heard[0].payload == heard[1].payload
    assert site.idle()
    site.start(name="again")
    site.turn()
    while site.runner.runs:
        site.runner.end()
    assert isinstance(site.heard()["again"], Whole)


def test_an_answer_too_large_to_keep_is_shared_all_the_same(local_site: Any) -> None:
    site = with_cache(local_site(), bytes_max=1)
    for _ in range(2):
        site.start()
        site.start()
        site.turn()
    assert site.runner.rows == [1, 1]
    assert len(site.events) == 4
    assert site.center.engine.served(MODEL, "").cache.bytes == 0


def test_a_model_without_a_cache_runs_every_request(local_site: Any) -> None:
    site = local_site()
    for _ in range(2):
        site.start()
        site.turn()
    assert site.runner.rows == [1, 1]


# ---- an emulated center -------------------------------------------------------------------


def answers(site: Any) -> list[Any]:
    return [(at, event) for at, event in site.events if not isinstance(event, Sent)]


def test_over_an_emulated_network_a_kept_answer_takes_the_way_alone(make_site: Any) -> None:
    site = with_cache(make_site(speed_factor=1000.0))
    site.start()
    site.time.run(10.0)
    asked_s = site.time.now()
    site.start()
    site.time.run(20.0)
    (_, first), (at, second) = answers(site)
    assert second.payload == first.payload
    assert at - asked_s == pytest.approx(site.rtt_s)
    assert first.report.service_ms > 0.0 == second.report.service_ms
    assert counts(site) == (1, 1, 0)


@pytest.mark.parametrize("leaves", [False, True])
def test_over_an_emulated_network_the_same_is_one_run(make_site: Any, leaves: bool) -> None:
    site = with_cache(make_site(slots=1, speed_factor=1000.0))
    first = site.start()
    site.time.run(site.rtt_s / 2)
    others = [site.start() for _ in range(2)]
    site.time.run(site.rtt_s)
    others[0].cancel()
    if leaves:
        first.cancel()
    site.time.run(10.0)
    assert len(answers(site)) == (1 if leaves else 2)
    assert counts(site) == (0, 1, 2)
    assert (site.center.free_slots, site.center.meter.in_flight) == (1, 0)
