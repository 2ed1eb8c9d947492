"""Routing policies compared in the simulator: one command, one report.

    nearway bench policies [--quick] [--scenario S1] [--policy NAME] [--out DIR]

Tunes every baseline on seeds of their own, runs ours, the baselines and the oracles on the
same requests, judges the gates, and writes ``report.html`` and ``results.md``. Cells are kept
by what determines them, so that a run that was broken off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.policies import budget, choosing, conditions, grid, report
from bench.policies.cells import Cell, Results, Stored
from bench.policies.evidence import Evidence
from bench.policies.gates import Gate, judge, tally
from bench.policies.measuring import Job, event_of, job_of, planned_requests
from bench.policies.running import Ran, run_jobs
from bench.policies.tables import interval, markdown
from gateway import __version__
from gateway.api import NearwayError
from gateway.measure.charts import Table

TUNED = Path(__file__).with_name("tuned.json")
ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "reports" / "policies"
TRIAL_REQUESTS = 2_000
COULD_NOT_RUN = 3


@dataclass(slots=True)
class Bench:
    """One run of the bench: what was asked, and what has come of it so far."""

    asked: list[conditions.Asked]
    seeds: range
    labels: list[str] | None
    out: Path
    workers: int
    resume: bool
    budget_s: float
    console: Console
    started_s: float = field(default_factory=time.monotonic)
    speeds: budget.Speeds = field(default_factory=budget.Speeds)
    skipped: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    cells: int = 0
    reused: int = 0

    @property
    def results(self) -> Results:
        """Where figures are kept."""
        return Results(self.out / "cells")

    @property
    def until_s(self) -> float:
        """When the time is over, on the monotonic clock."""
        return self.started_s + self.budget_s

    def jobs(self, cells: Sequence[Cell]) -> list[Job]:
        """The cells as jobs; those that cannot be are told as skipped, once each."""
        jobs = []
        for cell in cells:
            cost = budget.cell_cost_s(cell, self.speeds, planned_requests)
            try:
                jobs.append(replace(job_of(cell), cost_s=cost))
            except (NearwayError, LookupError) as refused:
                self.skip(f"{cell.condition.name}, {cell.arm.label}: {refused}")
        return jobs

    def skip(self, line: str) -> None:
        """Told once."""
        if line not in self.skipped:
            self.skipped.append(line)

    def run(self, jobs: Sequence[Job], words: str, until_s: float) -> Ran:
        """Run the jobs behind a progress bar."""
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=Console(stderr=True),
            transient=True,
        )
        with bar:
            task = bar.add_task(words, total=sum(job.cost_s for job in jobs), now="")

            def told(cell: Cell, cost_s: float) -> None:
                now = f"{cell.condition.name}, {cell.arm.label}"
                bar.update(task, advance=cost_s, now=now)

            ran = run_jobs(
                jobs,
                self.results,
                workers=self.workers,
                until_s=until_s,
                told=told,
                resume=self.resume,
            )
        self._count(ran)
        return ran

    def _count(self, ran: Ran) -> None:
        self.cells += len(ran.stored)
        self.reused += ran.reused
        self.speeds.learn(ran.stored.values())
        for stored in ran.stored.values():
            if stored.refused:
                cell = stored.cell
                self.skip(f"{cell.condition.name}, {cell.arm.label}: {stored.refused}")
        for broken in ran.broken.values():
            self.skip(f"a cell broke: {broken}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 0 when the report is written, whatever the gates say."""
    asked = _arguments(arguments)
    console = Console(soft_wrap=True, highlight=False)
    try:
        bench = _bench(asked, console)
        _known_scenarios(bench)
        chosen, tuning_rows = _tuned(bench, asked)
        evidence = _compared(bench, chosen)
        if not evidence.figures:
            console.print("Nothing was measured:", *bench.skipped, sep="\n")
            return COULD_NOT_RUN
        _written(bench, evidence, tuning_rows, asked)
    except NearwayError as error:
        console.print(f"[bold red]error[/] {error}")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on where this one was.")
        return 130
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nearway bench policies", description="Routing policies compared in the simulator."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="few seeds and requests: under two minutes")
    add("--scenario", action="append", default=[], help="a scenario or condition; repeatable, *")
    add("--policy", action="append", help="a baseline (ours always runs); repeatable")
    add("--seeds", type=int, help="seeds a condition (10, quick 3)")
    add("--requests", type=int, help="requests a cell where no time line says (100000)")
    add("--tuning-requests", type=int, default=conditions.TUNING_REQUESTS)
    add("--no-tuning", action="store_true", help="baselines as the last tuning left them")
    add("--out", type=Path, default=OUT, help="folder of the report and the cells")
    add("--jobs", type=int, default=2, help="worker processes (2)")
    add("--resume", action=argparse.BooleanOptionalAction, default=True, help="use known cells")
    add("--budget-hours", type=float, default=2.5, help="what does not fit is cut and listed")
    return parser.parse_args(arguments)


