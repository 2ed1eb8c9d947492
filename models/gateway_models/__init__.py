"""Sample models that ship with the gateway: one directory each, as a model repository wants them.

A directory holds a numbered version with `model.onnx`, a `config.toml`, label files, a card and an
example request. They are small stand-ins trained on synthetic plants, see their cards.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["repository"]


def repository() -> Path:
    """The directory that holds the models, ready to be served."""
    return Path(__file__).resolve().parent
