"""Which source code a cell's outcome depends on, as one hash.

The rooms that decide, know and simulate count for every cell; of the plugins only those that
the policy names, so that work on one policy leaves the others' results valid. Files that
only name policies or speak to people (settings, command line, servers) do not count: a policy's
content is part of the cell's key itself. Comments count: it is the bytes that are hashed.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

from gateway.api import KINDS, ConfigError
from gateway.config.settings import Policy
from gateway.loading import Registry

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("api", "engine", "fleet", "loading", "routing", "simulation", "wan")
OWN = ("latency_histogram.py", "measuring.py")
"""Files of this bench that turn a run into figures."""


def code_of(policy: Policy | None, registry: Registry) -> str:
    """Hex digits; ``policy`` None: the simulator alone (an oracle)."""
    digest = hashlib.sha256(rooms().encode())
    for path in sorted(_plugin_files(policy, registry) if policy else ()):
        digest.update(_bytes(path))
    return digest.hexdigest()[:16]


@cache
def rooms() -> str:
    """The hash of what every cell depends on; numpy's version decides what is drawn."""
    digest = hashlib.sha256(np.__version__.encode())
    folders = [ROOT / "gateway" / room for room in ROOMS]
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    own = [Path(__file__).with_name(name) for name in OWN]
    for path in [*files, *own]:
        if path.suffix in (".py", ".csv", ".toml", ".json") and path.is_file():
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(_bytes(path))
    return digest.hexdigest()


def _plugin_files(policy: Policy, registry: Registry) -> Iterator[Path]:
    listed = {
        "filters": policy.filters,
        "scorers": policy.scorers,
        "pickers": (policy.picker,),
        "observers": policy.observers,
        "sources": policy.sources,
    }
    for kind in KINDS:
        for name in _names(listed[kind]):
            try:
                source = inspect.getsourcefile(registry.get(kind, name, "bench"))
            except ConfigError:
                continue  # the cell itself will be refused, with the reason
            if source:
                yield Path(source)


def _names(items: Iterable[object]) -> Iterator[str]:
    for item in items:
        name = item.get("name") if isinstance(item, dict) else item
        if isinstance(name, str):
            yield name


@cache
def _bytes(path: Path) -> bytes:
    return path.read_bytes()
