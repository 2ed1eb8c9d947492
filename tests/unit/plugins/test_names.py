"""Plugin file = entry-point name = config name; the class is its CamelCase."""

from __future__ import annotations

import ast
from importlib.metadata import entry_points
from pathlib import Path

import gateway_plugins
import pytest

from gateway.api import KINDS

LINES_MAX = {"prequal": 190}  # its paper has a pool, two rules of removal and a reuse budget
SHIPPED = [
    point
    for kind in KINDS
    for point in entry_points(group=f"gateway.{kind}")
    if point.module.startswith("gateway_plugins.")
]


@pytest.mark.parametrize("point", SHIPPED, ids=lambda point: point.name)
def test_an_entry_point_is_named_after_its_file_and_class(point):
    kind = point.group.removeprefix("gateway.")
    assert point.module == f"gateway_plugins.{kind}.{point.name}"
    assert point.attr == point.name.title().replace("_", "")
    assert point.load().__doc__


def test_every_plugin_file_has_its_entry_point():
    folder = Path(gateway_plugins.__file__).parent
    files = {path.stem for path in folder.glob("*/*.py") if path.stem != "__init__"}
    assert files == {point.name for point in SHIPPED}


@pytest.mark.parametrize("point", SHIPPED, ids=lambda point: point.name)
def test_a_plugin_is_short_and_imports_the_contract_alone(point):
    text = Path(point.load().__module__.replace(".", "/"))
    path = Path(gateway_plugins.__file__).parent.parent / text.with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= LINES_MAX.get(point.name, 120)
    imported = [
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
    ]
    ours = [name for name in imported if name.split(".")[0] in ("gateway", "gateway_plugins")]
    assert ours == ["gateway.api"]
