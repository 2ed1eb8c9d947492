"""Only centers that serve the model now: declared, loaded and ready there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gateway.api import BoolN, Centers, Query, Varies


@dataclass(frozen=True)
class ServesModel:
    """Keeps the centers where the model asked for is resident."""

    varies_by: ClassVar[tuple[Varies, ...] | None] = ("model",)
    reads: ClassVar[tuple[str, ...]] = ("resident",)
    advisory: ClassVar[bool] = False

    def keep(self, query: Query, centers: Centers, now: float) -> BoolN:
        """bool[N]: True where the model is resident."""
        keep: BoolN = centers["resident"] != 0
        return keep
