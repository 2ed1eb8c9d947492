"""``nearway models``: what the repositories hold, and whether a folder is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gateway.cli.options import AsJson, ConfigFile, ModelsDir, effective, print_json
from gateway.engine import LoadedModel, ModelRepository, check_repository
from gateway.runtime.deciding import build_repository

app = typer.Typer(help="Models: list them, or check a repository of your own.")


@app.callback(invoke_without_command=True)
def show(
    ctx: typer.Context, config: ConfigFile = None, models: ModelsDir = None, as_json: AsJson = False
) -> None:
    """List industries, their scenarios and the models that do them, with measured run time."""
    if ctx.invoked_subcommand is not None:
        return
    repository = build_repository(effective(config, models=models).settings)
    repository.scan()
    rows = [_row(model) for model in _loaded(repository)]
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
        Console(soft_wrap=True, highlight=False).print(f"[red]✗[/] {finding}")
    if findings:
        raise typer.Exit(1)
    if not as_json:
        Console(soft_wrap=True).print(f"[green]✓[/] {folder}: a model repository that serves")


def _loaded(repository: ModelRepository) -> list[LoadedModel]:
    for name in repository.names():
        repository.load(name)
    return [repository.get(name) for name in repository.names()]


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
    ):
        if entries:
            yield f"      {label:4} {between.join(entries)}"
    if row["smaller"]:
        yield f"      when time is short: {row['smaller']}"


def _row(model: LoadedModel) -> dict[str, Any]:
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
    }
