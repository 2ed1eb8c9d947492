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
from rich.table import Table
from rich.text import Text

from gateway.api import Center
from gateway.cli.options import AsJson, ConfigFile, FleetFile, ModelsDir, effective, print_json
from gateway.config import Settings
from gateway.config.fleet_file import load_fleet
from gateway.engine import (
    Added,
    Checked,
    Finding,
    LoadedModel,
    ModelRepository,
    add_model,
    check_models,
    looks_like,
    shape_text,
)
from gateway.engine.check import TENSOR_ELEMENTS_MAX
from gateway.engine.repository import version_names
from gateway.runtime.deciding import build_repository, model_roots

REGIONS_NAMED_MAX = 6

app = typer.Typer(help="Models: list them, add one of your own, check a repository.")


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
def add(
    file: Annotated[Path, typer.Argument(help="An ONNX model.")],
    name: Annotated[str, typer.Option(help="What it is to be called.")],
    to: Annotated[Path, typer.Option(help="The repository to add it to.")] = Path("models"),
    as_json: AsJson = False,
) -> None:
    """Look at a model, measure it, and lay it into a repository with a config and a first card."""
    added = add_model(file, name, to, tensor_elements_max=TENSOR_ELEMENTS_MAX)
    if as_json:
        print_json(_added_row(added))
        return
    console = Console(soft_wrap=True, highlight=False)
    model = added.model
    console.print(f"[green]✓[/] [bold]{name}[/], version {model.version}: {added.folder}")
    console.print(_tensors_table(model))
    console.print(_measured_table(added))
    if model.run_time.guess:
        console.print(
            f"[yellow]![/] zeros do not run, so nothing could be measured: put a request that does "
            f"into {added.folder / 'example.json'}"
        )
    on_disk = version_names(added.folder)
    if model.version not in model.config.versions.chosen(on_disk):
        console.print(f"[yellow]![/] versions in {added.folder / 'config.toml'} leaves it out")
    for wrote in added.wrote:
        console.print(f"  wrote {added.folder / wrote}")
    console.print(f"\nNext: write its card, then\n  nearway serve --models {to}")


@app.command()
def check(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A repository, NAME/VERSION/model.onnx; else those of the config."),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with a model repository and what would be right. Exit 1 if anything is."""
    settings = effective(config).settings
    elements_max = settings.server.tensor_elements_max
    roots = [folder] if folder is not None else model_roots(settings)
    findings: list[Finding] = []
    console = Console(soft_wrap=True, highlight=False)
    for root in roots:
        for checked in check_models(root, tensor_elements_max=elements_max):
            findings += checked.findings
            if not as_json:
                _show_checked(console, checked)
    wrong = sum(not finding.warning for finding in findings)
    if as_json:
        print_json([str(finding) for finding in findings])
    elif wrong:
        console.print(f"[red]✗[/] {wrong} thing{'s' if wrong > 1 else ''} to put right")
    else:
        where = ", ".join(map(str, roots))
        console.print(f"[green]✓[/] {where}: a model repository that serves")
    if wrong:
        raise typer.Exit(1)


def _show_checked(console: Console, checked: Checked) -> None:
    for model in checked.models:
        batch = model.batching
        shares = f"{batch.rows_max} share a run, {batch.gain:.1f}x" if batch.rows_max > 1 else ""
        console.print(
            f"[green]✓[/] {model.name:24} version {model.version:3} "
            f"{model.run_time.run_ms:8.3f} ms  {shares}"
        )
    for finding in checked.findings:
        mark = "[yellow]![/]" if finding.warning else "[red]✗[/]"
        console.print(f"{mark} {escape(str(finding))}")


def _tensors_table(model: LoadedModel) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=True)
    for heading in ("", "name", "type", "shape", "looks like"):
        table.add_column(heading)
    for role, specs in (("in", model.metadata.inputs), ("out", model.metadata.outputs)):
        for spec in specs:
            texts = (spec.name, spec.datatype, shape_text(spec.shape), looks_like(spec))
            table.add_row(role, *(Text(text) for text in texts))
    return table


def _measured_table(added: Added) -> Table:
    model = added.model
    batching, batch_max = model.batching, added.config.max_batch_size
    if batching.rows_max > 1:
        shares = f"{batching.rows_max} requests share a run, {batching.gain:.1f} times as fast"
    else:
        shares = f"each request runs alone: {batching.why if batch_max else 'it takes no batch'}"
    many = f"up to {batch_max} in a request" if batch_max else "one: the first size is no batch"
    table = Table(box=None, show_header=False, pad_edge=True)
    for label, found in (
        ("one run", f"{model.run_time.run_ms:.3f} ms, class {added.config.latency_class}"),
        ("examples", many),
        ("gain", shares),
        ("memory", f"{added.memory_bytes / 1e6:.1f} MB, of {added.file_bytes / 1e6:.1f} on disk"),
        ("loading", f"{added.load_ms:.0f} ms"),
    ):
        table.add_row(f"[bold]{label}[/]", Text(found))
    return table


def _added_row(added: Added) -> dict[str, Any]:
    model = added.model
    return {
        **_row(model, {}),
        "folder": str(added.folder),
        "latency_class": added.config.latency_class,
        "max_batch_size": added.config.max_batch_size,
        "rows_max": model.batching.rows_max,
        "gain": model.batching.gain,
        "load_ms": added.load_ms,
        "memory_bytes": added.memory_bytes,
        "file_bytes": added.file_bytes,
        "wrote": list(added.wrote),
    }


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
