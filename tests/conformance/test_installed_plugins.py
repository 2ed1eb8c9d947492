"""Every installed plugin keeps the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.loading import Registry
from gateway.testing import check_plugin

ROWS = Registry.discover().rows()
FILES = {
    "surcharge.toml": '[surcharge_ms]\n"cn-east-3" = 20\n',
    "carbon.toml": '[g_per_kwh]\n"cn-east-3" = 550\n',
}
# Parameters of those that have required ones, and of those that do nothing without.
EXAMPLES: dict[str, dict[str, Any]] = {
    "allowed_regions": {"allow": ("cn-*",), "tenants": {"steel": ("cn-east-*",)}},
    "carbon": {"ms_per_100_g": 5.0},
    "carbon_file": {"path": "carbon.toml"},
    "prefix_affinity": {"ms_per_kb": 4.0},
    "price": {"cents_per_1000": {"cn-*": 2.0, "*": 3.5}, "ms_per_cent": 2.0},
    "sticky_session": {"off_home_ms": 8.0},
    "surcharge_file": {"path": "surcharge.toml"},
    "tenant_priority": {"first": ("steel",)},
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['kind']}-{row['name']}")
def test_conforms(row: dict[str, Any], tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    kind, name = f"{row['kind']}s", row["name"]
    plugin_class = Registry.discover().get(kind, name, "test")
    required = [key for key, default in row["parameters"].items() if default == "required"]
    example = EXAMPLES.get(name, {})
    assert set(required) <= set(example), f"give {name} an example of {required} above"
    findings = check_plugin(kind, plugin_class(**example), folder=tmp_path)
    assert [str(finding) for finding in findings if not finding.passed] == []
    assert len(findings) > 5
