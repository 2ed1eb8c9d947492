"""Endings that matter for health, told by a worker and heard by the process that decides.

A ring of 64-bit words a seat: the worker writes a word and then its count, the merging
process reads up to the count and then publishes how far it heard, *after* what follows from
it stands in the table. So a worker that finds its word heard knows that the published health
includes it. A full ring drops: the count of what was dropped is kept by the worker.

    word = what << 56 | reason << 48 | proof << 32 | center
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from gateway.fleet.shared_table import RING, SharedTable

REASONS = (
    "center_failed",
    "center_down",
    "timed_out",
    "deadline_exceeded",
    "center_busy",
    "overloaded",
    "no_center",
    "plugin_error",
    "config_error",
)
"""Reasons told by name; any other is told as the first, an error of the center's own."""
_CODES = {reason: code for code, reason in enumerate(REASONS)}
PROOF_ONE = 0xFFFF


class What(IntEnum):
    """What happened at a center."""

    ANSWERED = 1
    ERRED = 2
    SILENT = 3
    UNJUDGED = 4
    CHARGED = 5
    PROBED_ALIVE = 6
    PROBED_DEAD = 7
    REACHED = 8


@dataclass(frozen=True, slots=True)
class Told:
    """One ending. ``proof``: of a silence, 0 to 1."""

    what: What
    center: int
    reason: str
    proof: float


class Teller:
    """A worker's end of its ring."""

    def __init__(self, shared: SharedTable, seat: int) -> None:
        self._ring = shared.counts("told", seat)
        self._count = shared.counts("told_count", seat)
        self._heard = shared.counts("heard", seat)
        self.dropped = 0

    def tell(self, what: What, center: int, reason: str = "", proof: float = 0.0) -> int:
        """Say it; returns the count that ``heard`` reaches once it is taken in."""
        count = self._count[0]
        if count - self._heard[0] >= RING:
            self.dropped += 1
            return count
        share = int(proof * PROOF_ONE)
        word = what << 56 | _CODES.get(reason, 0) << 48 | share << 32 | center
        self._ring[count % RING] = word
        self._count[0] = count + 1
        return count + 1

    @property
    def heard(self) -> int:
        """How many have been taken in."""
        return self._heard[0]


class Listener:
    """The merging process's end of one ring."""

    def __init__(self, shared: SharedTable, seat: int) -> None:
        self._ring = shared.counts("told", seat)
        self._count = shared.counts("told_count", seat)
        self._heard = shared.counts("heard", seat)
        self._at = 0

    def hear(self) -> Iterator[Told]:
        """All that is new, in order; ``acknowledge`` afterwards."""
        count = self._count[0]
        while self._at < count:
            word = self._ring[self._at % RING]
            self._at += 1
            what = word >> 56
            if What.ANSWERED <= what <= What.REACHED:
                code = word >> 48 & 0xFF
                reason = REASONS[code] if code < len(REASONS) else REASONS[0]
                share = (word >> 32 & 0xFFFF) / PROOF_ONE
                yield Told(What(what), word & 0xFFFFFFFF, reason, share)

    def acknowledge(self) -> None:
        """What was heard so far stands in the published block."""
        self._heard[0] = self._at

    def forget(self) -> None:
        """The seat is empty: its ring begins anew."""
        self._at = 0
