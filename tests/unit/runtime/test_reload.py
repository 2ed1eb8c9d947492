"""One config after another in one process: what stays the same object, and what is let go.

A gateway without doors, over emulated centers and one remote one that nobody answers for. The
same under load and over HTTP: ``tests/integration/test_reload.py``.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

from gateway.api import ConfigError, InvalidRequest
from gateway.centers.port import Attempt, Whole
from gateway.config import Settings, load_settings
from gateway.runtime.gateway import Gateway
from gateway.runtime.reload import Reloader

MODEL = "grid-load"
BODY = (repository() / MODEL / "example.json").read_bytes()
HEAD = 'country = "CN"\nlat = 31.2\nlon = 121.5\n'


def center(name: str, more: str = "") -> str:
    return (
        f'[[center]]\nid = "{name}"\nregion = "r-{name}"\nzone = "z-{name}"\ncity = "Shanghai"\n'
        f"{HEAD}slots = 2\n{more}\n"
    )


FAR = center("far", 'url = "http://127.0.0.1:9"\nemulate = "none"')


class World:
    """A gateway whose config and fleet the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(repository() / MODEL, folder / "models" / MODEL)
        self.fleet(center("a"), center("b"), FAR)
        self.flags: dict[str, Any] = {
            "fleet.file": str(folder / "fleet.toml"),
            "models.shipped": False,
            "models.dirs": [str(folder / "models")],
            "gateway.location": "Shanghai",
            "remote.connect_timeout_ms": 50.0,
        }
        self.gateway = Gateway(self.load(), asyncio.get_running_loop())
        self.reloader = Reloader(self.gateway, self.load)
        self.gateway.reloader = self.reloader

    def load(self) -> Settings:
        return load_settings(None, self.flags).settings

    def fleet(self, *centers: str) -> None:
        (self.folder / "fleet.toml").write_text("\n".join(centers))

    def ports(self) -> dict[str, Any]:
        return {port.center.id: port for port in self.gateway.ports}  # type: ignore[attr-defined]

    def resident(self) -> dict[str, list[int]]:
        table = self.gateway.deciding.router.table.row_tables["resident"]
        return {name: row.tolist() for name, row in table.rows.items()}

    async def infer(self, port: Any) -> Any:
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        deadline_s = self.gateway.line.now() + 10.0
        attempt = Attempt("id", 0, MODEL, "", BODY, None, deadline_s)

        def on_event(event: Any) -> None:
            if not told.done() and type(event).__name__ in ("Whole", "Failed"):
                told.set_result(event)

        port.start(attempt, on_event)
        return await told


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.gateway.load_models()
    yield made
    await made.reloader.settled()
    await made.gateway.close()


async def test_ports_of_centers_that_stay_are_the_same_in_their_new_rows(world: World) -> None:
    before = world.ports()
    world.fleet(FAR, center("new"), center("b"))
    changes = await world.reloader.reload()
    assert (changes.centers_added, changes.centers_removed) == (("new",), ("a",))
    after = world.ports()
    assert after["far"] is before["far"]
    assert after["b"] is before["b"]
    assert [(name, port.row) for name, port in after.items()] == [("far", 0), ("new", 1), ("b", 2)]
    assert after["b"].faults is world.gateway.faults
    assert world.resident() == {MODEL: [0, 1, 1]}
    for name in ("new", "b"):
        assert isinstance(await world.infer(after[name]), Whole)


async def test_a_center_that_is_declared_differently_is_made_anew(world: World) -> None:
    before = world.ports()
    world.fleet(center("a", "core = true"), center("b"), FAR)
    changes = await world.reloader.reload()
    assert changes.centers_changed == {"a": {"core": (False, True)}}
    assert world.ports()["a"] is not before["a"]
    assert world.ports()["b"] is before["b"]


async def test_what_is_under_way_at_a_center_that_goes_is_answered(world: World) -> None:
    gone = world.ports()["a"]
    answer = asyncio.ensure_future(world.infer(gone))
    await asyncio.sleep(0)
    world.fleet(center("b"), FAR)
    await world.reloader.reload()
    assert isinstance(await answer, Whole)


async def test_faults_and_drains_go_with_their_centers(world: World) -> None:
    world.gateway.control.set_fault("b", "slow", 3.0, None)
    world.gateway.control.set_fault("a", "slow", 2.0, None)
    world.gateway.control.drain("b", draining=True)
    world.fleet(FAR, center("b"))
    await world.reloader.reload()
    assert [(f["center"], f["value"]) for f in world.gateway.control.faults()] == [("b", 3.0)]
    states = {row["center"]: row["health"] for row in world.gateway.control.fleet_state()}
    assert states["b"] == "draining"


async def test_a_fault_at_a_center_elsewhere_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest, match=r"'far'.*a, b"):
        world.gateway.control.set_fault("far", "down", 1.0, None)


async def test_nothing_new_makes_no_new_generation(world: World) -> None:
    before = world.gateway.generation
    changes = await world.reloader.reload()
    assert not changes.any
    assert world.gateway.generation is before


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("routing.policy", "nobody", "nobody"),
        ("origins.default", "Atlantis", "Atlantis"),
        ("telemetry.decision_log", "/no/such/folder/log", "decision_log"),
        ("models.dirs", ["/nowhere"], "nowhere"),
    ],
)
async def test_what_is_wrong_leaves_everything_as_it_was(
    world: World, key: str, value: object, word: str
) -> None:
    before, front = world.gateway.generation, world.gateway.front
    world.flags[key] = value
    with pytest.raises((ConfigError, InvalidRequest), match=word):
        await world.reloader.reload()
    assert world.gateway.generation is before
    assert world.gateway.front is front
    assert world.reloader.state()["refused"] == 1
    assert isinstance(await world.infer(world.ports()["a"]), Whole)


async def test_a_model_unloaded_by_hand_stays_unloaded_and_one_loaded_meanwhile_stays(
    world: World,
) -> None:
    for name in ("a", "b"):
        await world.ports()[name].unload(MODEL)
    world.flags["routing.seed"] = 2
    await world.reloader.reload()
    assert world.gateway.generation.residents.by_model == {}
    await world.ports()["a"].load(MODEL)
    assert world.resident() == {MODEL: [1, 0, 0]}


async def test_a_model_that_goes_and_comes_back_at_once_is_served(world: World) -> None:
    models = world.folder / "models"
    shutil.copytree(models / MODEL, models / "second")
    assert (await world.reloader.reload()).models_added == ("second",)
    shutil.move(models / "second", world.folder / "aside")
    assert (await world.reloader.reload()).models_removed == ("second",)
    shutil.move(world.folder / "aside", models / "second")
    assert (await world.reloader.reload()).models_added == ("second",)
    await world.reloader.settled()
    assert world.resident()["second"] == [1, 1, 0]
    assert world.ports()["a"].resident == {MODEL, "second"}
    assert world.gateway.repository.state("second") == "READY"


async def test_a_generation_ends_when_nothing_of_it_is_under_way(world: World) -> None:
    before = world.gateway.generation
    fleet = before.deciding.fleet
    query = before.front.intake  # any request of the generation before
    assert query is not None
    world.flags["routing.seed"] = 3
    await world.reloader.reload()
    await world.reloader.settled()
    assert fleet.in_flight == 0
    assert world.reloader.state()["generations_ending"] == 0
    assert world.gateway.door._front is world.gateway.front
