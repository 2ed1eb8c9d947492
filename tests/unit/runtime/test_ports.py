"""Which kind of port a declaration makes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.api import Center, ConfigError, Location, Place
from gateway.centers.emulated import EmulatedCenter
from gateway.centers.framed import FramedCenter
from gateway.centers.remote import RemoteCenter
from gateway.config import Settings, load_settings
from gateway.runtime.ports import Before, Ports, Surroundings, build_ports
from gateway.telemetry.recent import RecentMs
from gateway.wan import PROFILES, DelayLine, Faults, PathModel

HERE = Location(31.2, 121.5)


class Engine:
    """Stands for the shared engine: nothing is run here."""

    def on_residency(self, *_: Any) -> None: ...


@pytest.fixture
def around() -> Iterator[Surroundings]:
    loop = asyncio.new_event_loop()
    line = DelayLine(loop)
    model = PathModel(PROFILES["cloud"], border_ms=0.0, last_mile_ms=0.0)
    places = (Place("Shanghai", "CN", HERE),)
    engine: Any = Engine()
    hear = engine.on_residency
    yield Surroundings(loop, places, model, engine, Faults(), line, RecentMs(), hear)
    line.close()
    loop.close()


def center(name: str, url: str | None = None, emulate: Any = None) -> Center:
    emulate = emulate or ("gateway" if url is None else "none")
    return Center(name, name, name, "Shanghai", "CN", HERE, url=url, emulate=emulate)


def build(around: Surroundings, *centers: Center, **flags: Any) -> Ports:
    settings = load_settings(None, {k.replace("__", "."): v for k, v in flags.items()}).settings
    return build_ports(settings, centers, around)


def test_in_row_order_by_their_urls(around: Surroundings) -> None:
    ports = build(
        around,
        center("a", "http://10.0.0.7:8000"),
        center("b"),
        center("c", "nearway://10.0.0.8:9000", "center"),
        center("d", "nearway+unix:/run/x.sock"),
        center("e", "https://10.0.0.9"),
    )
    kinds = [RemoteCenter, EmulatedCenter, FramedCenter, FramedCenter, RemoteCenter]
    assert [type(port) for port in ports.all] == kinds
    assert [port.row for port in ports.all] == [0, 1, 2, 3, 4]  # type: ignore[attr-defined]
    assert ports.emulated == [ports.all[1]]
    assert ports.remote == [ports.all[0], ports.all[4]]
    assert len(ports.reached) == 4


def test_centers_at_one_address_share_a_connection(around: Surroundings) -> None:
    url = "nearway+unix:/run/x.sock"
    ports = build(around, center("a", url), center("b", url), center("c", "nearway://h:1"))
    assert len(ports.reached) == 2
    first, second, third = ports.all
    assert first.connection is second.connection  # type: ignore[attr-defined]
    assert first.connection is not third.connection  # type: ignore[attr-defined]


def test_limits_are_the_config_s(around: Surroundings) -> None:
    ports = build(around, center("a", "http://h:1"), remote__connections_max=7)
    assert ports.remote[0].pool.limits.connections_max == 7


def test_who_is_told_the_vantage(around: Surroundings) -> None:
    told = build(around, center("a", "http://h:1", "center"), center("b", "http://h:1"))
    heads = [port.heads.question("GET", "/v2", vantage=0) for port in told.remote]
    assert [b"x-nearway-vantage: Shanghai" in head for head in heads] == [True, False]


@pytest.mark.parametrize("url", ["http://h:1", "nearway://h:1"])
def test_a_path_is_not_emulated_before_a_url(around: Surroundings, url: str) -> None:
    with pytest.raises(ConfigError, match='center a: emulate = "gateway"'):
        build(around, replace(center("a", url), emulate="gateway"))


def test_certificates_are_read_when_they_are_needed(around: Surroundings) -> None:
    build(around, center("a", "http://h:1"), remote__ca_file="absent.pem")
    with pytest.raises(ConfigError, match=r"remote\.ca_file"):
        build(around, center("a", "https://h:1"), remote__ca_file="absent.pem")


def before(around: Surroundings, centers: tuple[Center, ...]) -> Before:
    return Before(Settings(), centers, around.places, build_ports(Settings(), centers, around))


async def test_centers_behind_one_connection_stay_together_or_not_at_all(
    around: Surroundings,
) -> None:
    a, b = center("a", "nearway://h:1"), center("b", "nearway://h:1")
    alone = center("c", "nearway://h:2")
    was = before(around, (a, b, alone))
    same = build_ports(Settings(), (alone, b, a), around, was)
    assert [port in was.ports.all for port in same.all] == [True, True, True]
    assert len(same.reached) == 2
    more = build_ports(Settings(), (a, b, center("d", "nearway://h:1"), alone), around, was)
    assert [port in was.ports.all for port in more.all] == [False, False, False, True]
    changed = build_ports(Settings(), (a, replace(b, slots=9), alone), around, was)
    assert [port in was.ports.all for port in changed.all] == [False, False, True]


async def test_ports_that_stay_learn_of_their_rows_when_it_is_time(around: Surroundings) -> None:
    here, far, framed = center("a"), center("b", "http://h:1"), center("c", "nearway://h:1")
    was = before(around, (here, far, framed))
    faults = Faults()
    now = build_ports(Settings(), (framed, far, here), replace(around, faults=faults), was)
    ports: list[Any] = list(now.all)
    assert [port.row for port in ports] == [2, 1, 0]
    told: list[Any] = []
    reach: list[Any] = []
    now.settle(
        lambda *change: told.append(change),
        lambda *_: None,
        lambda *change: reach.append(change),
    )
    assert [port.row for port in ports] == [0, 1, 2]
    assert ports[2].faults is faults
    ports[0].connection.on_residency("m", 0, True, 1.0)
    assert told == [("m", 0, True, 1.0)]
    ports[0].connection.on_reach("c", False)
    assert reach == [("c", False)]


async def test_other_bounds_make_other_ports(around: Surroundings) -> None:
    here, far = center("a"), center("b", "http://h:1")
    was = before(around, (here, far))
    flags = {"remote.queue_max": 5}
    now = build_ports(load_settings(None, flags).settings, (here, far), around, was)
    assert [port in was.ports.all for port in now.all] == [True, False]
    assert now.network is was.ports.network
    seeded = load_settings(None, {"network.seed": 9}).settings
    now = build_ports(seeded, (here, far), around, was)
    assert [port in was.ports.all for port in now.all] == [False, True]
    assert now.network is not was.ports.network
