"""What is drawn of a seed: how many centers of which kind, under which config."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec

from gateway.api import Center, InvalidRequest, Location, Place
from gateway.config.settings import (
    SHIPPED_POLICIES,
    Admission,
    Attempts,
    Remote,
    Routing,
    Server,
    Settings,
)

POLICIES = ("predicted_completion", "predicted_completion", "two_choices", "prequal", "peak_ewma")
ZONES = ("east1", "east2", "west1")
PLACES = (
    Place("Shanghai", "CN", Location(31.2, 121.5)),
    Place("Beijing", "CN", Location(39.9, 116.4)),
)
PLACE_NAMES = tuple(place.name for place in PLACES)


@dataclass(frozen=True, slots=True)
class Shape:
    """``framed``: centers by process; the others: how many."""

    settings: Settings
    framed: tuple[int, ...]
    remote: int
    emulated: int
    local: int


def draw_shape(random: Random) -> Shape:
    """A small fleet."""
    return Shape(
        draw_settings(random),
        random.choice(((2,), (1, 2), (2, 2), (3,))),
        random.choice((0, 1, 1, 2, 2)),
        random.choice((0, 1, 1)),
        random.choice((0, 1, 1)),
    )


def draw_settings(random: Random) -> Settings:
    """Bounds tight enough to be met."""
    return Settings(
        server=Server(in_flight_max=random.choice((8, 16, 64))),
        attempts=_draw_attempts(random),
        admission=_draw_admission(random),
        routing=Routing(policy=random.choice(POLICIES), explain_every=random.choice((7, 50))),
        remote=Remote(
            connections_max=random.choice((2, 8)),
            connections_min=random.choice((0, 1)),
            queue_max=random.choice((4, 16)),
            connect_timeout_ms=100.0,
            idle_s=2.0,
            index_s=1.0,
        ),
        policies=SHIPPED_POLICIES,
    )


def redraw_settings(random: Random, before: Settings) -> Settings:
    """Another config for the same process; what clients were promised stays."""
    attempts = msgspec.structs.replace(
        _draw_attempts(random), deadline_ms=before.attempts.deadline_ms
    )
    return msgspec.structs.replace(
        before,
        attempts=attempts,
        admission=_draw_admission(random),
        routing=msgspec.structs.replace(before.routing, policy=random.choice(POLICIES)),
    )


def draw_center(number: int, kind: str, zone: str, random: Random) -> Center:
    """One of these kinds: framed, http, emulated, local."""
    lat, lon = 30.0 + 2.0 * random.random(), 120.0 + 2.0 * random.random()
    return Center(
        f"{kind}-{number}",
        zone[:-1],
        zone,
        f"city {zone}",
        "CN",
        Location(lat, lon),
        slots=random.choice((1, 2, 4)),
        speed_factor=random.choice((1.0, 1.0, 3.0)),
        emulate="gateway" if kind == "emulated" else "none",
    )


def find_place(name: str) -> int:
    """Raises InvalidRequest for an unknown one."""
    if name not in PLACE_NAMES:
        raise InvalidRequest(f"there is no place {name!r}")
    return PLACE_NAMES.index(name)


def _draw_attempts(random: Random) -> Attempts:
    return Attempts(
        max=random.choice((2, 3, 3, 4)),
        timeout_ms=random.choice((10.0, 20.0, 40.0)),
        silence_ms=random.choice((50.0, 200.0)),
        deadline_ms=random.choice((300.0, 700.0, 1500.0)),
        retry_budget=random.choice((0.1, 0.2, 0.5)),
        retries_min=random.choice((1, 2, 5)),
        hedge_share=random.choice((0.0, 0.02, 0.1)),
    )


def _draw_admission(random: Random) -> Admission:
    return Admission(adaptive=random.random() < 0.3, wait_ms_max=random.choice((20.0, 1000.0)))
