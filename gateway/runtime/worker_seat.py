"""Where one worker among several sits, and what a gateway does differently there."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from random import Random

import msgspec

from gateway.api import F32N, Center, Table
from gateway.config import Settings
from gateway.fleet.shared_fleet import SharedFleet
from gateway.fleet.shared_table import SharedTable


@dataclass(frozen=True, slots=True)
class WorkerSeat:
    """``number``: the row in ``shared``. ``sockets``: of the public door, all workers';
    ``own_sockets`` are accepted on. ``admin_path``: the Unix socket of this worker's admin
    door; ``supervisor_path``: that of the supervisor's. ``centers_url``: where the centers
    live that have no URL; empty: in this process.
    """

    number: int
    shared: SharedTable
    sockets: tuple[socket.socket, ...]
    own_sockets: tuple[int, ...]
    admin_path: str
    supervisor_path: str
    centers_url: str = ""

    def fleet(self, table: Table, rtt_prior: Callable[[int], F32N], random: Random) -> SharedFleet:
        """The fleet at this seat. ``random`` is one seat's own, so that exact ties differ."""
        return SharedFleet(
            table, rtt_prior=rtt_prior, random=random, shared=self.shared, seat=self.number
        )

    def centers(self, centers: Sequence[Center]) -> tuple[Center, ...]:
        """Centers without a URL live in the process at ``centers_url``, which emulates."""
        if not self.centers_url:
            return tuple(centers)
        return tuple(
            center
            if center.url is not None
            else replace(center, url=self.centers_url, emulate="center")
            for center in centers
        )


def worker_settings(settings: Settings, seat: int) -> Settings:
    """What one worker is told: its share of the requests in flight, a decision log its own."""
    server = settings.server
    share = ceil(server.in_flight_max / server.workers)
    log = settings.telemetry.decision_log
    if log:
        path = Path(log)
        log = str(path.with_name(f"{path.stem}.{seat}{path.suffix}"))
    return msgspec.structs.replace(
        settings,
        server=msgspec.structs.replace(server, in_flight_max=share),
        telemetry=msgspec.structs.replace(settings.telemetry, decision_log=log),
    )
