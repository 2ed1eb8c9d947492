"""What a call says beside its message: metadata as headers, the peer, the deadline."""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Any
from urllib.parse import unquote

YEAR_S = 3.2e7
"""A deadline so far off is none."""


class CallHeaders:
    """Metadata read as headers are: whatever the case of the name, the first value counts."""

    __slots__ = ("body_head", "pairs")

    def __init__(self, pairs: Any) -> None:
        """``pairs``: (name in lower case, value); ``body_head``: the length of the JSON head."""
        self.pairs = pairs
        self.body_head = ""

    def get(self, name: str, /) -> str | None:
        """See ``Headers``."""
        name = name.lower()
        if name == "inference-header-content-length":
            return self.body_head or None
        for key, value in self.pairs:
            if key == name:
                return value if isinstance(value, str) else None
        return None


@lru_cache(maxsize=4096)
def address_of(peer: str) -> str | None:
    """``ipv4:10.0.0.1:555`` and ``ipv6:[::1]:555`` as an address; None for any other peer."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return unquote(rest).rpartition(":")[0].strip("[]")


def left_ms(context: Any) -> float | None:
    """How long the client still waits; None when it has set no deadline."""
    left_s = context.time_remaining()
    if left_s is None or not isfinite(left_s) or left_s > YEAR_S:
        return None
    return float(left_s) * 1e3
