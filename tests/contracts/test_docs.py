"""The docs tell the truth: every key, flag, plugin and metric stands in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from gateway.cli.main import app
from gateway.config import load_settings
from gateway.loading import Registry
from gateway.telemetry.catalogue import CATALOGUE, OF_WORKERS

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


FAILURES = sorted((DOCS / "failures").glob("*.md"))
SECTIONS = ["What happens", "What the client sees", "What you see", "Knobs"]


def test_there_is_a_page_by_failure_and_the_index_names_each() -> None:
    index = (DOCS / "failures" / "README.md").read_text()
    pages = [page.name for page in FAILURES if page.name != "README.md"]
    assert len(pages) >= 10
    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("page", FAILURES, ids=lambda page: page.stem)
def test_a_failure_page_names_only_keys_and_metrics_there_are(page: Path) -> None:
    text = page.read_text()
    if page.name != "README.md":
        assert re.findall(r"^## (.+)$", text, re.M) == SECTIONS
    settings = load_settings()
    keys = {key for key, _, _ in settings.rows()} | {"routing.shadow.policy"}
    sections = {key.partition(".")[0] for key in keys}
    named = set(re.findall(r"`([a-z]+\.[a-z_.]+)`", text)) - {"config.toml"}
    assert {key for key in named if key.partition(".")[0] in sections} <= keys
    metrics = {family.exposed_name for family in (*CATALOGUE, *OF_WORKERS)}
    assert set(re.findall(r"`(nearway_[a-z_]+)", text)) <= metrics
