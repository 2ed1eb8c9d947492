"""What happened in a run: kept as tuples, hashed, and printed for a person when asked to."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Any

from gateway.testing.adversary.loop import BEGINS_S, VirtualLoop

LAST_SHOWN = 40


class Trace:
    """``note`` what happened now. Two runs of one seed have the same ``digest``."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.counts: Counter[str] = Counter()
        self._loop = loop

    def note(self, what: str, *about: Any) -> None:
        """``about`` must read the same in every run of the seed."""
        self.counts[what] += 1
        self.lines.append((self._loop.time(), what, *about))

    def digest(self) -> str:
        """Of all lines."""
        told = blake2b(digest_size=8)
        for line in self.lines:
            told.update(repr(line).encode())
        return told.hexdigest()

    def text(self, last: int | None = None) -> str:
        """A line each, time in ms since the beginning."""
        lines = self.lines if last is None else self.lines[-last:]
        return "\n".join(
            f"{(at_s - BEGINS_S) * 1e3:12.3f} ms  {what:18} {' '.join(map(str, about))}"
            for at_s, what, *about in lines
        )
