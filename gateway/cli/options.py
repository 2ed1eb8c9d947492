"""Options that several commands share, and what they mean in the config."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.config import Effective, load_settings

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="A TOML config; defaults where it is silent.")
]
FleetFile = Annotated[
    Path | None, typer.Option("--fleet", help="A TOML fleet of your own instead of the shipped.")
]
ModelsDir = Annotated[
    list[Path] | None,
    typer.Option("--models", help="A model repository (NAME/VERSION/model.onnx); repeatable."),
]
Sites = Annotated[
    str | None, typer.Option("--sites", help="all, or core: the three core sites only.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine.")]


def effective(
    config: Path | None,
    *,
    fleet: Path | None = None,
    models: list[Path] | None = None,
    sites: str | None = None,
    **dotted: Any,
) -> Effective:
    """Lay the flags that were given over the config file. ``a__b`` stands for ``a.b``."""
    flags = {key.replace("__", "."): value for key, value in dotted.items() if value is not None}
    if fleet is not None:
        flags["fleet.file"] = str(fleet)
    if sites is not None:
        flags["fleet.sites"] = sites
    if models:
        flags["models.dirs"] = [str(folder) for folder in models]
    return load_settings(config, flags)


def print_json(document: Any) -> None:
    """One JSON document on standard output; a reader that left early is no error."""
    try:
        json.dump(document, sys.stdout, indent=1, allow_nan=False, default=str)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
