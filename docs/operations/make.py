"""Writes ``alerts.yml`` and ``grafana.json`` from the catalogue of metrics.

python docs/operations/make.py

Every name comes from ``gateway.telemetry.catalogue``, every description of a panel from its help;
a metric that no panel here asks for gets one of its own by its kind, in the last row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.telemetry import catalogue as c
from gateway.telemetry.catalogue import Family

HERE = Path(__file__).parent
TARGET_S = "0.01"
OBJECTIVE = 0.99
PAGES = "docs/failures/"
EVERYTHING: tuple[Family, ...] = (*c.CATALOGUE, *c.OF_WORKERS)

# How fast the budget of late answers may burn: (share of a month's budget that is then gone,
# long window, short window that ends the alert soon, times the even pace, severity). As in the
# chapter on alerting of Google's Site Reliability Workbook.
BURNS = (
    ("2 %", "1h", "5m", 14.4, "page"),
    ("5 %", "6h", "30m", 6.0, "page"),
    ("10 %", "3d", "6h", 1.0, "ticket"),
)
QUOTE = "'"
RECORDED = "nearway:missed_share:rate"


@dataclass(frozen=True)
class Alert:
    """One alert: what is asked, for how long it must hold, and the page that says what to do."""

    name: str
    expr: str
    held: str
    severity: str
    summary: str
    page: str


def total(family: Family, window: str, by: str = "", where: str = "") -> str:
    """A counter's rate, summed."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped}(rate({family.exposed_name}{{{where}}}[{window}]))".replace("{}", "")


def missed_share(window: str) -> str:
    """Of what was to be answered: what came late, was refused for want of room, or failed."""
    asked = total(c.REQUESTS, window, where='code=~"200|429|5.."')
    in_time = f'sum(rate({c.DURATION.name}_bucket{{le="{TARGET_S}"}}[{window}]))'
    return f"1 - {in_time} / {asked}"


def quantile(of: float, family: Family, window: str = "$__rate_interval") -> str:
    """A histogram's quantile, seconds."""
    return f"histogram_quantile({of}, sum by (le) (rate({family.name}_bucket[{window}])))"


def mean(family: Family, by: str = "", window: str = "$__rate_interval") -> str:
    """A histogram's mean, seconds."""
    grouped = f" by ({by})" if by else ""
    rates = [f"sum{grouped}(rate({family.name}_{end}[{window}]))" for end in ("sum", "count")]
    return " / ".join(rates)


def alerts() -> list[Alert]:
    """All of them, the 10 ms objective first."""
    burning = [
        Alert(
            f"NearwayBurns{long}",
            f"{RECORDED}{long} > {pace:g} * {1 - OBJECTIVE:.2g} and "
            f"{RECORDED}{short} > {pace:g} * {1 - OBJECTIVE:.2g}",
            "2m",
            severity,
            f"{share} of a month's budget of late answers is gone within {long}",
            "center-slow.md",
        )
        for share, long, short, pace, severity in BURNS
    ]
    failed = total(c.REQUESTS, "5m", where='code=~"5.."')
    asked = total(c.REQUESTS, "5m")
    out = f'count({c.CENTER_HEALTH.name}{{health=~"ejected|half_open"}} == 1)'
    known = f"count({c.CENTER_HEALTH.name} == 1)"
    rows = [
        ("NearwayDown", 'up{job="nearway"} == 0', "1m", "page",
         "A gateway does not answer", "gateway-restarts.md"),
        ("NearwayFails", f"{failed} / {asked} > 0.01", "5m", "page",
         "More than 1 % of the requests end with 5xx", "center-errors.md"),
        ("NearwaySheds", f"{total(c.REFUSED, '5m')} / {asked} > 0.01", "5m", "ticket",
         "More than 1 % of the requests are refused for want of room", "overload.md"),
        ("NearwayHopeless", f"{total(c.HOPELESS, '5m')} / {asked} > 0.05", "10m", "ticket",
         "No center is near enough for more than 5 % of the deadlines", "deadline-short.md"),
        ("NearwayCenterOut",
         f'max by (center) ({c.CENTER_HEALTH.name}{{health="ejected"}}) == 1', "5m", "ticket",
         "A center is ejected", "center-dies.md"),
        ("NearwayCentersOut", f"{out} / {known} > 0.3", "2m", "page",
         "More than 30 % of the centers are out of service", "region-dark.md"),
        ("NearwayRetriesRefused", f"{total(c.RETRIES_REFUSED, '5m')} > 0", "10m", "ticket",
         "The retry budget is spent: centers fail more often than retries can mend",
         "center-errors.md"),
        ("NearwayPolicyInDoubt", f"max({c.IN_DOUBT.name}) == 1", "5m", "ticket",
         "Predictions are off, the fallback decides", "predictions-wrong.md"),
        ("NearwayWorkerDies", f"increase({c.WORKER_RESTARTS.exposed_name}[15m]) > 0", "0m",
         "ticket", "A worker process ended unasked", "worker-dies.md"),
        ("NearwayConnectionsRefused", f"{total(c.CONNECTIONS_REFUSED, '5m')} > 0", "5m", "ticket",
         "Connections are turned away at their bound", "client-floods.md"),
        ("NearwayLogDrops", f"{total(c.LOG_DROPPED, '5m')} > 0", "10m", "ticket",
         "The decision log has no room for all decisions", "README.md"),
    ]  # fmt: skip
    return burning + [Alert(*row) for row in rows]


