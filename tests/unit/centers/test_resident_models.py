"""What a center of this process has of the models of the shared repository."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Center, Location, NotFound, NotHere
from gateway.centers.resident_models import ResidentModels
from gateway.centers.shared_engine import SharedEngine
from gateway.engine import ModelRepository, Runner


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    return []


@pytest.fixture
def models(shipped: ModelRepository, told: list[tuple[Any, ...]]) -> ResidentModels:
    engine = SharedEngine(
        shipped,
        Runner(1, 1e9, lambda *_: None),
        lambda *change: told.append(change[:3]),
        tensor_elements_max=1_000_000,
    )
    center = Center("a", "a", "a", "A", "CN", Location(31, 118), models=("blast-*", "grid-load"))
    return ResidentModels(7, center, engine)


async def test_only_what_is_declared_is_known(models: ResidentModels) -> None:
    assert models.declares("blast-furnace")
    assert not models.declares("rail-inspection")
    assert {state.name for state in await models.index()} == {"blast-furnace", "grid-load"}
    with pytest.raises(NotFound, match="'rail-inspection' is not declared at center a"):
        await models.load("rail-inspection")
    with pytest.raises(NotFound, match="is not declared"):
        await models.ready("rail-inspection", "")


async def test_adopted_once_told_once(models: ResidentModels, told: list[tuple[Any, ...]]) -> None:
    assert not await models.ready("blast-furnace", "")
    with pytest.raises(NotFound, match=r"'blast-furnace' is not loaded at center a; .*: none"):
        models.model_for("blast-furnace", "")
    models.adopt("blast-furnace")
    models.adopt("blast-furnace")
    assert told == [("blast-furnace", 7, True)]
    assert models.model_for("blast-furnace", "1").model.name == "blast-furnace"
    with pytest.raises(NotFound, match="has no version '2'"):
        models.model_for("blast-furnace", "2")
    [entry] = await models.statistics("", "")
    assert entry["name"] == "blast-furnace"
    assert (await models.config("blast-furnace", ""))["name"] == "blast-furnace"


async def test_unloaded_here_is_not_unloaded_elsewhere(
    models: ResidentModels, told: list[tuple[Any, ...]]
) -> None:
    models.adopt("blast-furnace")
    neighbour = ResidentModels(8, models.center, models.engine)
    neighbour.adopt("blast-furnace")
    await models.unload("blast-furnace")
    assert told[-1] == ("blast-furnace", 7, False)
    assert not await models.ready("blast-furnace", "")
    assert await neighbour.ready("blast-furnace", "")
    with pytest.raises(NotFound):
        await models.unload("blast-furnace")


async def test_what_is_declared_but_not_loaded_here_may_be_elsewhere(
    models: ResidentModels,
) -> None:
    with pytest.raises(NotHere) as caught:
        models.model_for("blast-furnace", "")
    assert caught.value.another_center_may_help
    assert caught.value.http_status == 404
    with pytest.raises(NotFound) as caught_too:
        models.model_for("rail-inspection", "")
    assert not caught_too.value.another_center_may_help
    with pytest.raises(NotFound) as unknown:
        models.model_for("blast-from-the-past", "")
    assert not unknown.value.another_center_may_help


async def test_a_model_that_is_not_in_memory_is_not_adopted(
    models: ResidentModels, told: list[tuple[Any, ...]]
) -> None:
    models.engine.repository = ModelRepository([], tensor_elements_max=1)
    with pytest.raises(NotFound):
        models.adopt("blast-furnace")
    assert models.resident == frozenset()
    assert told == []


async def test_what_is_gone_is_lost_without_telling_routing(
    models: ResidentModels, told: list[tuple[Any, ...]]
) -> None:
    models.adopt("blast-furnace")
    models.lose(["blast-furnace", "never had"])
    assert models.resident == frozenset()
    assert told == [("blast-furnace", 7, True)]
    models.lose(["blast-furnace"])
