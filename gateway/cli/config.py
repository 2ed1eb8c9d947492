"""``nearway config``: check a file, or show what is in force and where each value came from."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from gateway.cli.options import AsJson, ConfigFile, FleetFile, ModelsDir, effective, print_json
from gateway.runtime.alias_check import check_aliases
from gateway.runtime.deciding import build_deciding, build_repository

app = typer.Typer(help="Config: check a file, or show what is in force.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The TOML file to check.")],
) -> None:
    """Read the file and build everything it names: fleet, models, policy, plugins."""
    settings = effective(file).settings
    deciding = build_deciding(settings, time.thread_time)
    models = build_repository(settings)
    models.scan()
    check_aliases(settings.models.aliases, deciding.centers, models.names())
    Console(soft_wrap=True, highlight=False).print(
        f"[green]✓[/] {file}: {len(deciding.centers)} centers, {len(models.names())} models, "
        f"policy {settings.routing.policy}"
    )


@app.command()
def show(
    config: ConfigFile = None,
    fleet: FleetFile = None,
    models: ModelsDir = None,
    as_json: AsJson = False,
) -> None:
    """The effective config, and where each value came from."""
    rows = list(effective(config, fleet=fleet, models=models).rows())
    if as_json:
        print_json({key: {"value": value, "from": source} for key, value, source in rows})
        return
    table = Table(box=None, header_style="bold")
    for heading in ("key", "value", "from"):
        table.add_column(heading)
    for key, value, source in rows:
        style = "" if source == "default" else "bold"
        table.add_row(key, json.dumps(value), source, style=style)
    Console().print(table)
