"""Loads that overlap are one load; the last center to leave frees the memory."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.api import NotFound
from gateway.centers.shared_engine import SharedEngine


class CountingRepository:
    """Counts what it is told to do."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.unloads: list[str] = []

    def load(self, name: str) -> None:
        time.sleep(0.005)
        self.loads.append(name)
        if name == "broken":
            raise NotFound("no model 'broken'")

    def unload(self, name: str) -> None:
        self.unloads.append(name)

    def get(self, name: str) -> Any:
        return SimpleNamespace(run_ms=0.25)


def engine() -> tuple[SharedEngine, CountingRepository, list[tuple[Any, ...]]]:
    repository, told = CountingRepository(), []
    shared = SharedEngine(
        repository, None, lambda *change: told.append(change), tensor_elements_max=1
    )  # type: ignore[arg-type]
    return shared, repository, told


async def test_loads_at_once_are_one_load() -> None:
    shared, repository, _ = engine()
    await asyncio.gather(*(shared.load("m") for _ in range(88)))
    assert repository.loads == ["m"]
    await shared.load("m")
    assert repository.loads == ["m", "m"]


async def test_a_failed_load_fails_for_all_and_is_forgotten() -> None:
    shared, repository, _ = engine()
    results = await asyncio.gather(
        *(shared.load("broken") for _ in range(3)), return_exceptions=True
    )
    assert [type(r) for r in results] == [NotFound] * 3
    with pytest.raises(NotFound):
        await shared.load("broken")
    assert len(repository.loads) == 2


def test_the_last_to_leave_frees_the_memory() -> None:
    shared, repository, told = engine()
    for center in (0, 1):
        shared.resident("m", center)
    shared.dropped("m", 0)
    assert repository.unloads == []
    shared.dropped("m", 1)
    assert repository.unloads == ["m"]
    assert told[0] == ("m", 0, True, 0.25)
    assert told[-1][:3] == ("m", 1, False)
