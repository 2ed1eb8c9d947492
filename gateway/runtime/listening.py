"""What a gateway says once it is ready."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens, and what it serves."""

    url: str
    admin_url: str
    centers: int
    models: tuple[str, ...]


def announce_to(path: Path, listening: Listening) -> None:
    """``{"url", "admin_url", "pid"}``, written beside and renamed: nobody sees half of it."""
    part = path.with_name(path.name + ".part")
    told = {"url": listening.url, "admin_url": listening.admin_url, "pid": os.getpid()}
    part.write_text(json.dumps(told))
    part.replace(path)
