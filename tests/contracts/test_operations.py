"""Alerts and the Grafana dashboard: made from the catalogue, read by parsers that are not ours."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.catalogue import CATALOGUE, OF_WORKERS, Family
from gateway.telemetry.metrics import Exposition, Metrics

promql = pytest.importorskip("promql_parser", reason="the package promql-parser is absent")

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPERATIONS = DOCS / "operations"
PROMTOOL = shutil.which("promtool")
OF_OTHERS = {"up": {"job", "instance"}}

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool on this machine")


def rules() -> list[dict[str, Any]]:
    told = yaml.safe_load((OPERATIONS / "alerts.yml").read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    told = json.loads((OPERATIONS / "grafana.json").read_text())
    return [panel for panel in told["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    drawn = [in_full(target["expr"]) for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + drawn


def in_full(expression: str) -> str:
    """With a range in place of Grafana's variable."""
    return expression.replace("$__rate_interval", "5m")


def series() -> dict[str, set[str]]:
    """Labels by the name of every series there is."""

    def of(family: Family) -> Iterator[tuple[str, set[str]]]:
        labels = set(family.labels)
        if family.kind == "histogram":
            yield f"{family.name}_bucket", labels | {"le"}
            yield f"{family.name}_sum", labels
            yield f"{family.name}_count", labels
        else:
            yield family.exposed_name, labels

    known = dict(pair for family in (*CATALOGUE, *OF_WORKERS) for pair in of(family))
    recorded = {rule["record"]: set[str]() for rule in rules() if "record" in rule}
    return {**known, **recorded, **OF_OTHERS}


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """(name, labels asked for) of every series an expression reads. Raises on what is no PromQL."""
    found: list[tuple[str, dict[str, str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            asked = {one.name: one.value for one in node.matchers.matchers}
            found.append((node.name, asked))

    promql.walk(promql.parse(expression), visit)
    return found


def test_the_files_are_what_the_catalogue_makes() -> None:
    made = runpy.run_path(str(OPERATIONS / "make.py"), run_name="make")["made"]()
    stale = [path.name for path, text in made if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run: python docs/operations/make.py"


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_reads_series_and_labels_there_are(expression: str) -> None:
    known = series()
    read = selectors(expression)
    assert read
    for name, asked in read:
        assert name in known
        assert set(asked) - known[name] == set()


def test_the_parser_refuses_what_is_no_promql() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        selectors("sum(rate(nearway_requests_total[5m])")


def test_the_dashboard_shows_every_metric_of_the_catalogue() -> None:
    drawn = [in_full(target["expr"]) for panel in panels() for target in panel["targets"]]
    shown = {name for expression in drawn for name, _ in selectors(expression)}
    for family in (*CATALOGUE, *OF_WORKERS):
        assert shown & {family.exposed_name, f"{family.name}_bucket", f"{family.name}_sum"}, family


def test_an_alert_names_a_page_and_the_target_is_a_bucket() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 10
    for rule in alerts:
        assert (DOCS.parent / rule["annotations"]["page"]).is_file()
        assert rule["labels"]["severity"] in ("page", "ticket")
    text = Exposition(Metrics(("a",))).text().decode()
    for expression in expressions():
        for bound in re.findall(r'le="([^"]+)"', expression):
            assert f'nearway_request_duration_seconds_bucket{{le="{bound}"}}' in text


def test_the_exposition_is_read_by_prometheus_clients_parser() -> None:
    text = Exposition(Metrics(("a", 'b"\\'))).text().decode()
    read = {family.name for family in text_string_to_metric_families(text)}
    assert {family.name for family in CATALOGUE} <= read


@needs_promtool
def test_promtool_agrees() -> None:
    def promtool(*words: str, text: bytes = b"") -> None:
        done = subprocess.run(
            [str(PROMTOOL), *words], input=text, cwd=OPERATIONS, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    promtool("check", "metrics", text=Exposition(Metrics(("a",))).text())
