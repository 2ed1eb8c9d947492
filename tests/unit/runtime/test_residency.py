"""What remote centers have is told once, when it changes; silence changes nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.api import Center, CenterDown, ConfigError, Location
from gateway.centers.port import ModelState
from gateway.runtime.residency import Residency


@dataclass
class Asked:
    """A remote center of which only the index is asked."""

    row: int
    says: Any
    asked: int = 0
    center: Center = field(init=False)

    def __post_init__(self) -> None:
        self.center = Center(f"c{self.row}", "r", "z", "X", "CN", Location(0, 0))

    async def index(self) -> tuple[ModelState, ...]:
        self.asked += 1
        if self.says is None:
            await asyncio.sleep(60)
        if isinstance(self.says, Exception):
            raise self.says
        return tuple(ModelState(name, "1", state) for name, state in self.says)


def watching(*centers: Asked, every_s: float = 0.05) -> tuple[Residency, list[Any]]:
    told: list[Any] = []
    run_ms = {"m": 0.5}
    residency = Residency(
        centers,  # type: ignore[arg-type]  # all that is asked of them is their index
        lambda *change: told.append(change),
        lambda model: run_ms.get(model, 5.0),
        every_s,
    )
    return residency, told


async def test_only_what_changed_is_told() -> None:
    center = Asked(3, [("m", "READY"), ("x", "READY"), ("cold", "UNAVAILABLE")])
    residency, told = watching(center)
    assert await residency.ask() == []
    assert told == [("m", 3, True, 0.5), ("x", 3, True, 5.0)]
    await residency.ask()
    assert len(told) == 2
    center.says = [("m", "READY"), ("cold", "READY")]
    await residency.ask()
    assert told[2:] == [("cold", 3, True, 5.0), ("x", 3, False, 0.0)]


async def test_one_version_that_is_ready_is_enough() -> None:
    residency, told = watching(Asked(0, [("m", "UNAVAILABLE"), ("m", "READY")]))
    await residency.ask()
    assert told == [("m", 0, True, 0.5)]


@pytest.mark.parametrize("silence", [None, CenterDown("gone"), ConfigError("names none")])
async def test_who_does_not_say_keeps_what_it_had_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, silence: Any
) -> None:
    caplog.set_level(logging.WARNING, "nearway.centers")
    ill, well = Asked(0, [("m", "READY")]), Asked(1, [("m", "READY")])
    residency, told = watching(ill, well)
    await residency.ask()
    ill.says = silence
    assert await residency.ask() == ["c0"]
    assert await residency.ask() == ["c0"]
    assert told == [("m", 0, True, 0.5), ("m", 1, True, 0.5)]
    assert ["center c0 does not say" in line for line in caplog.messages] == [True]
    ill.says = []
    assert await residency.ask() == []
    assert told[2:] == [("m", 0, False, 0.0)]
    assert "again" in caplog.messages[-1]


async def test_asks_again_until_it_is_stopped() -> None:
    center = Asked(0, [])
    residency, _ = watching(center, every_s=0.01)
    residency.start()
    residency.start()
    while center.asked < 3:
        await asyncio.sleep(0.01)
    await residency.stop()
    await residency.stop()
    before = center.asked
    await asyncio.sleep(0.03)
    assert center.asked == before


async def test_without_remote_centers_there_is_nothing_to_do() -> None:
    residency, told = watching()
    assert await residency.ask() == []
    residency.start()
    await residency.stop()
    assert told == []
