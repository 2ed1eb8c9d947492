"""Loads that overlap are one load; the last center to leave frees the memory."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from gateway.api import Center, ConfigError, Location, NotFound
from gateway.centers.resident_models import ResidentModels
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, NotYetLoaded


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

    def cold(self, name: str) -> None:
        return None

    def present(self) -> dict[str, Any]:
        return {}

    def used_s(self) -> float:
        return 0.0


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


async def test_a_load_that_ends_in_the_repository_before_is_taken_over() -> None:
    shared, before, _ = engine()
    loading = asyncio.ensure_future(shared.load("m"))
    await asyncio.sleep(0)
    taken: list[tuple[str, object]] = []
    after = CountingRepository()
    after.take_over = lambda name, other: taken.append((name, other))  # type: ignore[attr-defined]
    shared.take(after)  # type: ignore[arg-type]  # a stand-in
    await loading
    assert before.loads == ["m"]
    assert after.loads == []
    assert taken == [("m", before)]


class OnDemand:
    """A center with real, tiny models that are loaded on demand."""

    def __init__(self, root: Path, names: str, memory_bytes_max: int = 0) -> None:
        x = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in "xy"]
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", x[:1], x[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        for name in names:
            (root / name / "1").mkdir(parents=True)
            onnx.save(model, root / name / "1" / "model.onnx")
        self.repository = ModelRepository([root], tensor_elements_max=1000)
        self.repository.scan()
        self.residency: list[tuple[Any, ...]] = []
        self.cold: list[tuple[Any, ...]] = []
        self.engine = SharedEngine(
            self.repository,
            None,  # type: ignore[arg-type]  # nothing runs
            lambda *told: self.residency.append(told[:3]),
            tensor_elements_max=1000,
            on_cold=lambda model, rows, cold_ms, _: self.cold.append((model, [*rows], cold_ms > 0)),
            memory_bytes_max=memory_bytes_max,
        )
        here = Center("here", "h", "a", "H", "CN", Location(31, 118), models=("*",))
        self.center = ResidentModels(4, here, self.engine)
        for name in names:
            self.repository.declare(name)
            self.center.adopt(name)

    async def ask(self, name: str, used_s: float) -> None:
        """As a request does."""
        try:
            served = self.center.model_for(name, "")
        except NotYetLoaded:
            there = asyncio.get_running_loop().create_future()
            self.engine.when_loaded(name, there.set_result)
            error = await there
            if error is not None:
                raise error from None
            served = self.center.model_for(name, "")
        served.model.used_s = used_s


async def test_the_first_request_loads_and_routing_hears_what_waiting_costs(tmp_path: Path) -> None:
    site = OnDemand(tmp_path, "ab")
    assert site.residency == [("a", 4, True), ("b", 4, True)]
    assert site.cold == [("a", [4], True), ("b", [4], True)]
    await asyncio.gather(*(site.ask("a", 1.0) for _ in range(9)))
    assert site.engine.loads == 1
    assert site.cold[2:] == [("a", [4], False)]
    assert await site.center.ready("b", "")
    assert site.engine.loads == 1
    assert await site.center.statistics("b", "") == []
    assert (await site.center.metadata("b", "")).name == "b"
    assert site.engine.loads == 2
    site.engine.close()


async def test_who_was_used_least_recently_makes_room_and_who_is_busy_does_not(
    tmp_path: Path,
) -> None:
    site = OnDemand(tmp_path, "abcd")
    for used_s, name in enumerate("abc"):
        await site.ask(name, float(used_s))
    site.engine.memory_bytes_max = site.repository.memory_bytes()
    site.repository.get("a").under_way = 1
    await site.ask("d", 4.0)
    assert "a" in site.repository.in_memory()
    assert "b" not in site.repository.in_memory()
    assert ("b", [4], True) in site.cold[4:]
    assert site.repository.memory_bytes() <= site.engine.memory_bytes_max
    await site.ask("b", 5.0)
    assert site.engine.state()["evictions"] == site.engine.loads - len(site.repository.in_memory())
    site.engine.close()


async def test_over_the_bound_while_all_are_busy_and_under_it_soon_after(tmp_path: Path) -> None:
    site = OnDemand(tmp_path, "ab", memory_bytes_max=1)
    await site.ask("a", 1.0)
    site.repository.get("a").under_way = 1
    await site.ask("b", 2.0)
    assert set(site.repository.in_memory()) == {"a", "b"}
    site.repository.get("a").under_way = 0
    while len(site.repository.in_memory()) > 1:
        await asyncio.sleep(0.001)
    assert set(site.repository.in_memory()) == {"b"}
    site.engine.close()


async def test_a_model_that_cannot_be_loaded_is_taken_out_of_the_choice(tmp_path: Path) -> None:
    site = OnDemand(tmp_path, "ab")
    (tmp_path / "a" / "1" / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="cannot open it"):
        await site.ask("a", 1.0)
    assert site.residency[-1] == ("a", 4, False)
    assert site.center.resident == {"b"}
    site.engine.close()
