"""Rings: the centers about as near as the nearest one, for pickers that know no network.

Most published rules rank servers of one site and have no term for the way there. A picker
that follows one may take the nearest ring and apply its rule inside it.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from gateway.api.query import F32N

RING_MS_MIN = 0.01
_LARGEST_MS = float(np.finfo(np.float32).max)


def nearest_ring(total_ms: F32N, ring_ms: float | None) -> NDArray[np.bool_]:
    """bool[N]: the eligible centers within ``ring_ms`` of the smallest sum (None: all of them).

    ``total_ms``: float32[N], at least one finite; whom a retry masks the ring moves on from.
    """
    if ring_ms is None:
        return total_ms < inf
    return total_ms <= min(float(total_ms.min()) + ring_ms, _LARGEST_MS)


def check_ring(ring_ms: float | None) -> None:
    """Raises ValueError unless ``ring_ms`` is None or a width that float32 sums can tell."""
    if ring_ms is not None and not RING_MS_MIN <= ring_ms < inf:
        raise ValueError(f"ring_ms = {ring_ms}; expected ms >= {RING_MS_MIN}, or leave it out")
