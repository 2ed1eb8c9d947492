"""What is known of one center's health, and how a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["ok", "ejected", "half_open", "returning"]
Cause = Literal["", "refused", "silent", "errors", "zone", "region"]


@dataclass(slots=True)
class Condition:
    """Times are monotonic seconds.

    ``cusum``, ``silence``: evidence of errors and of silence; ``proven``: a whole proof of silence
    is in it, not parts that add up; ``in_a_row``: errors of any kind
    since the last answer. ``strikes``: ejections and unanswered probes, which set the length
    of the next penalty. ``round``: requests a returning center is given at once; of these
    ``allowed`` are still to be charged and ``waiting`` are under way.
    """

    stage: Stage = "ok"
    cause: Cause = ""
    since: float = 0.0
    draining: bool = False
    cusum: float = 0.0
    silence: float = 0.0
    proven: bool = False
    error_rate: float = 0.0
    in_a_row: int = 0
    last_error: str = ""
    last_error_at: float = 0.0
    strikes: int = 0
    probe_at: float = 0.0
    round: int = 0
    allowed: int = 0
    waiting: int = 0

    def why(self, now: float) -> str:
        """In words, empty when there is nothing to tell."""
        parts = ["draining"] if self.draining else []
        ago = f"last {max(0.0, now - self.last_error_at):.1f} s ago"
        if self.stage == "ejected":
            next_s = max(0.0, self.probe_at - now)
            parts.append(f"{self._what(ago)}; next probe in {next_s:.1f} s")
        elif self.stage == "half_open":
            parts.append(f"a probe was answered, waiting for the first answer; {self.last_error}")
        elif self.stage == "returning":
            parts.append(f"returning: {self.round} requests at once; {self.last_error}")
        elif self.cusum > 0.0:
            parts.append(f"{self._errors()}, {ago}")
        return "; ".join(parts)

    def _what(self, ago: str) -> str:
        if self.cause == "refused":
            return f"refused {max(1, self.in_a_row)} times in a row, {ago}"
        if self.cause == "silent":
            return f"silent {self.in_a_row} times in a row, {ago}"
        if self.cause in ("zone", "region"):
            return f"out with its {self.cause}, more than half of which failed within a second"
        return f"{self._errors()}, {ago}"

    def _errors(self) -> str:
        return f"{self.error_rate:.0%} recent errors ({self.last_error})"
