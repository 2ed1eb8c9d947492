"""The bench's tables: the same rows for the page and for the Markdown file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from bench.policies import paired
from bench.policies.cells import AGED_ORACLE, ORACLE, Figures
from bench.policies.evidence import Evidence
from bench.policies.gates import P50, P99, Gate, best_rival
from bench.policies.paired import mean_ms, quantile_at, share_within
from gateway.measure.charts import Table
from gateway.measure.intervals import Interval
from gateway.measure.svg import number

P90, P999 = quantile_at(0.9), quantile_at(0.999)
P999_REQUESTS = 500_000
"""A p99.9 is shown only of so many requests, pooled over the seeds."""
WORSE = 1.05


def markdown(table: Table) -> str:
    """A table in GitHub's Markdown, its caption above."""
    head = "| " + " | ".join(table.columns) + " |"
    rule = "|" + "|".join(["---"] + ["---:"] * (len(table.columns) - 1)) + "|"
    rows = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in table.rows]
    caption = [f"{table.caption}\n"] if table.caption else []
    return "\n".join([*caption, head, rule, *rows, ""])


def gates_table(gates: Sequence[Gate]) -> Table:
    """Every gate, by group."""
    rows = [
        (
            f"{gate.group}: {gate.claim}" + (f" ({gate.note})" if gate.note else ""),
            gate.ruling,
            gate.wanted,
            interval(gate.measured),
        )
        for gate in gates
    ]
    return Table(("gate", "ruling", "wanted", "measured [95 %]"), rows)


def condition_table(evidence: Evidence, condition: str) -> Table:
    """All policies under one condition, the least p99 first; oracles on top."""
    labels = sorted(
        evidence.labels(condition),
        key=lambda label: (
            label not in (ORACLE, AGED_ORACLE),
            _sortable(evidence.value(condition, label, P99)),
        ),
    )
    asked = evidence.conditions[condition]
    runs = sum(run.requests for run in evidence.runs(condition, labels[0]))
    seeds = len(evidence.runs(condition, labels[0]))
    return Table(
        (
            "policy",
            *("p50", "p90", "p99", "p99.9", "mean"),
            *("in time", "of feasible", "in time/s", "over oracle", "failed"),
            *("other zone", "other region", "msgs/req", "util max/mean", "oscillation", "fair"),
        ),
        [_policy_row(evidence, condition, label) for label in labels],
        caption=f"{condition}: scenario {asked.scenario}, {seeds} seeds, {runs} requests a "
        "policy; ms; over oracle: mean latency over the oracle's",
    )


def _policy_row(evidence: Evidence, condition: str, label: str) -> Sequence[str]:
    one = evidence.arm(condition, label)
    assert one is not None
    runs = evidence.runs(condition, label)

    def mean(name: str) -> float:
        known = [v for run in runs if (v := getattr(run, name)) is not None]
        return sum(known) / len(known) if known else math.nan

    def value(statistic: paired.Statistic) -> float:
        return paired.value(one, statistic)

    requests = sum(run.requests for run in runs)
    of_feasible = evidence.of_feasible(condition, label).value
    busiest, usual = mean("utilization_max"), mean("utilization_mean")
    return (
        label,
        *(_ms(value(statistic)) for statistic in (P50, P90, P99)),
        _ms(value(P999)) if requests >= P999_REQUESTS else "",
        _ms(value(mean_ms)),
        percent(value(share_within)),
        percent(of_feasible),
        number(sum(run.within for run in runs) / sum(run.duration_s for run in runs)),
        _ms(value(mean_ms) - evidence.value(condition, ORACLE, mean_ms)),
        percent(sum(run.failed for run in runs) / requests),
        percent(mean("cross_zone")),
        percent(mean("cross_region")),
        _short(mean("messages_per_request")),
        _short(busiest / usual) if usual > 0 else "",
        _short(mean("oscillation")),
        _short(mean("fairness")),
    )


def comparison_table(evidence: Evidence, ours: str, label: str) -> Table:
    """Ours against one baseline, under every condition both ran."""
    rows = []
    for condition in evidence.conditions:
        p99 = evidence.ratio(condition, ours, label, P99)
        if math.isnan(p99.value):
            continue
        rows.append(
            (
                condition,
                interval(evidence.ratio(condition, ours, label, P50)),
                interval(p99),
                _far_tail(evidence, condition, ours, label),
                interval(evidence.ratio(condition, ours, label, mean_ms)),
                _points(evidence.difference(condition, ours, label, share_within)),
                interval(evidence.gap_closed(condition, ours, label, ORACLE, P99)),
            )
        )
    return Table(
        ("condition", "p50", "p99", "p99.9", "mean", "in time, points", "gap closed"),
        rows,
        caption=f"{ours} / {label}: ratios [95 %]; below 1 ours is faster. Points: percentage "
        "points of requests in time, above 0 ours is better",
    )


