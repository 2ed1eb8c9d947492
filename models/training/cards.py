"""The measured part of a model card: a training run replaces it, the prose around it stays."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MODELS = Path(__file__).resolve().parents[1] / "gateway_models"
HEADING = "## Quality\n"
_SECTION = re.compile(r"^## Quality\n.*?(?=^## )", re.DOTALL | re.MULTILINE)


class Metric(NamedTuple):
    """One row of the table, already worded."""

    name: str
    ours: str
    naive: str
    floor: str


def percent(share: float | np.floating[Any]) -> str:
    """A share, worded for the table."""
    return f"{100 * share:.1f} %"


def write_quality(name: str, rows: Sequence[Metric], naive: str, floor: str, notes: str) -> None:
    """Replace the section `Quality` of the card and print the same table."""
    table = [f"| metric | this model | {naive} | {floor} |", "| --- | --- | --- | --- |"]
    table += ["| " + " | ".join(row) + " |" for row in rows]
    script = f"models/training/{name.replace('-', '_')}.py"
    section = "\n".join(
        [
            HEADING,
            *table,
            "",
            textwrap.fill(notes, 100, break_on_hyphens=False),
            "",
            f"Measured by `python {script}`, which rewrites this.",
        ]
    )
    card = MODELS / name / "card.md"
    text = card.read_text(encoding="utf-8")
    if not _SECTION.search(text):
        raise ValueError(f"no section Quality in the card of {name}")
    card.write_text(_SECTION.sub(lambda _: section + "\n\n", text, count=1), encoding="utf-8")
    print("\n".join(table))
