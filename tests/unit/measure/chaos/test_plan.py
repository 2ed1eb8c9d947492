"""The plan of faults: what is read, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.api import Center, ConfigError, Location
from gateway.measure.chaos.plan import (
    CENTER,
    KINDS,
    OF_GATEWAY,
    PROCESS,
    VALUES,
    WIRE,
    ChaosPlan,
    load_plan,
)

SHIPPED = Path(__file__).resolve().parents[4] / "bench" / "chaos" / "plans"
CENTERS = tuple(
    Center(f"{r}-{z}", r, f"{r}-{z}", "Wuxi", "CN", Location(31.0, 120.0))
    for r in ("near", "next")
    for z in "ab"
)


def read(folder: Path, text: str) -> ChaosPlan:
    file = folder / "plan.toml"
    file.write_text(text)
    return load_plan(file)


def fault(**keys: object) -> str:
    told = {"at_s": 1.0, "for_s": 2.0, "kind": "kill", "target": "near-a", **keys}
    shown = (f"{k} = {v!r}" if not isinstance(v, str) else f'{k} = "{v}"' for k, v in told.items())
    return "\n".join(["[[fault]]", *shown, ""])


def test_faults_come_in_the_order_of_time(tmp_path: Path) -> None:
    plan = read(tmp_path, 'title = "both"\n' + fault(at_s=5.0) + fault(at_s=1, kind="stop"))
    assert plan.title == "both"
    assert [f.kind for f in plan.faults] == ["stop", "kill"]
    assert (plan.from_s, plan.until_s) == (1.0, 7.0)
    assert plan.kinds == {"kill", "stop"}


def test_without_a_title_it_is_called_after_its_file(tmp_path: Path) -> None:
    assert read(tmp_path, fault()).title == "plan"


def test_a_kind_with_a_value_has_a_default_one(tmp_path: Path) -> None:
    assert read(tmp_path, fault(kind="slow")).faults[0].value == VALUES["slow"][2]
    assert read(tmp_path, fault(kind="slow", value=50.0)).faults[0].value == 50.0
    assert str(read(tmp_path, fault(kind="slow", value=50.0)).faults[0]) == "slow ×50 near-a"


def test_a_region_means_all_of_its_centers(tmp_path: Path) -> None:
    plan = read(tmp_path, fault(target="near") + fault(target="next-b") + fault(kind="reload",
                target="gateway"))  # fmt: skip
    assert [plan.members(f, CENTERS) for f in plan.faults] == [
        ("near-a", "near-b"),
        ("next-b",),
        (),
    ]
    plan.check_targets(CENTERS)


def test_an_unknown_target_names_the_known_ones(tmp_path: Path) -> None:
    plan = read(tmp_path, fault(target="far-a"))
    with pytest.raises(ConfigError, match=r"number 1.*'far-a'.*near-a, .*next-b, near, next"):
        plan.check_targets(CENTERS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field `fault`.*known keys: fault, title"),
        ("fault = []", "fault.*length >= 1"),
        ("[[fault", "not valid TOML"),
        (fault(kind="explode"), r"number 1: kind:.*'explode'.*expected one of kill, stop"),
        (fault(at_s=-1), "number 1: at_s:.*>= 0.*found -1"),
        (fault(for_s=0), "for_s:.*> 0"),
        (fault(until_s=3), "number 1: unknown key.*until_s.*known keys: at_s, for_s"),
        (fault() + "when = 3\n", "unknown key"),
        (fault(at_s="soon"), "at_s: Expected `float`.*found 'soon'"),
        (fault(value=3), "kill takes no value, found 3"),
        (fault(kind="slow", value=0.5), "slow takes a factor, 1 to 1e"),
        (fault(kind="error", value=1.5), "error takes a share, 0 to 1"),
        (fault(kind="reload"), "reload is done to \"gateway\", found target = 'near-a'"),
        (fault(target="gateway"), 'kill is done to a center, a region or "busiest"'),
        (fault() + fault(at_s=2.0), "kill of near-a at 2 s begins before the one before it"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "plan.toml") in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such plan of faults; mend --chaos"):
        load_plan(tmp_path / "none.toml")


def test_every_kind_is_done_by_exactly_one_hand() -> None:
    hands = [PROCESS, WIRE, CENTER, OF_GATEWAY]
    assert sorted(kind for hand in hands for kind in hand) == sorted(KINDS)


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.toml")), ids=lambda file: file.stem)
def test_every_shipped_plan_is_right(file: Path) -> None:
    assert load_plan(file).title
