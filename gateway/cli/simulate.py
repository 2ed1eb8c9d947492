"""``nearway simulate``: a scenario in virtual time, under one policy or several."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gateway.api import ConfigError
from gateway.cli.options import AsJson, ConfigFile, effective, print_json
from gateway.cli.replaying import replayed
from gateway.config import Policy, Settings
from gateway.simulation import (
    Bounds,
    FluidRun,
    Run,
    Scenario,
    bounds,
    load_scenario,
    oracle,
    scenario_names,
    simulate,
    simulate_fluid,
)
from gateway.simulation.resimulate import recorded_scenario

SHOW_AFTER_S = 2.0
AGE_MS = 5.0
WIDTH_MIN = 110


def command(
    scenario: Annotated[
        str, typer.Argument(help="A shipped scenario (--list) or a scenario file.")
    ] = "s0",
    policy: Annotated[
        str | None, typer.Option(help="The policy, or several by commas; default: the config's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes all that is random.")] = 1,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Measured requests instead of the scenario's.")
    ] = None,
    load: Annotated[
        float | None, typer.Option(min=0.01, max=10.0, help="Share of what the fleet can do.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A key of the scenario: reports.period_ms=20; repeatable."),
    ] = None,
    age_ms: Annotated[
        float | None, typer.Option(min=0.0, help="Age of what the aged oracle knows of others.")
    ] = None,
    with_bounds: Annotated[
        bool, typer.Option("--bounds/--no-bounds", help="Oracles and bounds beside it.")
    ] = True,
    replay: Annotated[
        Path | None, typer.Option(help="Re-decide this decision log instead of a scenario.")
    ] = None,
    resimulate: Annotated[
        bool, typer.Option("--resimulate", help="With --replay: simulate the log's arrivals.")
    ] = False,
    fluid: Annotated[
        float | None, typer.Option(min=0.01, help="Pour so many seconds as amounts: any load.")
    ] = None,
    config: ConfigFile = None,
    list_: Annotated[bool, typer.Option("--list", help="List the shipped scenarios.")] = False,
    as_json: AsJson = False,
) -> None:
    """Same seed, same requests for every policy, same answer every time."""
    if list_:
        _list(as_json=as_json)
        return
    if fluid is not None:
        plan = _with_changes(load_scenario(scenario), set_ or [])
        poured = simulate_fluid(plan, seed=seed, load=load, duration_s=fluid)
        _show_fluid(poured, as_json=as_json)
        return
    chosen = _chosen(effective(config).settings, policy)
    if replay is not None and not resimulate:
        replayed(replay, chosen, as_json=as_json)
        return
    with _planned(scenario, replay, resimulate=resimulate) as planned:
        plan = _with_changes(planned, set_ or [])
        report = _simulate(plan, chosen, seed=seed, requests=requests, load=load)
        if with_bounds:
            age_ms = (plan.reports.period_ms or AGE_MS) if age_ms is None else age_ms
            report.compare(plan, seed=seed, requests=requests, load=load, age_ms=age_ms)
    if as_json:
        print_json(report.as_json())
    else:
        report.show(_wide())


def _chosen(settings: Settings, named: str | None) -> dict[str, Policy]:
    names = (named or settings.routing.policy).split(",")
    for name in names:
        if name not in settings.policies:
            raise ConfigError(
                f"--policy: {name!r} is not defined; known: {', '.join(sorted(settings.policies))}"
            )
    return {name: settings.policies[name] for name in names}


@contextmanager
def _planned(name: str, replay: Path | None, *, resimulate: bool) -> Iterator[Scenario]:
    """The scenario by its name, or the arrivals of a decision log as one."""
    if replay is not None:
        with recorded_scenario(replay) as recorded:
            yield recorded
        return
    if resimulate:
        raise ConfigError("--resimulate: name a decision log with --replay FILE")
    yield load_scenario(name)


class Report:
    """The runs of one scenario, and what they are compared with."""

    def __init__(self, plan: Scenario, runs: list[Run]) -> None:
        self.plan = plan
        self.runs = runs
        self.oracles: list[Run] = []
        self.bounds: Bounds | None = None

    def compare(
        self,
        plan: Scenario,
        *,
        seed: int,
        requests: int | None,
        load: float | None,
        age_ms: float,
    ) -> None:
        """Add the oracles and the bounds of the same requests."""
        self.oracles = [oracle(plan, seed=seed, requests=requests, load=load)]
        if age_ms > 0.0:
            self.oracles.append(
                oracle(plan, seed=seed, requests=requests, load=load, age_ms=age_ms)
            )
        self.bounds = bounds(plan, seed=seed, requests=requests, load=load)

    def as_json(self) -> dict[str, Any]:
        """The same bytes for the same seed: nothing here depends on the machine."""
        document: dict[str, Any] = {
            "scenario": self.plan.name,
            "description": self.plan.description,
            "runs": [run.summary() for run in self.runs],
        }
        if self.bounds is not None:
            document["oracles"] = [run.summary() for run in self.oracles]
            document["bounds"] = self.bounds.summary()
            document["regret_ms"] = {run.policy: self._regret(run) for run in self.runs}
        return document

    def show(self, console: Console) -> None:
        """A table for a person."""
        first = self.runs[0]
        console.print(
            f"[bold]{self.plan.name}[/] {self.plan.description}; load {first.load:g}, "
            f"{len(first.latency_ms):,} requests in {first.simulated_s:.1f} s, seed {first.seed}"
        )
        table = Table(box=None, header_style="bold")
        table.add_column("policy", no_wrap=True)
        within = f"≤ {first.target_ms:g} ms"
        for heading in ("p50", "p90", "p99", "p99.9", "mean", within, "failed", "regret", "req/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        for run in self.runs:
            table.add_row(*_row(run), self._regret_shown(run), f"{run.requests_per_s:,.0f}")
        for run in self.oracles:
            table.add_row(*_row(run), "", f"{run.requests_per_s:,.0f}", style="cyan")
        if self.bounds is not None:
            for name in ("pooled", "empty", "light"):
                table.add_row(*_bound_row(self.bounds, name), style="dim")
        console.print(table)
        console.print(
            "[dim]ms; regret: mean/p99 above the oracle's; req/s: how fast this was simulated[/]"
        )
        for run in self.runs:
            if run.hedges:
                console.print(
                    f"[dim]{run.policy}: {run.hedges:,} second copies, "
                    f"{run.hedges / run.requests_in_all:.2%} of the requests; "
                    f"{run.hedges_won / run.hedges:.0%} of them answered first[/]"
                )

    def _regret(self, run: Run) -> dict[str, float | None]:
        best = self.oracles[0]
        return {
            "mean": _finite(run.mean_ms() - best.mean_ms()),
            "p99": _finite(run.quantile_ms(0.99) - best.quantile_ms(0.99)),
        }

    def _regret_shown(self, run: Run) -> str:
        if not self.oracles:
            return ""
        regret = self._regret(run)
        shown = ("–" if ms is None else f"{ms:.2f}" for ms in regret.values())
        return "/".join(shown)


def _simulate(
    plan: Scenario,
    policies: dict[str, Policy],
    *,
    seed: int,
    requests: int | None,
    load: float | None,
) -> Report:
    with _bar() as bar:
        runs = [
            simulate(
                plan,
                name,
                policy,
                seed=seed,
                requests=requests,
                load=load,
                progress=_teller(bar, name),
            )
            for name, policy in policies.items()
        ]
    return Report(plan, runs)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _teller(bar: Progress, name: str) -> Callable[[int, int], None]:
    """Shows a policy's progress once it has taken two seconds."""
    began = time.perf_counter()
    task = bar.add_task(name, visible=False)

    def tell(done: int, of: int) -> None:
        slow = time.perf_counter() - began > SHOW_AFTER_S
        bar.update(task, completed=done, total=of, visible=slow and done < of)

    return tell


