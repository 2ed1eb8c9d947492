"""Which centers a process serves, where it may listen, and what its HTTP door is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.api import ConfigError
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.config.framed_url import FramedAddress
from gateway.runtime.center_plan import (
    CenterListening,
    CenterPlan,
    chosen,
    http_settings,
    in_words,
    is_loopback,
)

FLEET = load_fleet(None, "all")


def plan(**told: Any) -> CenterPlan:
    return CenterPlan(**{"port": 0, **told})


@pytest.mark.parametrize("zone", ["b", "cn-east-4b"])
def test_one_zone_by_either_name(zone: str) -> None:
    (center,) = chosen(FLEET, plan(region="cn-east-4", zone=zone))
    assert (center.id, center.emulate, center.url) == ("cn-east-4b", "none", None)


def test_a_region_is_all_its_zones() -> None:
    found = chosen(FLEET, plan(region="cn-east-4", emulate_wan=True))
    assert {center.region for center in found} == {"cn-east-4"}
    assert len(found) > 1
    assert {center.emulate for center in found} == {"gateway"}


def test_all_are_those_without_a_url() -> None:
    fleet = [replace(FLEET[0], url="http://h:1", emulate="none"), *FLEET[1:]]
    assert [center.id for center in chosen(fleet, plan())] == [center.id for center in FLEET[1:]]


def test_a_center_that_has_this_process_as_its_url_is_served_here() -> None:
    fleet = [replace(FLEET[0], url="nearway://h:1", emulate="center")]
    (center,) = chosen(fleet, plan(region=FLEET[0].region, emulate_wan=True))
    assert (center.url, center.emulate) == (None, "gateway")


def test_who_wants_no_emulation_gets_none() -> None:
    fleet = [replace(FLEET[0], emulate="none"), FLEET[1]]
    assert [c.emulate for c in chosen(fleet, plan(emulate_wan=True))] == ["none", "gateway"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"region": "atlantis"}, "expected one of the regions"),
        ({"region": "cn-east-4", "zone": "z"}, "expected one of the zones cn-east-4a"),
    ],
)
def test_what_is_not_there_is_named(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen(FLEET, plan(**told))


def test_nothing_is_left_for_all() -> None:
    fleet = [replace(center, url="http://h:1", emulate="none") for center in FLEET[:3]]
    with pytest.raises(ConfigError, match="each of the fleet's 3 centers has a url"):
        chosen(fleet, plan())


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"port": None}, "nowhere to listen"),
        ({"zone": "b"}, "give --region as well"),
        ({"host": "0.0.0.0", "emulate_wan": True}, "insist with --beyond-loopback"),
        ({"host": "center.example", "emulate_wan": True}, "insist with --beyond-loopback"),
    ],
)
def test_plans_that_are_refused(told: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(**told).check()


@pytest.mark.parametrize(
    "told",
    [
        {"host": "0.0.0.0"},
        {"host": "0.0.0.0", "emulate_wan": True, "beyond_loopback": True},
        {"host": "::1", "emulate_wan": True},
        {"host": "0.0.0.0", "port": None, "socket": Path("s"), "emulate_wan": True},
    ],
)
def test_plans_that_are_fine(told: dict[str, Any]) -> None:
    plan(**told).check()


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_loopback(host: str, is_it: bool) -> None:
    assert is_loopback(host) is is_it


def test_the_http_door_tries_nobody_else_and_hears_the_vantage() -> None:
    made = http_settings(Settings(), FLEET[0], emulates=True)
    assert made.attempts.max == 1
    assert made.origins.header == "x-nearway-vantage"
    assert made.origins.default == f"{FLEET[0].location.lat},{FLEET[0].location.lon}"
    assert made.server.lane == "aiohttp"
    assert http_settings(Settings(), FLEET[0], emulates=False).server.lane == "hot"


def test_what_is_said_once_ready(tmp_path: Path) -> None:
    addresses = (FramedAddress(host="127.0.0.1", port=9), FramedAddress(path="/run/c"))
    listening = CenterListening(addresses, "http://127.0.0.1:9", FLEET[:2], ("m",), "cloud")
    assert [(c.url, c.emulate) for c in listening.reached()] == [
        ("nearway+unix:/run/c", "center")
    ] * 2
    listening.announce_to(tmp_path / "said")
    told = json.loads((tmp_path / "said").read_text())
    assert told["urls"] == ["nearway://127.0.0.1:9", "nearway+unix:/run/c"]
    assert told["http"] == "http://127.0.0.1:9"
    assert [path.name for path in tmp_path.iterdir()] == ["said"]


def test_the_network_in_words() -> None:
    assert in_words(Settings()) == "cloud, seed 1, border 60 ms, last mile 0 ms, jitter on"
