"""The measured part of a model card: a training run replaces it, the prose around it stays."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from export import MODELS
from training import Figure

HEADING = "## Quality\n"
_SECTION = re.compile(r"^## Quality\n.*?(?=^## )", re.DOTALL | re.MULTILINE)


def row(figure: Figure) -> tuple[str, str, str, str, str]:
    """Metric, this model, naive guess, floor and target, in words."""
    values = (figure.ours, figure.naive, figure.floor)
    ours, naive, floor = (figure.spell(value) for value in values)
    return figure.metric, ours, naive, floor, figure.spell_target()


def write_figures(name: str, figures: Sequence[Figure], naive: str, floor: str, notes: str) -> None:
    """Replace the section `Quality` of the card by the figures and how they were measured."""
    table = [f"| metric | this model | {naive} | {floor} | target |", "| --- " * 5 + "|"]
    table += ["| " + " | ".join(row(figure)) + " |" for figure in figures]
    measured = (
        f"Measured by `python models/training/make.py {name}`, which rewrites this; "
        "`make models-check` measures it anew on other samples."
    )
    paragraphs = (textwrap.fill(text, 100, break_on_hyphens=False) for text in (notes, measured))
    section = "\n".join([HEADING, *table, "", "\n\n".join(paragraphs)])
    card = MODELS / name / "card.md"
    text = card.read_text(encoding="utf-8")
    if not _SECTION.search(text):
        raise ValueError(f"no section Quality in the card of {name}")
    card.write_text(_SECTION.sub(lambda _: section + "\n\n", text, count=1), encoding="utf-8")