def _show_fluid(run: FluidRun, *, as_json: bool) -> None:
    document = run.summary()
    if as_json:
        print_json(document)
        return
    latency = document["latency_ms"]
    table = Table(box=None, header_style="bold")
    for heading in ("rate/s", "requests", *latency, f"≤ {run.target_ms:g} ms", "req/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(
        f"{run.rate_per_s:,.0f}",
        f"{run.requests:,.0f}",
        *(f"{ms:.2f}" for ms in latency.values()),
        f"{run.slo_share:.2%}",
        f"{run.requests / run.wall_s:,.0f}",
    )
    _wide().print(table)


def _with_changes(plan: Scenario, changes: list[str]) -> Scenario:
    """Lay ``key=value`` over the scenario; the value is read as TOML, else as a text."""
    if not changes:
        return plan
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set: found {change!r}; expected KEY=VALUE, as gateways.count=16")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text.strip()
    return plan.with_(**values)


def _row(run: Run) -> list[str]:
    quantiles = [_ms(run.quantile_ms(q)) for q in (0.5, 0.9, 0.99, 0.999)]
    share = f"{run.slo_share:.2%}"
    return [run.policy, *quantiles, _ms(run.mean_ms()), share, f"{run.failed_share:.2%}"]


def _bound_row(found: Bounds, name: str) -> list[str]:
    bound = found.summary()[name]
    p50, p99, mean = (_ms(bound[key]) for key in ("p50", "p99", "mean"))
    return [name, p50, "", p99, "", mean, f"{bound['slo_share']:.2%}", "", "", ""]


def _ms(value: float) -> str:
    return f"{value:.2f}" if value < float("inf") else "∞"


def _wide() -> Console:
    """A table cut to a narrow terminal tells nothing; a long line wraps."""
    return Console(highlight=False, width=max(WIDTH_MIN, Console().width))


def _finite(value: float) -> float | None:
    return round(value, 4) if abs(value) < float("inf") else None


def _list(*, as_json: bool) -> None:
    plans = [load_scenario(name) for name in scenario_names()]
    if as_json:
        print_json([{"name": plan.name, "description": plan.description} for plan in plans])
        return
    table = Table(box=None, header_style="bold")
    for heading in ("scenario", "load", "requests", ""):
        table.add_column(heading)
    for plan in plans:
        table.add_row(plan.name, f"{plan.arrivals.load:g}", f"{plan.requests:,}", plan.description)
    _wide().print(table)
