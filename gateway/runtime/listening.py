"""What a gateway says once it is ready."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it listens, and what it serves. ``grpc``: host:port of that door; empty: none."""

    url: str
    admin_url: str
    centers: int
    models: tuple[str, ...]
    grpc: str = ""


def announce_to(path: Path, listening: Listening) -> None:
    """``{"url", "admin_url", "pid"}``, and ``"grpc"`` if there is one, written beside and renamed:
    nobody sees half of it.
    """
    part = path.with_name(path.name + ".part")
    told = {"url": listening.url, "admin_url": listening.admin_url, "pid": os.getpid()}
    if listening.grpc:
        told["grpc"] = listening.grpc
    part.write_text(json.dumps(told))
    part.replace(path)
