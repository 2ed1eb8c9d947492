"""What a peer may do that costs more here than there: a token bucket.

A stream that is opened and reset (CVE-2023-44487), one that is made to be reset by us
(CVE-2025-8671), pings and settings that want an answer: each takes a token. A peer without
tokens is no client that anybody wrote to be one.
"""

from __future__ import annotations


class Budget:
    """``most`` tokens at once, ``per_s`` more each second."""

    __slots__ = ("_at_s", "_left", "_most", "_per_s")

    def __init__(self, most: float, per_s: float, now_s: float) -> None:
        self._most = most
        self._per_s = per_s
        self._left = most
        self._at_s = now_s

    def spend(self, now_s: float, earned: int = 0) -> bool:
        """Take one; False when there is none. ``earned``: tokens the peer was given since."""
        more = (now_s - self._at_s) * self._per_s + earned
        self._at_s = now_s
        self._left = min(self._most, self._left + more) - 1.0
        return self._left >= 0.0
