"""The policies that docs/plugins.md shows can be built, and its table of baselines is whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from gateway.config import SHIPPED_POLICIES, Policy
from gateway.loading import Registry, build_policy

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
STANDARD = (
    *("healthy", "queue_ms", "rtt_ms", "service_ms", "service_spread", "resident", "slots"),
    "in_flight",
)
NOT_OURS = {"mine"}  # made of the plugin that the page writes
SHOWN = {
    name: policy
    for block in re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for name, policy in tomllib.loads(block).get("policies", {}).items()
    if name not in NOT_OURS
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_policy_of_the_page_builds(name):
    policy = msgspec.convert(SHOWN[name], Policy)
    assert build_policy(name, policy, Registry.discover(), STANDARD).name == name


def test_every_example_plugin_has_a_policy():
    shown = str(SHOWN)
    examples = ("data_residency", "price", "carbon", "sticky_session", "prefix_affinity")
    for plugin in (*examples, "tenant_priority"):
        assert f"'{plugin}'" in shown


def test_the_table_of_baselines_names_policy_and_picker():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| .+ \| .+ \|$", TEXT, re.MULTILINE)
    assert len(rows) == 14
    for name, picker in rows:
        shipped = SHIPPED_POLICIES[name].picker
        assert picker == (shipped if isinstance(shipped, str) else shipped["name"]), name


def test_every_ring_stands_beside_a_baseline_of_the_table():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", TEXT, re.MULTILINE))
    rings = [name for name in SHIPPED_POLICIES if name.endswith("_ring")]
    assert {name.removesuffix("_ring") for name in rings} <= set(rows)