def rules() -> dict[str, Any]:
    """The rule file: shares recorded by window, then the alerts."""
    windows = sorted({window for burn in BURNS for window in burn[1:3]}, key=_minutes)
    recorded = [{"record": RECORDED + w, "expr": missed_share(w)} for w in windows]
    told = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            "for": alert.held,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "page": PAGES + alert.page},
        }
        for alert in alerts()
    ]
    return {
        "groups": [
            {"name": "nearway-objective", "rules": recorded},
            {"name": "nearway-alerts", "rules": told},
        ]
    }


def _minutes(window: str) -> int:
    return int(window[:-1]) * {"m": 1, "h": 60, "d": 1440}[window[-1]]


def as_yaml(value: Any, indent: str = "") -> str:
    """Mappings, lists and strings of one line as YAML."""
    lines = []
    if isinstance(value, dict):
        for key, inner in value.items():
            plain = isinstance(inner, str)
            told = f" '{inner.replace(QUOTE, 2 * QUOTE)}'\n" if plain else "\n"
            lines.append(f"{indent}{key}:{told}{'' if plain else as_yaml(inner, indent + '  ')}")
    else:
        for inner in value:
            told = as_yaml(inner, indent + "  ")
            lines.append(f"{indent}- {told[len(indent) + 2 :]}")
    return "".join(lines)


