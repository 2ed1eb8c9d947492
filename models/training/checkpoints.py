"""What a long training has reached, saved now and then: one that was stopped goes on from there.

`make.py` names the file by the hash of the sources, so changed sources begin anew, and removes it
once the training has ended. Without a name nothing is saved.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

VARIABLE = "NEARWAY_CHECKPOINT"
"""Environment variable that holds the path of the file."""

State = dict[str, Any]


def saved() -> State | None:
    """What `save` was given last, and the random numbers as they were; None if there is none."""
    path = _path()
    if path is None or not path.exists():
        return None
    state: State = torch.load(path, weights_only=True)
    torch.set_rng_state(state.pop("random"))
    return state


def save(state: Callable[[], State]) -> None:
    """Remember `state()` and the state of torch's random numbers, at one stroke."""
    path = _path()
    if path is None:
        return
    beside = path.with_name(f"{path.name}.new")
    torch.save({**state(), "random": torch.get_rng_state()}, beside)
    os.replace(beside, path)


def _path() -> Path | None:
    name = os.environ.get(VARIABLE)
    return Path(name) if name else None
