"""All trainings: the modules that stand beside a plant of the same name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from training import Training

PLANT = "_plant"


class Entry(NamedTuple):
    """A training and the module it stands in."""

    module: str
    training: Training


@functools.cache
def entries() -> Mapping[str, Entry]:
    """By model name. Imports every module, so it needs the extra `[train]`."""
    found: dict[str, Entry] = {}
    for path in sorted(Path(__file__).parent.glob(f"*{PLANT}.py")):
        module = path.stem.removesuffix(PLANT)
        if not path.with_name(f"{module}.py").exists():
            continue
        for training in _models(module):
            found[training.name] = Entry(module, training)
    return found


def _models(module: str) -> tuple[Training, ...]:
    models: tuple[Training, ...] = getattr(importlib.import_module(module), "MODELS", ())
    return models


def trainings() -> Mapping[str, Training]:
    """Every training by the name of its model."""
    return {name: entry.training for name, entry in entries().items()}


def sources(name: str) -> tuple[str, ...]:
    """The modules whose change makes `name` stale: its own, its plant, and what it names."""
    module, training = entries()[name]
    return (module, module + PLANT, *training.sources)


def plant(name: str) -> str:
    """The module of the plant that `name` is trained on."""
    return entries()[name].module + PLANT
