"""An alias stands for a model or a version of it, at the door and in the index."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import InvalidRequest
from gateway.centers.port import ModelState
from gateway.serving.aliases import alias_lines, resolved
from gateway.serving.models import ModelDoor

ALIASES = {"fast": "mlp", "old": "mlp/1", "gone": "absent", "seven": "7", "far": "org/far-70b"}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (("fast", ""), ("mlp", "")),
        (("fast", "2"), ("mlp", "2")),
        (("old", ""), ("mlp", "1")),
        (("old", "1"), ("mlp", "1")),
        (("mlp", "3"), ("mlp", "3")),
        (("seven", ""), ("7", "")),
        (("far", "3"), ("org/far-70b", "3")),
        (("", ""), ("", "")),
    ],
)
def test_who_is_meant(asked: tuple[str, str], meant: tuple[str, str]) -> None:
    assert resolved(ALIASES, *asked) == meant


def test_another_version_than_that_of_the_alias_is_refused() -> None:
    with pytest.raises(
        InvalidRequest, match="'old' stands for version 1 of 'mlp', and version '2'"
    ):
        resolved(ALIASES, "old", "2")


def test_a_line_of_the_index_is_that_of_the_model() -> None:
    lines = [
        ModelState("mlp", "1", "READY", "", speaks=True),
        ModelState("mlp", "9", "READY"),
        ModelState("mlp", "10", "READY"),
        ModelState("mlp", "11", "UNAVAILABLE", "unloaded"),
    ]
    assert alias_lines(ALIASES, lines) == [
        ModelState("fast", "10", "READY", "alias of mlp"),
        ModelState("old", "1", "READY", "alias of mlp/1"),
    ]
    assert alias_lines({"fast": "mlp"}, lines[3:]) == [
        ModelState("fast", "11", "UNAVAILABLE", "alias of mlp: unloaded")
    ]


async def test_questions_about_an_alias_are_about_its_model(make_front: Any) -> None:
    door = ModelDoor(make_front(models={"aliases": {"fast": "mlp"}}))
    assert (await door.metadata("fast", "")).name == "mlp"
    assert (await door.config("fast", ""))["name"] == "mlp"
    await door.check_ready("fast", "")
    names = [line.name for line in await door.index(only_ready=True)]
    assert names == sorted(names)
    assert {"fast", "mlp"} <= set(names)
    await door.unload("fast")
    with pytest.raises(Exception, match="'mlp' is not ready"):
        await door.check_ready("fast", "")
