"""What is written beside a model: its card, and what its config says it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.engine.inside import read_inside
from gateway.engine.model_config import read_model_config
from gateway.engine.repository import ModelRepository

CARD_FILE = "card.md"
CARD_BYTES_MAX = 64 * 1024


def read_card(folder: Path) -> str:
    """The card's text as it is; empty when there is none. Raises ConfigError beyond
    ``CARD_BYTES_MAX``, or when it lies outside the folder.
    """
    try:
        return read_inside(folder, CARD_FILE, CARD_BYTES_MAX).decode(errors="replace")
    except FileNotFoundError:
        return ""


def about_model(repository: ModelRepository, name: str) -> dict[str, Any]:
    """Card, purpose, class and versions of a model of this repository. Reads files.

    Raises NotFound; ConfigError when what lies there cannot be read.
    """
    folder = repository.folder(name)
    config = read_model_config(folder)
    return {
        "name": name,
        "description": config.description,
        "industry": config.industry,
        "scenarios": list(config.scenarios),
        "latency_class": config.latency_class,
        "max_batch_size": config.max_batch_size,
        "smaller": config.smaller,
        "versions": [
            {"version": version, "state": state, "reason": reason}
            for model, version, state, reason in repository.index()
            if model == name
        ],
        "card": read_card(folder),
    }