def _far_tail(evidence: Evidence, condition: str, ours: str, label: str) -> str:
    requests = sum(run.requests for run in evidence.runs(condition, label))
    if requests < P999_REQUESTS:
        return ""
    return interval(evidence.ratio(condition, ours, label, P999))


def losing_table(evidence: Evidence, ours: str, labels: Sequence[str]) -> Table:
    """Where another policy is better than ours beyond doubt, in any figure that is compared."""
    rows = [
        (condition, label, *lost)
        for condition in evidence.conditions
        for label in labels
        for lost in _lost(evidence, condition, ours, label)
    ]
    return Table(("condition", "better policy", "in", "ours / theirs", "by over 5 %"), rows)


def _lost(
    evidence: Evidence, condition: str, ours: str, label: str
) -> Iterator[tuple[str, str, str]]:
    """The figure, the interval, and whether it is worse by more than 5 %."""
    requests = sum(run.requests for run in evidence.runs(condition, label))
    figures = {"p50": P50, "p99": P99, "mean": mean_ms}
    if requests >= P999_REQUESTS:
        figures["p99.9"] = P999
    for word, statistic in figures.items():
        ratio = evidence.ratio(condition, ours, label, statistic)
        if ratio.low > 1.0:
            yield word, interval(ratio), "yes" if ratio.value > WORSE else ""
    share = evidence.difference(condition, ours, label, share_within)
    if share.high < 0.0:
        yield "in time, points", _points(share), ""


def bounds_table(evidence: Evidence, ours: str) -> Table:
    """What physics, an empty system and a planner that knows everything would give."""
    rows = []
    for condition in evidence.conditions:
        runs = evidence.runs(condition, ORACLE) or evidence.runs(condition, ours)
        rival = best_rival(evidence, condition)
        rows.append(
            (
                condition,
                _ms(_mean(runs, "light_ms")),
                _ms(_mean(runs, "bound_mean_ms")),
                *(_means(evidence, condition, label) for label in (ORACLE, AGED_ORACLE, ours)),
                f"{_means(evidence, condition, rival)} {rival}" if rival else "",
                percent(_mean(runs, "feasible")),
                percent(_mean(runs, "bound_share")),
                *(_share(evidence, condition, label) for label in (ORACLE, ours)),
                _share(evidence, condition, rival) if rival else "",
            )
        )
    return Table(
        (
            "condition",
            *("light", "bound", "oracle", "aged", "ours", "best rival"),
            *("feasible", "bound", "oracle", "ours", "best rival"),
        ),
        rows,
        caption="Mean latency, ms, then share in time. Light: straight fibre to the nearest "
        "center; bound: every center one pooled queue; oracle: greedy with the true state; "
        "aged: the same with the state as old as the reports; best rival: by p99",
    )


def interval(found: Interval) -> str:
    """``0.62 [0.58, 0.66]``, ``–`` when not measured."""
    if math.isnan(found.value):
        return "–"
    return f"{_short(found.value)} [{_short(found.low)}, {_short(found.high)}]"


def percent(share: float) -> str:
    """Two decimals near the ends, where they matter."""
    if math.isnan(share):
        return ""
    value = 100 * share
    return f"{value:.2f} %" if value > 98 or value < 2 else f"{value:.1f} %"


def _points(found: Interval) -> str:
    if math.isnan(found.value):
        return "–"
    return f"{100 * found.value:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def _means(evidence: Evidence, condition: str, label: str) -> str:
    return _ms(evidence.value(condition, label, mean_ms))


def _share(evidence: Evidence, condition: str, label: str) -> str:
    return percent(evidence.value(condition, label, share_within))


def _mean(runs: Sequence[Figures], name: str) -> float:
    known = list(_known(runs, name))
    return sum(known) / len(known) if known else math.nan


def _known(runs: Sequence[Figures], name: str) -> Iterator[float]:
    for run in runs:
        value: float | None = getattr(run, name)
        if value is not None:
            yield value


def _short(value: float) -> str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return (
        f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else number(value)
    )


def _ms(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if abs(value) < 1000 else number(value)


def _sortable(value: float) -> float:
    return math.inf if math.isnan(value) else value
