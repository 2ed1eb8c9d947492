"""The deciding half: which policy is held to its predictions, and the shadow beside it."""

from __future__ import annotations

from hashlib import sha256
from math import log
from typing import Any

import numpy as np
import pytest

from gateway.api import InvalidRequest, Query, Table
from gateway.config import load_settings
from gateway.runtime.deciding import Deciding, build_deciding, predicts


def deciding(**flags: Any) -> Deciding:
    keys = {name.replace("__", "."): value for name, value in flags.items()}
    settings = load_settings(None, {"fleet.sites": "core", **keys}).settings
    made = build_deciding(settings, lambda: 0.0)
    made.fleet.add_model("m", 1.0, np.ones(len(made.centers), dtype=bool))
    return made


def digest(table: Table) -> str:
    """Every byte of the table's columns and rows, and their versions."""
    found = sha256(repr((table.epoch, sorted(table.versions.items()))).encode())
    for name in sorted(table.columns):
        found.update(table.columns[name].tobytes())
    for name, rows in sorted(table.row_tables.items()):
        found.update(repr((name, sorted(rows.versions.items(), key=str))).encode())
        found.update(b"".join(rows.rows[key].tobytes() for key in sorted(rows.rows, key=str)))
    return found.hexdigest()


@pytest.mark.parametrize(
    ("policy", "judged"),
    [
        ("predicted_completion", True),
        ("two_choices", True),
        ("nearest", False),
        ("peak_ewma", False),
    ],
)
def test_who_chooses_by_a_prediction_is_held_to_it(policy: str, judged: bool) -> None:
    router = deciding(routing__policy=policy).router
    assert predicts(router.configured.policy) is judged
    assert (router.fallback is not None) is judged


def test_no_fallback_when_none_is_named() -> None:
    assert deciding(routing__fallback="").router.watch is None


def test_wrong_predictions_bring_the_fallback_in() -> None:
    router = deciding().router
    for second in range(30):
        router.look(100 * second, 100 * second * log(4.0), float(second))
    assert router.policy.name == "two_choices_least_request_ring"
    query = Query(0, "m")
    decision = router.decide(query, 30.0)
    router.commit(decision, 30.0)
    assert router.why() in router.explain(query, 30.0).notes
    assert decision.predicted_ms == pytest.approx(router.predict(query, 30.0, decision.center), 0.2)


@pytest.mark.parametrize("shadow", ["nearest", "two_choices", "peak_ewma", "prequal"])
def test_shadow_and_explain_change_nothing_of_the_live_table(shadow: str) -> None:
    made = deciding(routing__shadow__policy=shadow, routing__shadow__budget=1.0)
    query = Query(made.find_vantage("Shanghai"), "m")
    router = made.router
    assert made.shadow is not None
    for step in range(20):
        now = 1.0 + step * 0.01
        decision = router.decide(query, now)
        before = digest(router.table)
        made.shadow.chosen(decision, now)
        router.explain(query, now)
        assert digest(router.table) == before
        router.commit(decision, now)
    assert made.shadow.compared == 40


def test_a_shadows_sources_are_read_too() -> None:
    flags = {
        "policies.dear.sources": [{"name": "surcharge_file", "path": "x.csv"}],
        "policies.dear.scorers": ["network", "surcharge"],
        "routing.shadow.policy": "dear",
    }
    settings = load_settings(None, {"fleet.sites": "core", **flags}).settings
    made = build_deciding(settings, lambda: 0.0)
    assert [source.name for source in made.sources] == ["surcharge_file"]
    assert any(name.startswith("surcharge_file.") for name in made.router.table.columns)


@pytest.mark.parametrize(
    ("url", "emulate", "location", "moves"),
    [
        (None, None, "auto", True),
        ("http://h:1", None, "auto", False),
        ("http://h:1", "center", "auto", True),
        ("http://h:1", None, "origin", True),
        ("http://h:1", None, "Beijing", False),
    ],
)
def test_a_real_path_begins_at_one_place(
    tmp_path: Any, url: str | None, emulate: str | None, location: str, moves: bool
) -> None:
    file = tmp_path / "fleet.toml"
    lines = ["[[center]]", 'id = "a"', 'city = "Wuhu"', 'country = "CN"', "lat = 31", "lon = 118"]
    lines += [f'{key} = "{value}"' for key, value in (("url", url), ("emulate", emulate)) if value]
    file.write_text("\n".join(lines))
    find = deciding(
        fleet__file=str(file), fleet__sites="all", gateway__location=location
    ).find_vantage
    assert (find("Guangzhou") != find("Shanghai")) is moves
    if not moves:
        place = "Shanghai" if location == "auto" else location
        assert find("Guangzhou") == find(place)
    with pytest.raises(InvalidRequest):
        find("Nowhere at all")
