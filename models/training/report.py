"""Measure a model and say what holds: on the screen, and in its card."""

from __future__ import annotations

import importlib
import json
import time
import tomllib
from collections.abc import Sequence

import cards
import export
import registry
from training import Figure

CLASS_LIMIT_MS = {"A": 1.0, "B": 10.0, "C": 1000.0}
"""What a run at batch 1 may take on one thread, so that the class's deadline leaves room."""


def check(name: str, seed: int | None) -> bool:
    """Measure the served file on samples that training never saw; prints a table."""
    splits = importlib.import_module(registry.plant(name)).SPLITS
    asked = splits.check if seed is None else seed
    if splits.learnt_from(asked):
        raise ValueError(f"{name} has learnt from seed {asked}; choose another")
    if not (export.MODELS / name / "1" / "model.onnx").exists():
        print(f"\n{name}: not trained yet")
        return False
    began_s = time.monotonic()
    figures = registry.trainings()[name].measure(asked)
    print(f"\n{name}: seed {asked}, {time.monotonic() - began_s:.0f} s")
    return _say(name, figures)


def card(name: str) -> bool:
    """After a training: the stored answer, the card's table and the verdict."""
    training = registry.trainings()[name]
    export.write_answer(name)
    splits = importlib.import_module(registry.plant(name)).SPLITS
    figures = training.measure(splits.card)
    cards.write_figures(name, figures, training.naive, training.floor, training.notes)
    return _say(name, figures)


def _say(name: str, figures: Sequence[Figure]) -> bool:
    training = registry.trainings()[name]
    rows = [("metric", "this model", training.naive, training.floor, "target", "")]
    for figure in figures:
        verdict = "" if figure.target is None else "holds" if figure.holds() else "DOES NOT HOLD"
        rows.append((*cards.row(figure), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    print("  " + _weight(name), flush=True)
    return all(figure.holds() for figure in figures)


def _weight(name: str) -> str:
    """Size and time of the file, as a line; told, not judged, as the machine may be busy."""
    folder = export.MODELS / name
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    request = json.loads((folder / "example.json").read_text(encoding="utf-8"))
    path = folder / "1" / "model.onnx"
    ms = export.batch_1_us(path, export.tensors(request["inputs"]), runs=200) / 1000
    limit_ms = CLASS_LIMIT_MS[config["latency_class"]]
    size_kb = sum(file.stat().st_size for file in path.parent.iterdir()) / 1000
    return (
        f"class {config['latency_class']}: {ms:.3f} ms at batch 1 (at most {limit_ms:g} wanted), "
        f"{size_kb:.0f} kB"
    )
