"""The catalogue, what is exposed, and docs/metrics.md say the same."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.telemetry import CATALOGUE, Metrics
from gateway.telemetry.catalogue import OF_WORKERS

DOC = Path(__file__).parents[3] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(nearway_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", re.MULTILINE)


def test_the_document_lists_every_metric_as_the_catalogue_does() -> None:
    told = {
        name: (kind, tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for name, kind, labels, meaning in ROW.findall(DOC.read_text(encoding="utf-8"))
    }
    known = {
        family.exposed_name: (family.kind, family.labels, family.help)
        for family in (*CATALOGUE, *OF_WORKERS)
    }
    assert told == known


def test_every_metric_of_the_catalogue_is_exposed_and_no_other() -> None:
    exposed = [(family.name, family.type) for family in Metrics(("a",)).families()]
    assert exposed == [(family.name, family.kind) for family in CATALOGUE]


def test_names_follow_prometheus() -> None:
    for family in CATALOGUE:
        assert re.fullmatch(r"nearway_[a-z_]+", family.name)
        assert not family.name.endswith("_total")
        assert family.help.endswith(".")
        if family.kind == "histogram":
            assert family.name.endswith("_seconds")


def test_no_metric_is_made_but_from_the_catalogue() -> None:
    """The one name a metric may have is that of a family: no literal stands where one is made."""
    made = re.compile(r"(?:\w*MetricFamily|\bCounter|\bGauge|\bSummary)\(\s*([^,)]+)")
    found = {
        argument
        for path in (DOC.parents[1] / "gateway").rglob("*.py")
        if "prometheus_client" in (text := path.read_text(encoding="utf-8"))
        for argument in made.findall(text)
    }
    assert found
    assert [one for one in found if not one.endswith(".name")] == []
