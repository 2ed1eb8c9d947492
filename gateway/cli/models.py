"""``nearway models``: what the repositories hold, and whether a folder is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from gateway.api import Center
from gateway.cli.options import AsJson, ConfigFile, FleetFile, ModelsDir, effective, print_json
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.engine import LoadedModel, ModelRepository, check_repository
from gateway.runtime.deciding import build_repository

REGIONS_NAMED_MAX = 6

app = typer.Typer(help="Models: list them, or check a repository of your own.")


@app.callback(invoke_without_command=True)
def show(
    ctx: typer.Context,
    config: ConfigFile = None,
    fleet: FleetFile = None,
    models: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """List industries, their scenarios and the models that do them, with measured run time."""
    if ctx.invoked_subcommand is not None:
        return
    settings = effective(config, fleet=fleet, models=models).settings
    centers = _centers(settings)
    repository = build_repository(settings)
    repository.scan()
    rows = [_row(model, regions_serving(model.name, centers)) for model in _loaded(repository)]
    if as_json:
        print_json(rows)
        return
    console = Console(soft_wrap=True, highlight=False)
    industry = None
    for row in sorted(rows, key=lambda row: (row["industry"] == "", row["industry"], row["name"])):
        if row["industry"] != industry:
            industry = row["industry"]
            console.print(f"[bold]{industry or 'no industry named'}[/]")
        for line in _lines(row):
            console.print(line, markup=False)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A model repository: NAME/VERSION/model.onnx.")],
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a model repository and what would be right. Exit 1 if anything is."""
    findings = check_repository(folder)
    if as_json:
        print_json([str(finding) for finding in findings])
    for finding in findings if not as_json else ():
        mark = "[yellow]![/]" if finding.warning else "[red]✗[/]"
        Console(soft_wrap=True, highlight=False).print(f"{mark} {escape(str(finding))}")
    if not all(finding.warning for finding in findings):
        raise typer.Exit(1)
    if not as_json:
        Console(soft_wrap=True).print(f"[green]✓[/] {folder}: a model repository that serves")


def _loaded(repository: ModelRepository) -> list[LoadedModel]:
    for name in repository.names():
        repository.load(name)
    return [repository.get(name) for name in repository.names()]


def regions_serving(name: str, centers: Sequence[Center]) -> dict[str, int]:
    """How many centers of each region declare the model, in the order of the fleet."""
    return dict(
        Counter(
            center.region
            for center in centers
            if any(fnmatchcase(name, pattern) for pattern in center.models)
        )
    )


def _centers(settings: Settings) -> tuple[Center, ...]:
    file = Path(settings.fleet.file) if settings.fleet.file else None
    return load_fleet(file, settings.fleet.sites)


def _spell_regions(regions: dict[str, int]) -> str:
    """A few by name; of many only how many."""
    if not regions:
        return "no center declares it: add it to models of a [[region]] or [[center]]"
    centers = f"{sum(regions.values())} centers in "
    if len(regions) > REGIONS_NAMED_MAX:
        return f"{centers}{len(regions)} regions"
    return centers + ", ".join(regions)


def _lines(row: dict[str, Any]) -> Iterator[str]:
    """A model in a few lines, below its industry."""
    head = f"version {row['version']}, class {row['latency_class']}, {row['run_ms']:.3f} ms"
    yield f"  {row['name']:20} {head}"
    if row["description"]:
        yield f"      {row['description']}"
    for label, entries, between in (
        ("for", row["scenarios"], "; "),
        ("in", row["inputs"], ", "),
        ("out", row["outputs"], ", "),
        ("at", [_spell_regions(row["regions"])], ""),
    ):
        if entries:
            yield f"      {label:4} {between.join(entries)}"
    if row["smaller"]:
        yield f"      when time is short: {row['smaller']}"


def _row(model: LoadedModel, regions: dict[str, int]) -> dict[str, Any]:
    def spell(name: str, datatype: str, shape: tuple[int, ...]) -> str:
        return f"{name} {datatype}[{','.join('N' if d < 0 else str(d) for d in shape)}]"

    return {
        "industry": model.config.industry,
        "scenarios": list(model.config.scenarios),
        "name": model.name,
        "smaller": model.config.smaller,
        "version": model.version,
        "latency_class": model.config.latency_class,
        "run_ms": model.run_ms,
        "inputs": [spell(s.name, s.datatype, s.shape) for s in model.metadata.inputs],
        "outputs": [spell(s.name, s.datatype, s.shape) for s in model.metadata.outputs],
        "description": model.config.description,
        "regions": regions,
    }
