"""An emulated center: its models, and what a probe is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import NotFound


async def test_models_are_unloaded_and_loaded_here(make_site: Any) -> None:
    site = make_site()
    center = site.center
    assert await center.ready("blast-furnace", "")
    await center.unload("blast-furnace")
    assert not await center.ready("blast-furnace", "")
    assert {s.name: s.state for s in await center.index()}["blast-furnace"] == "UNAVAILABLE"
    with pytest.raises(NotFound):
        await center.metadata("blast-furnace", "")
    await center.load("blast-furnace")
    assert (await center.metadata("blast-furnace", "")).name == "blast-furnace"
    assert site.told == [
        ("blast-furnace", 0, True),
        ("blast-furnace", 0, False),
        ("blast-furnace", 0, True),
    ]
    with pytest.raises(NotFound):
        await center.ready("no-such", "")


def probe(site: Any) -> list[tuple[float, Any]]:
    """When and what the probe heard, from now on."""
    heard: list[tuple[float, Any]] = []
    began_s = site.time.now()
    site.center.probe(site.vantage, lambda report: heard.append((site.time.now(), report)))
    assert heard == []
    site.time.run()
    return [(at_s - began_s, report) for at_s, report in heard]


def test_a_probe_takes_the_round_trip_and_brings_the_load(make_site: Any) -> None:
    site = make_site(slots=1, speed_factor=1e5)
    for _ in range(3):
        site.start()
    heard: list[Any] = []
    site.time.run(0.6 * site.rtt_s)
    site.center.probe(site.vantage, heard.append)
    site.time.run(1.2 * site.rtt_s)
    assert heard == []
    site.time.run(1.7 * site.rtt_s)
    (report,) = heard
    assert (report.in_flight, report.slots) == (3, 1)
    assert report.work_ms > 0.0
    assert 0.0 < report.utilization <= 1.0
    assert (report.queue_ms, report.service_ms) == (0.0, 0.0)


def test_an_idle_center_answers_a_probe_at_once(make_site: Any) -> None:
    site = make_site()
    ((after_s, report),) = probe(site)
    assert after_s == pytest.approx(site.rtt_s)
    assert (report.in_flight, report.utilization, report.latency_ms) == (0, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["down", "error"])
def test_a_probe_meets_the_faults_a_request_would(kind: Any, make_site: Any) -> None:
    site = make_site()
    site.faults.set(0, kind, 1, None)
    ((after_s, report),) = probe(site)
    assert report is None
    assert after_s == pytest.approx(site.rtt_s)


def test_a_black_hole_swallows_a_probe(make_site: Any) -> None:
    site = make_site()
    site.faults.set(0, "black_hole", 1, None)
    assert probe(site) == []


def test_a_fault_of_another_path_does_not_stop_a_probe(make_site: Any) -> None:
    site = make_site()
    site.faults.set(0, "down", 1, site.vantage + 1)
    ((_, report),) = probe(site)
    assert report is not None
