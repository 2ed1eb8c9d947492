from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.simulation import load_scenario, scenario_names
from gateway.simulation.scenario import _TABLES
from gateway.simulation.scenario_files import find_file
from gateway.simulation.timeline import Timeline
from gateway.simulation.world import world_of

DOCS = Path(__file__).resolve().parents[3] / "docs" / "simulation.md"


@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_can_be_laid_out(name: str) -> None:
    plan = load_scenario(name)
    assert plan.name == name
    world = world_of(plan)
    Timeline(world, 1, 60.0)
    assert f"`{name}`" in DOCS.read_text()


def test_the_scenarios_are_all_there() -> None:
    names = scenario_names()
    assert {f"s{n}" for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12)} <= set(names)
    assert {f"s{n}-{where}" for n in (0, 1, 2) for where in ("map", "west")} <= set(names)
    assert names.index("s2") < names.index("s11")


def test_a_name_is_found_in_any_case() -> None:
    assert load_scenario("S1") == load_scenario("s1")


def test_an_unknown_name_is_told_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="did you mean 's11'"):
        load_scenario("s111")


def test_a_file_takes_its_name_and_looks_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('description = "mine"\n[origins]\ncities = "c.csv"\n')
    (tmp_path / "c.csv").write_text("name,country,lat,lon,population\nParis,FR,48.9,2.3,2000000\n")
    plan = load_scenario(str(tmp_path / "mine.toml"))
    assert plan.name == "mine"
    assert find_file(plan, "c.csv", "origins.cities") == tmp_path / "c.csv"
    assert world_of(plan).places[0].name == "Paris"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("description = ", "not valid TOML"),
        ('description = "x"\nfolder = "/"', "unknown key 'folder'"),
        ('description = "x"\n[fleet]\nfil = "y"', "did you mean 'file'"),
    ],
)
def test_a_wrong_file_is_refused_by_its_path(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.toml") as refused:
        load_scenario(str(tmp_path / "mine.toml"))
    assert told in str(refused.value)


def test_a_missing_fleet_is_told_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('description = "x"\n[fleet]\nfile = "none.toml"')
    with pytest.raises(ConfigError, match=r"fleet.file = 'none.toml' is no file"):
        world_of(load_scenario(str(tmp_path / "mine.toml")))


def test_every_key_is_documented() -> None:
    text = DOCS.read_text()
    keys = {key for table in _TABLES.values() for key in table.__struct_fields__}
    tables = {name.split(".")[0].removesuffix("[]") for name in _TABLES} | {"folder"}
    missing = [
        key for key in sorted(keys - tables) if f"`{key}`" not in text and f".{key}`" not in text
    ]
    assert missing == []
