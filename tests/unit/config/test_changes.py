"""The diff of two configs and of two fleets."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gateway.api import Center, Location
from gateway.config import Settings, load_settings
from gateway.config.changes import Changes, center_changes, settings_changes, with_kept
from gateway.config.settings import Policy

SH = Center("sh-a", "sh", "a", "Shanghai", "CN", Location(31.2, 121.5))
WH = replace(SH, id="wh-b", region="wh", zone="b", city="Wuhu")


def test_equal_configs_have_no_changes() -> None:
    assert settings_changes(load_settings().settings, load_settings().settings) == {}


def test_a_key_is_dotted_with_old_and_new() -> None:
    old, new = Settings(), load_settings(None, {"routing.seed": 7, "server.port": 0}).settings
    new = msgspec.structs.replace(new, policies={})
    assert settings_changes(old, new) == {"routing.seed": (1, 7), "server.port": (8080, 0)}


def test_nested_sections_and_policies_are_told_apart() -> None:
    old = Settings(policies={"mine": Policy(), "gone": Policy()})
    new = Settings(policies={"mine": Policy(picker="two_choices"), "more": Policy()})
    changes = settings_changes(old, new)
    assert list(changes) == ["policies.mine", "policies.gone", "policies.more"]
    before, after = changes["policies.mine"]
    assert before["picker"] == "least"
    assert after["picker"] == "two_choices"
    assert changes["policies.gone"][1] is None
    assert changes["policies.more"][0] is None


def test_kept_keys_are_the_old_ones() -> None:
    old, new = Settings(), load_settings(None, {"server.port": 1, "server.drain_s": 2.0}).settings
    kept = with_kept(old, new, ["server.port"])
    assert kept.server.port == 8080
    assert kept.server.drain_s == 2.0


def test_centers_added_removed_and_changed() -> None:
    bigger = replace(SH, slots=9)
    added, removed, changed = center_changes([SH, WH], [replace(WH, id="new"), bigger])
    assert added == ("new",)
    assert removed == ("wh-b",)
    assert changed == {"sh-a": {"slots": (4, 9)}}


def test_another_order_is_no_change() -> None:
    assert center_changes([SH, WH], [WH, SH]) == ((), (), {})


def test_lines_name_everything() -> None:
    changes = Changes(
        keys={"routing.policy": ("a", "b")},
        needs_restart={"server.port": (1, 2)},
        centers_added=tuple(f"c{n}" for n in range(20)),
        centers_changed={"sh-a": {"slots": (4, 9)}},
        models_reloaded=("grid-load",),
    )
    lines = list(changes.lines())
    assert "routing.policy: 'a' -> 'b'" in lines
    assert "center sh-a: slots 4 -> 9" in lines
    assert "models reloaded: grid-load" in lines
    assert any("and 12 more" in line for line in lines)
    assert any("server.port" in line and "restart" in line for line in lines)
    assert changes.any
    assert changes.told()["needs_restart"] == {"server.port": [1, 2]}


def test_what_only_a_restart_would_change_changes_nothing() -> None:
    assert not Changes(needs_restart={"server.port": (1, 2)}).any
    assert not Changes().any
