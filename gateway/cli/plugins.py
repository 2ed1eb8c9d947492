"""``nearway plugins``: list them; write, check and try one of your own."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway.api import InvalidRequest
from gateway.cli.options import AsJson, ConfigFile, effective, print_json
from gateway.config import Policy, load_settings
from gateway.loading import Registry
from gateway.measure.intervals import Interval
from gateway.simulation import Scenario, load_scenario, scenario_names
from gateway.testing.checked import Checked, check_package
from gateway.testing.package import Package, find_package
from gateway.testing.scaffold import with_plugin, write_package
from gateway.testing.trial import Figures, Trial, run_trial

app = typer.Typer(help="Plugins: list them; write, check and try one of your own.")

PluginPath = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A package's folder, module:Class, or the name of an installed plugin.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the plugin; repeatable."),
]


class Kind(StrEnum):
    """What a new plugin is to be."""

    FILTER = "filter"
    SCORER = "scorer"
    PICKER = "picker"
    OBSERVER = "observer"
    SOURCE = "source"


@app.callback(invoke_without_command=True)
def show(ctx: typer.Context, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List plugins by kind with what they vary by, read and take as parameters."""
    if ctx.invoked_subcommand is not None:
        return
    settings = effective(config).settings
    rows = Registry.discover().rows()
    if as_json:
        print_json(rows)
        return
    table = Table(box=None, header_style="bold")
    for heading in ("kind", "name", "varies by", "reads", "parameters", "from", "what it does"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["kind"],
            f"[bold]{row['name']}[/]",
            row["varies_by"],
            ", ".join(row["reads"]),
            ", ".join(f"{k} = {v}" for k, v in row["parameters"].items()),
            row["distribution"],
            row["doc"],
        )
    console = Console()
    console.print(table)
    console.print()
    for name, policy in settings.policies.items():
        mark = "[green]●[/]" if name == settings.routing.policy else " "
        console.print(
            f"{mark} policy [bold]{name}[/]: "
            f"{' '.join(map(str, policy.filters))} → {' + '.join(map(str, policy.scorers))} "
            f"→ {policy.picker}",
            highlight=False,
        )


# ---- new ---------------------------------------------------------------------------------


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name in a policy: words joined by _.")],
    kind: Annotated[Kind, typer.Option(help="What it is to be.")],
    into: Annotated[Path, typer.Option(help="The folder to put the package in.")] = Path(),
) -> None:
    """Write a package with a plugin that works: code, README, test and a policy that uses it."""
    _, base = _policy(None)
    taken = {row["name"] for row in Registry.discover().rows()}
    written = write_package(name, kind.value, into, base, taken)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"[green]✓[/] {written.folder}: a {kind.value} that works, to be made yours")
    for path in written.files:
        console.print(f"  {path}")
    console.print(
        f"""
Next:
  nearway plugins check {written.folder}
  nearway plugins try {written.folder} --scenario s1
  python -m pip install --editable {written.folder}
Installed, `nearway serve --config {written.folder}/policy.toml` serves by it."""
    )


# ---- check -------------------------------------------------------------------------------


@app.command()
def check(path: PluginPath, parameters: Parameters = None, as_json: AsJson = False) -> None:
    """Does it keep the contract, and what does a call cost? Exit 1 when a rule is broken."""
    package = find_package(path)
    checked = check_package(package, _parameters(parameters))
    if as_json:
        print_json([one.as_json() for one in checked])
    else:
        for one in checked:
            _show_checked(Console(soft_wrap=True, highlight=False), one)
    if not all(one.conforms for one in checked):
        raise typer.Exit(1)


def _show_checked(console: Console, checked: Checked) -> None:
    console.print(f"[bold]{checked.kind} {checked.name}[/] ({checked.target})")
    table = Table(box=None, show_header=False)
    for finding in checked.findings:
        mark = "[green]✓[/]" if finding.passed else "[red]✗[/]"
        table.add_row(mark, finding.check, finding.says)
    for name, says in checked.not_looked_at:
        table.add_row("[dim]·[/]", f"[dim]{name}[/]", f"[dim]{says}: not looked at[/]")
    console.print(table)
    for finding in checked.findings:
        if not finding.passed:
            console.print(f"[red]✗ {finding.check}[/]")
            for word in ("found", "expected", "mend"):
                console.print(f"  {word:<9}", getattr(finding, word), markup=False)
    for cost in checked.costs:
        console.print(
            f"a call takes [bold]{cost.call_us:.2f} µs[/] at {cost.centers} centers "
            f"(a bare numpy add and argmin: {cost.bare_us:.2f} µs)"
        )
    if checked.conforms:
        console.print(f"[green]✓[/] {checked.name} keeps the contract")


