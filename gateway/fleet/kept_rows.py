"""Which centers of one fleet stand in another: their rows there and here.

When the config is read again the fleet gets a new table. A center that stays keeps what was
learned of it, whatever its row; so it is said once which rows are the same center, and every
estimator takes over its own (``carry_over``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.api import Center


@dataclass(frozen=True, slots=True)
class KeptRows:
    """intp[K] each, in the order of the new fleet: ``before[k]`` became ``after[k]``."""

    before: NDArray[np.intp]
    after: NDArray[np.intp]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(row before, row after)."""
        return list(zip(self.before.tolist(), self.after.tolist(), strict=True))


def same_center(old: Center, new: Center) -> bool:
    """Whether what was measured of ``old`` says something of ``new``: the same site, reached in
    the same way, declared as fast. Slots, models and the core flag may differ.
    """
    return (old.id, old.url, old.location, old.emulate, old.speed_factor) == (
        new.id,
        new.url,
        new.location,
        new.emulate,
        new.speed_factor,
    )


def kept_rows(before: Sequence[Center], after: Sequence[Center]) -> KeptRows:
    """The rows of the centers that stay."""
    rows = {center.id: row for row, center in enumerate(before)}
    pairs = [
        (rows[center.id], row)
        for row, center in enumerate(after)
        if center.id in rows and same_center(before[rows[center.id]], center)
    ]
    old, new = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return KeptRows(old, new)