def _bench(asked: argparse.Namespace, console: Console) -> Bench:
    quick = asked.quick
    requests = asked.requests or (conditions.REQUESTS_QUICK if quick else conditions.REQUESTS)
    plan = conditions.quick(requests) if quick else conditions.full(requests)
    count = asked.seeds or (conditions.SEEDS_QUICK if quick else conditions.SEEDS)
    bench = Bench(
        asked=choosing.filtered(plan, asked.scenario),
        seeds=range(1, count + 1),
        labels=asked.policy,
        out=asked.out,
        workers=max(1, asked.jobs),
        resume=asked.resume,
        budget_s=asked.budget_hours * 3600,
        console=console,
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    for label in grid.missing():
        bench.skip(f"policy {label}: not among the shipped policies")
    return bench


def _known_scenarios(bench: Bench) -> None:
    """Drop conditions whose scenario is not there, or wrong."""
    kept = []
    for one in bench.asked:
        try:
            planned_requests(one.condition)
            kept.append(one)
        except NearwayError as error:
            bench.skip(f"{one.condition.name}: {error}")
    bench.asked = kept


def _tuned(bench: Bench, asked: argparse.Namespace) -> tuple[choosing.Chosen, list[list[str]]]:
    if asked.quick or asked.no_tuning:
        chosen = choosing.load_chosen(TUNED)
        rows = [
            [family, label, arm.point, "", ""]
            for family, arms in chosen.items()
            for label, arm in arms.items()
        ]
        return chosen, rows
    _trials(bench)
    cells = choosing.tuning_cells(bench.asked, asked.tuning_requests, bench.labels)
    cost = budget.cost_s(cells, bench.speeds, planned_requests)
    groups = choosing.main_cells(bench.asked, {}, bench.seeds, bench.labels)
    costs = [budget.cost_s(group, bench.speeds, planned_requests) for group in groups]
    _estimate(bench, cost, groups, costs)
    ran = bench.run(bench.jobs(cells), "tuning", bench.until_s)
    chosen, rows, every = choosing.best_points(ran.stored.values())
    choosing.save_chosen(bench.out / "tuned.json", chosen)
    table = Table(("family", "policy", "point", "p99 ms"), every, caption="Every point tried")
    (bench.out / "tuning.md").write_text(markdown(table), encoding="utf-8")
    return chosen, rows


def _trials(bench: Bench) -> None:
    """Short runs that tell what a request costs: each policy once, each scenario once."""
    if not bench.asked:
        return
    first = bench.asked[0].condition
    groups = choosing.main_cells(bench.asked, {}, [0], bench.labels)
    wanted: dict[tuple[str, str], Cell] = {}
    for (cell,) in groups:
        if cell.condition.name == first.name or cell.arm.label == grid.OURS:
            key = (cell.condition.scenario, cell.arm.policy)
            wanted.setdefault(key, choosing.shortened(cell, TRIAL_REQUESTS))
    bench.run(bench.jobs(list(wanted.values())), "trials", bench.until_s)


def _estimate(
    bench: Bench, tuning_s: float, groups: Sequence[Sequence[Cell]], costs: Sequence[float]
) -> None:
    each = budget.SLACK / bench.workers / 60
    total = tuning_s + sum(costs)
    bench.console.print(
        f"{len(bench.asked)} conditions, {sum(map(len, groups))} cells: tuning about "
        f"{tuning_s * each:.0f} minutes and the comparison {sum(costs) * each:.0f} on "
        f"{bench.workers} workers; cells known from earlier runs are free."
    )
    if total * each * 60 > bench.budget_s:
        _, left = budget.cut(groups, costs, bench.budget_s / each / 60 - tuning_s)
        bench.console.print(
            f"More than the budget of {bench.budget_s / 3600:g} hours: likely to be cut:",
            *budget.told(left, "no time"),
            sep="\n  ",
        )


def _compared(bench: Bench, chosen: choosing.Chosen) -> Evidence:
    groups = choosing.main_cells(bench.asked, chosen, bench.seeds, bench.labels)
    jobs = bench.jobs([cell for group in groups for cell in group])
    ran = bench.run(jobs, "comparing", bench.until_s)
    left = {job.key for job in ran.left}
    stored: list[Stored] = []
    by_group: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        by_group.setdefault((job.cell.condition.name, job.cell.arm.label), []).append(job)
    unfinished = []
    for group in by_group.values():
        if any(job.key in left for job in group):
            unfinished.append([job.cell for job in group])
        else:
            stored += [ran.stored[job.key] for job in group if job.key in ran.stored]
    bench.cut += budget.told(unfinished, f"over the budget of {bench.budget_s / 3600:g} hours")
    return Evidence.of(stored)


def _written(
    bench: Bench, evidence: Evidence, tuning_rows: list[list[str]], asked: argparse.Namespace
) -> None:
    events = {
        name: event
        for name, condition in evidence.conditions.items()
        if (event := event_of(condition)) is not None
    }
    gates = judge(evidence, grid.OURS, events)
    told = report.Told(
        command=f"nearway bench policies {' '.join(_said(asked))}".strip(),
        machine=_machine(bench.workers),
        started_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        wall_s=time.monotonic() - bench.started_s,
        reused=bench.reused,
        cells=bench.cells,
        seeds=list(bench.seeds),
        tuning_seeds=[
            conditions.FIRST_TUNING_SEED,
            conditions.FIRST_TUNING_SEED + conditions.TUNING_SEEDS - 1,
        ],
        tuning=tuning_rows,
        grid=choosing.grid_rows(),
        cut=bench.cut,
        skipped=bench.skipped,
        slo_ms=10.0,
        events=events,
    )
    page, text = bench.out / "report.html", bench.out / "results.md"
    page.write_text(report.html(evidence, gates, told, grid.OURS), encoding="utf-8")
    text.write_text(report.text(evidence, gates, told, grid.OURS), encoding="utf-8")
    _say(bench, gates, told, page, text)


def _say(bench: Bench, gates: Sequence[Gate], told: report.Told, page: Path, text: Path) -> None:
    say = bench.console.print
    for gate in gates:
        if gate.ruling == "does not hold":
            say(
                f"[red]✗[/] {gate.claim} {gate.note}: wanted {gate.wanted}, "
                f"measured {interval(gate.measured)}"
            )
    held, missed, unknown = tally(list(gates))
    say(f"{held} gates hold, {missed} do not, {unknown} were not measured; {told.wall_s:.0f} s.")
    for line in (*told.cut, *told.skipped):
        say(f"[yellow]-[/] {line}")
    say(f"{page}\n{text}")


def _said(asked: argparse.Namespace) -> list[str]:
    words = ["--quick"] if asked.quick else []
    words += [word for name in asked.scenario for word in ("--scenario", name)]
    words += [word for name in asked.policy or () for word in ("--policy", name)]
    words += ["--seeds", str(asked.seeds)] if asked.seeds else []
    words += ["--requests", str(asked.requests)] if asked.requests else []
    return words


def _machine(workers: int) -> str:
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {workers} workers, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