# ---- try ---------------------------------------------------------------------------------


@app.command("try")
def try_it(
    path: PluginPath,
    scenario: Annotated[str, typer.Option(help="A shipped scenario, or a scenario file.")] = "s1",
    policy: Annotated[
        str | None,
        typer.Option(help="The policy to put it in: a name, or a config file with one."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many draws of the scenario.")] = 5,
    requests: Annotated[int, typer.Option(min=100, help="Requests a seed.")] = 20_000,
    load: Annotated[float | None, typer.Option(help="Load instead of the scenario's.")] = None,
    parameters: Parameters = None,
    as_json: AsJson = False,
) -> None:
    """Simulate a policy with the plugin beside the one without, on the same requests."""
    package = find_package(path)
    base = _policy(policy)
    tried = _tried(package, base, _parameters(parameters), put_in_base=policy is not None)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("simulating", total=2 * seeds)
        trial = run_trial(
            _scenario(scenario, package, tried[1]),
            base,
            tried,
            registry=package.registry,
            seeds=range(1, seeds + 1),
            requests=requests,
            load=load,
            done=lambda runs: progress.update(task, completed=runs),
        )
    if as_json:
        print_json(trial.as_json())
        return
    _show_trial(Console(soft_wrap=True, highlight=False), trial)


def _tried(
    package: Package, base: tuple[str, Policy], parameters: dict[str, Any], *, put_in_base: bool
) -> tuple[str, Policy]:
    """The package's own policy, or ``base`` with its plugins put in."""
    own = package.policy()
    if own is not None and not put_in_base and not parameters:
        return own
    name, policy = (
        (f"with_{package.offers[0].name}", base[1]) if own is None or put_in_base else own
    )
    for offer in package.offers:
        given = {**package.parameters(offer), **parameters}
        item = {"name": offer.name, **given} if given else offer.name
        policy = with_plugin(policy, offer.kind, item)
    return name, policy


def _scenario(name: str, package: Package, policy: Policy) -> Scenario:
    """The scenario; a source reads in the package, unless the scenario has a folder of its own."""
    scenario = load_scenario(name)
    if policy.sources and scenario.name in scenario_names():
        return msgspec.structs.replace(scenario, folder=str(package.folder))
    return scenario


def _show_trial(console: Console, trial: Trial) -> None:
    console.print(
        f"[bold]{trial.scenario}[/] at load {trial.load:g}: {len(trial.seeds)} seeds, "
        f"{trial.requests:,} requests under each policy"
    )
    table = Table(box=None, header_style="bold")
    table.add_column("policy")
    for heading in ("p50 ms", "p99 ms", f"within {trial.target_ms:g} ms", "failed"):
        table.add_column(heading, justify="right")
    for figures in (trial.base, trial.tried):
        table.add_row(*_cells(figures))
    console.print(table)
    if trial.alike:
        console.print("every request took as long as without it: it changed no decision")
        return
    console.print(f"with / without  p50  {_ratio(trial.p50_ratio)}")
    console.print(f"with / without  p99  {_ratio(trial.p99_ratio)}")
    low, value, high = (100 * share for share in _ends(trial.slo_difference))
    console.print(f"with - without  in time  {value:+.3f} points ({low:+.3f} to {high:+.3f})")
    console.print(f"p99: {_verdict(trial.p99_ratio)} (95 % intervals, paired by seed)")


def _cells(figures: Figures) -> tuple[str, ...]:
    return (
        figures.policy,
        f"{figures.p50_ms:.2f}",
        f"{figures.p99_ms:.2f}",
        f"{figures.slo_share:.3%}",
        f"{figures.failed_share:.3%}",
    )


def _ratio(ratio: Interval) -> str:
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.value, interval.high


def _verdict(ratio: Interval) -> str:
    if ratio.high < 1.0:
        return "[green]better with it[/]"
    if ratio.low > 1.0:
        return "[red]worse with it[/]"
    return "no difference shown; more --seeds narrow the interval"


# ---- what both are given -------------------------------------------------------------------


def _policy(said: str | None) -> tuple[str, Policy]:
    """The policy in force by default, by its name, or by a config file."""
    file = Path(said) if said is not None and Path(said).is_file() else None
    settings = load_settings(file).settings
    name = said if said is not None and file is None else settings.routing.policy
    if name not in settings.policies:
        raise InvalidRequest(
            f"--policy: {name!r} is neither a file nor a policy; known: "
            f"{', '.join(settings.policies)}"
        )
    return name, settings.policies[name]


def _parameters(said: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE as TOML has it; a bare word is text."""
    found: dict[str, Any] = {}
    for text in said or ():
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise InvalidRequest(f"--set {text}: expected KEY=VALUE, such as ms_max=2.5")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found
