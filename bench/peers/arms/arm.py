"""What an arm is: a peer, how it is had, how it is started, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench.peers.installing import Cache
from bench.peers.running import Running
from bench.peers.workload import Asked
from gateway.measure.cores import Cores

Table = Literal["proxy", "server", "center"]
"""In front of the static upstream, with the model inside, or before a center of our own."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm runs: a folder of its own, its cores, the upstream's ports, the model."""

    folder: Path
    cores: Cores
    upstreams: tuple[int, ...]
    models: Path


class Arm(Protocol):
    """A peer. ``name`` stands in the tables, ``note`` beside it: how it is set up.

    ``slow``: so slow to start, or so far from the rest, that a few rounds tell enough.
    """

    name: str
    table: Table
    note: str
    slow: bool

    def obtain(self, cache: Cache, /) -> str:
        """Install what is missing and tell the version; raises Unavailable with a reason."""

    def asked(self) -> Mapping[str, Asked]:
        """Row -> the request of that row; the first is the arm's own."""

    def started(self, place: Place) -> AbstractContextManager[Running]:
        """The arm at work; raises NotReady."""