@dataclass(frozen=True)
class Panel:
    """One panel: its title, queries as (expression, legend), unit, and what it is drawn as."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    about: Family | None = None
    stacked: bool = False


RATE = "$__rate_interval"


def panels() -> list[tuple[str, list[Panel]]]:
    """Rows of panels; the last holds what no other shows."""
    rows = [
        ("Is it a 10 ms service?", _verdict()),
        ("Requests", _requests()),
        ("Centers", _centers()),
        ("Deciding", _deciding()),
    ]
    text = " ".join(expr for _, row in rows for panel in row for expr, _ in panel.queries)
    return [*rows, ("All else", [_of(family) for family in EVERYTHING if family.name not in text])]


def _verdict() -> list[Panel]:
    target = f"within {float(TARGET_S) * 1000:g} ms"
    quantiles = tuple((quantile(q, c.DURATION), f"p{q * 100:g}") for q in (0.5, 0.9, 0.99))
    return [
        Panel(f"Share {target}, last 5 minutes", ((f"1 - ({missed_share('5m')})", target),),
              "percentunit", "stat"),
        Panel("Missed: late, refused or failed", ((missed_share(RATE), "missed"),), "percentunit"),
        Panel("Latency", quantiles, "s", about=c.DURATION),
        Panel("Where the time goes, mean", ((mean(c.PARTS, "part"), "{{part}}"),), "s",
              about=c.PARTS, stacked=True),
    ]  # fmt: skip


def _requests() -> list[Panel]:
    again = ((c.RETRIES, "retries"), (c.RETRIES_REFUSED, "retries refused"), (c.HEDGES, "hedges"))
    return [
        _counted("Requests by status", c.REQUESTS, "code"),
        _counted("Requests by model", c.REQUESTS, "model"),
        Panel("Second attempts", tuple((total(f, RATE), words) for f, words in again), "ops"),
        _counted("Refused for want of room", c.REFUSED, "reason"),
    ]


def _centers() -> list[Panel]:
    health = f"count by (health) ({c.CENTER_HEALTH.name} == 1)"
    late, early = c.CENTER_PREDICTIONS[1:3]
    made = total(c.CENTER_PREDICTIONS[0], RATE, "center")
    bias = f"({total(late, RATE, 'center')} - {total(early, RATE, 'center')}) / {made}"
    return [
        Panel("Health", ((health, "{{health}}"),), about=c.CENTER_HEALTH, stacked=True),
        Panel("Chosen, ten most", ((f"topk(10, {total(c.PICKS, RATE, 'center')})", "{{center}}"),),
              "ops", about=c.PICKS),
        Panel("Later than predicted, ten most", ((f"topk(10, {bias})", "{{center}}"),), "s",
              about=late),
        _counted("How attempts ended", c.ATTEMPT_ENDINGS, "ending"),
    ]  # fmt: skip


def _deciding() -> list[Panel]:
    agreed = f"{total(c.SHADOW_AGREED, RATE)} / {total(c.SHADOW_COMPARED, RATE)}"
    return [
        Panel("Time to decide", ((quantile(0.5, c.DECISION), "p50"),
                                 (quantile(0.99, c.DECISION), "p99")), "s", about=c.DECISION),
        Panel("Error of predictions", ((quantile(0.5, c.PREDICTION_ERROR), "p50"),
                                       (quantile(0.99, c.PREDICTION_ERROR), "p99")), "s",
              about=c.PREDICTION_ERROR),
        _of(c.ERROR_SHARE),
        Panel("Shadow agrees", ((agreed, "agrees"),), "percentunit", about=c.SHADOW_AGREED),
    ]  # fmt: skip


def _counted(title: str, family: Family, by: str) -> Panel:
    query = (total(family, RATE, by), f"{{{{{by}}}}}")
    return Panel(title, (query,), "ops", about=family, stacked=True)


def _of(family: Family) -> Panel:
    title = family.name.removeprefix("nearway_").replace("_", " ").capitalize()
    by = ", ".join(family.labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in family.labels) or title
    if family.kind == "histogram":
        grouped = ", ".join(("le", *family.labels))
        rate = f"sum by ({grouped}) (rate({family.name}_bucket[{RATE}]))"
        queries = tuple((f"histogram_quantile({q}, {rate})", f"{legend} p{q * 100:g}")
                        for q in (0.5, 0.99))  # fmt: skip
        return Panel(title, queries, "s", about=family)
    if family.kind == "counter":
        unit = "s" if "_seconds" in family.name else "ops"
        expr = total(family, RATE, by)
        expr = f"topk(10, {expr})" if by in ("center", "model") else expr
        return Panel(title, ((expr, legend),), unit, about=family)
    unit = "bytes" if "_bytes" in family.name else "s" if "_seconds" in family.name else "short"
    return Panel(title, ((family.exposed_name, legend),), unit, about=family)


def dashboard() -> dict[str, Any]:
    """Grafana's dashboard model, schema 39: four panels to a row of the grid."""
    shown: list[dict[str, Any]] = []
    y = 0
    for title, row in panels():
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        shown.append({"type": "row", "title": title, "gridPos": place, "collapsed": False})
        y += 1
        for begin in range(0, len(row), 4):
            for column, panel in enumerate(row[begin : begin + 4]):
                place = {"h": 8, "w": 6, "x": 6 * column, "y": y}
                shown.append({"gridPos": place, **_grafana(panel)})
            y += 8
    for number, panel in enumerate(shown, 1):
        panel["id"] = number
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
    return {
        "title": "Nearway",
        "uid": "nearway",
        "schemaVersion": 39,
        "tags": ["nearway"],
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source]},
        "panels": shown,
    }


def _grafana(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    targets = [
        {"refId": chr(ord("A") + k), "datasource": source, "expr": expr, "legendFormat": legend}
        for k, (expr, legend) in enumerate(panel.queries)
    ]
    custom = {"fillOpacity": 30, "stacking": {"mode": "normal"}} if panel.stacked else {}
    told: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
    }
    if panel.about is not None:
        told["description"] = panel.about.help
    if panel.unit == "percentunit":
        told["fieldConfig"]["defaults"] |= {"min": 0, "max": 1}
    return told


def made() -> Sequence[tuple[Path, str]]:
    """The files and what is in them."""
    head = "# Made by docs/operations/make.py from the catalogue of metrics: change it there.\n"
    return (
        (HERE / "alerts.yml", head + as_yaml(rules())),
        (HERE / "grafana.json", json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"),
    )


if __name__ == "__main__":
    for path, text in made():
        path.write_text(text, encoding="utf-8")
