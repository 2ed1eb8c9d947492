"""The docs tell the truth: every key, flag, plugin and metric stands in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from gateway.cli.main import app
from gateway.config import load_settings
from gateway.loading import Registry

DOCS = Path(__file__).resolve().parents[2] / "docs"


def commands() -> list[tuple[str, Any]]:
    def walk(name: str, command: Any) -> list[tuple[str, Any]]:
        if hasattr(command, "commands"):
            found = [(name, command)]
            for child, sub in command.commands.items():
                found += walk(f"{name} {child}".strip(), sub)
            return found
        return [(name, command)]

    return walk("", typer.main.get_command(app))


def test_every_config_key_is_documented() -> None:
    text = (DOCS / "config.md").read_text()
    keys = [key for key, _, _ in load_settings().rows() if not key.startswith("policies.")]
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_every_default_in_the_docs_is_the_default() -> None:
    text = (DOCS / "config.md").read_text()
    for key, value, _ in load_settings().rows():
        if isinstance(value, int | float | str) and not key.startswith("policies."):
            row = next(line for line in text.splitlines() if line.startswith(f"| `{key}`"))
            shown = row.split("|")[2].strip().strip("`")
            assert shown == (f'"{value}"' if isinstance(value, str) else str(value).lower()), key


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_flag_is_documented(name: str, command: Any) -> None:
    text = (DOCS / "commands.md").read_text()
    assert f"nearway {name}".strip() in text
    flags = [o for p in command.params for o in (*p.opts, *p.secondary_opts)]
    assert [f for f in flags if f.startswith("--") and f != "--help" and f not in text] == []


def test_every_plugin_is_documented() -> None:
    text = (DOCS / "plugins.md").read_text()
    names = [row["name"] for row in Registry.discover().rows()]
    assert [name for name in names if f"`{name}`" not in text] == []
