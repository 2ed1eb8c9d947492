"""The report: one HTML file that needs no network, and the same tables as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.policies import figures
from bench.policies.cells import AGED_ORACLE, ORACLE
from bench.policies.conditions import AT, Event
from bench.policies.evidence import Evidence
from bench.policies.gates import P99, RIVALS, Gate, tally
from bench.policies.paired import quantile_at, share_within
from bench.policies.tables import (
    bounds_table,
    comparison_table,
    condition_table,
    gates_table,
    interval,
    losing_table,
    markdown,
    percent,
)
from gateway.measure.charts import Section, Svg, Table, page
from gateway.measure.svg import number

COMMAND = "nearway bench policies"
SHOWN_QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
DISTRIBUTIONS = tuple(f"S{n} {AT}.8" for n in (0, 1, 2))
TIMELINES = ("S3 refuse", "S3 blackhole", "S3 fast 503", "S4", "S5", "S6", "S11")

HOW = (
    "Open loop in virtual time: a request's instant does not depend on the answers, and its "
    "latency counts from it. Under one seed every policy meets the same requests, services, "
    "faults and paths. Intervals: paired bootstrap over seeds, widened by Student's t for their "
    "number; they hold 95 % of repetitions. What failed or was not answered is infinitely late "
    "and out of time. A gate holds by the worse end of its interval."
)

TUNED = (
    "Every baseline runs at the best point, by p99, of the grid below, found on other seeds on "
    "the same fleet (a time line without its events). Ours runs at its shipped values."
)
UNTUNED = "Nothing was tuned: every policy runs as shipped."


@dataclass(frozen=True, slots=True)
class Told:
    """What the reader must know of the run. ``tuning``: rows of scenario, policy, point, p99."""

    command: str
    machine: str
    started_at: str
    version: str
    wall_s: float
    reused: int
    cells: int
    seeds: Sequence[int]
    tuning_seeds: Sequence[int]
    tuning: Sequence[Sequence[str]]
    grid: Sequence[Sequence[str]]
    cut: Sequence[str]
    skipped: Sequence[str]
    slo_ms: float
    events: Mapping[str, Event]


def lead(gates: Sequence[Gate]) -> str:
    """How the gates stand, in a sentence."""
    held, missed, unknown = tally(list(gates))
    said = f"{held} gates hold, {missed} do not"
    return f"{said}, {unknown} were not measured." if unknown else f"{said}."


def html(evidence: Evidence, gates: Sequence[Gate], told: Told, ours: str) -> str:
    """The whole page."""
    main = _shown(evidence, ours)
    sections = [
        Section("Gates", (_missed(gates),), (), ()),
        _losing(evidence, ours),
        _regret(evidence, ours),
        *_distributions(evidence, main, told),
        *_load(evidence, main, told),
        *_timelines(evidence, main, told),
        Section(
            "Oracles and bounds",
            (_again(""),),
            (),
            (bounds_table(evidence, ours),),
        ),
        Section(
            "Ours against each",
            (_again(""),),
            (),
            [comparison_table(evidence, ours, label) for label in _baselines(evidence, ours)],
        ),
        Section(
            "Every condition",
            (),
            (),
            [condition_table(evidence, condition) for condition in evidence.conditions],
        ),
        Section("Every gate", (), (), (gates_table(gates),)),
        _method(told),
    ]
    return page("Routing policies compared", sections, lead=lead(gates))


def text(evidence: Evidence, gates: Sequence[Gate], told: Told, ours: str) -> str:
    """The same tables as Markdown."""
    losing = losing_table(evidence, ours, _baselines(evidence, ours))
    parts = [
        "# Routing policies compared\n",
        f"{lead(gates)} {_run_words(told)}\n",
        f"{HOW}\n",
        f"{_tuning_words(told)}\n",
        "## Gates\n",
        markdown(gates_table(gates)),
        "## Where ours loses\n",
        markdown(losing) if losing.rows else "Nowhere beyond doubt.\n",
        "## p99 over the oracle's\n",
        markdown(_regret_table(evidence, ours)),
        "## Oracles and bounds\n",
        markdown(bounds_table(evidence, ours)),
        "## Ours against each\n",
        *(markdown(comparison_table(evidence, ours, b)) for b in _baselines(evidence, ours)),
        "## Every condition\n",
        *(markdown(condition_table(evidence, c)) for c in evidence.conditions),
        "## Tuning\n",
        *(markdown(table) for table in _tuning_tables(told)),
        "## Cut and skipped\n",
        *([f"- {line}" for line in (*told.cut, *told.skipped)] or ["Nothing."]),
        "",
    ]
    return "\n".join(parts)


def _baselines(evidence: Evidence, ours: str) -> list[str]:
    """Every measured policy that is neither ours nor an oracle; the rivals first."""
    known = {label for _, label in evidence.figures} - {ours, ORACLE, AGED_ORACLE}
    return [*(r for r in RIVALS if r in known), *sorted(known - set(RIVALS))]


def _shown(evidence: Evidence, ours: str) -> list[str]:
    """Ours, the oracle and the rivals: what fits into one picture."""
    known = {label for _, label in evidence.figures}
    return [label for label in (ours, ORACLE, *RIVALS) if label in known]


def _missed(gates: Sequence[Gate]) -> str:
    missed = [
        f"{gate.claim}: wanted {gate.wanted}, measured {interval(gate.measured)}"
        for gate in gates
        if gate.ruling == "does not hold"
    ]
    return "Do not hold:\n" + "\n".join(missed) if missed else "No measured gate fails."


def _losing(evidence: Evidence, ours: str) -> Section:
    table = losing_table(evidence, ours, _baselines(evidence, ours))
    words = "The interval lies wholly on the other's side."
    if not table.rows:
        return Section("Where ours loses", ("Nowhere beyond doubt.",))
    return Section("Where ours loses", (words,), (), (table,))


def _regret(evidence: Evidence, ours: str) -> Section:
    policies, conditions, values = _regrets(evidence, ours)
    picture = figures.heat_map(
        conditions,
        policies,
        values.T,
        title="Regret: p99 over the greedy oracle's p99",
        desc="1 is as good as a planner that knows every queue and service time. Deeper is worse, "
        "on a logarithmic scale up to 100.",
    )
    return Section("Regret", (_again(""),), (picture,), (_regret_table(evidence, ours),))


def _regret_table(evidence: Evidence, ours: str) -> Table:
    rows, columns, values = _regrets(evidence, ours)
    return Table(
        ("condition", *rows),
        [
            (condition, *(_regret_words(values[i, j]) for i in range(len(rows))))
            for j, condition in enumerate(columns)
        ],
        caption="p99 over the greedy oracle's p99, all seeds pooled",
    )


def _regrets(
    evidence: Evidence, ours: str
) -> tuple[list[str], list[str], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    rows = [ours, *_baselines(evidence, ours)]
    columns = [c for c in evidence.conditions if evidence.arm(c, ORACLE) is not None]
    values = np.array(
        [
            [evidence.value(c, r, P99) / evidence.value(c, ORACLE, P99) for c in columns]
            for r in rows
        ]
    ).reshape(len(rows), len(columns))
    return rows, columns, values


def _regret_words(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}" if value < 100 else number(value)


def _distributions(evidence: Evidence, labels: Sequence[str], told: Told) -> list[Section]:
    sections = []
    for condition in DISTRIBUTIONS:
        if condition not in evidence.conditions:
            continue
        pictures = [
            figures.distribution(evidence, condition, labels, slo_ms=told.slo_ms, tail=tail)
            for tail in (False, True)
        ]
        known = [label for label in labels if evidence.arm(condition, label) is not None]
        table = Table(
            ("policy", *(f"p{100 * q:g}" for q in SHOWN_QUANTILES)),
            [
                (
                    label,
                    *(
                        number(evidence.value(condition, label, quantile_at(q)))
                        for q in SHOWN_QUANTILES
                    ),
                )
                for label in known
            ],
            caption="ms, all seeds pooled",
        )
        words = _again(f"--scenario {evidence.conditions[condition].scenario}")
        sections.append(Section(f"Latency in {condition}", (words,), pictures, (table,)))
    return sections


def _load(evidence: Evidence, labels: Sequence[str], told: Told) -> list[Section]:
    conditions = sorted(
        (c for c in evidence.conditions if c.startswith(f"S0 {AT}")),
        key=lambda c: evidence.conditions[c].load,
    )
    if len(conditions) < 2:
        return []
    picture: Svg = figures.share_against_load(evidence, conditions, labels, slo_ms=told.slo_ms)
    table = Table(
        ("policy", *(f"load {evidence.conditions[c].load:g}" for c in conditions)),
        [
            (label, *(percent(evidence.value(c, label, share_within)) for c in conditions))
            for label in labels
        ],
        caption="share in time, all seeds pooled",
    )
    return [Section("Share in time against load", (_again("--scenario s0"),), (picture,), (table,))]


def _timelines(evidence: Evidence, labels: Sequence[str], told: Told) -> list[Section]:
    sections = []
    for condition in TIMELINES:
        event = told.events.get(condition)
        known = [label for label in labels if evidence.arm(condition, label) is not None]
        if not known:
            continue
        marks = [(event.from_s, event.words), (event.until_s, "over")] if event else []
        picture = figures.timeline(evidence, condition, known, marks)
        tables = [_recovery_table(evidence, condition, known, event)] if event else []
        words = _again(f"--scenario {evidence.conditions[condition].scenario}")
        sections.append(Section(condition, (words,), (picture,), tables))
    return sections


def _recovery_table(
    evidence: Evidence, condition: str, labels: Sequence[str], event: Event
) -> Table:
    rows = [
        (
            label,
            interval(evidence.recovery_s(condition, label, event.from_s, event.until_s)),
            interval(evidence.mean(condition, label, lambda run: run.event_failed)),
            percent(evidence.value(condition, label, share_within)),
        )
        for label in labels
    ]
    return Table(
        ("policy", "s until back at 95 %", "share failed meanwhile", "in time, whole run"), rows
    )


def _method(told: Told) -> Section:
    cut = [f"Cut or skipped: {line}" for line in (*told.cut, *told.skipped)]
    words = (HOW, _tuning_words(told), _run_words(told), *cut)
    return Section("How it was measured", words, (), _tuning_tables(told))


def _tuning_words(told: Told) -> str:
    return TUNED if told.tuning else UNTUNED


def _tuning_tables(told: Told) -> list[Table]:
    tables = [Table(("policy", "tried as", "with"), told.grid, caption="The grid")]
    if told.tuning:
        columns = ("family of scenarios", "policy", "best point", "p99 ms, tuning seeds", "points")
        caption = "The points chosen; an empty one is the policy as shipped"
        tables.append(Table(columns, told.tuning, caption=caption))
    return tables


def _run_words(told: Told) -> str:
    return (
        f"`{told.command}`, {told.started_at}, nearway {told.version}, {told.machine}; seeds "
        f"{_range(told.seeds)}, tuning seeds {_range(told.tuning_seeds)}; {told.cells} cells, "
        f"{told.reused} of them from earlier runs, {told.wall_s / 60:.1f} minutes."
    )


def _range(seeds: Sequence[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else ", ".join(map(str, seeds))


def _again(arguments: str) -> str:
    return f"Again: {COMMAND} {arguments}".strip()
