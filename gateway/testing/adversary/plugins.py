"""Plugins that misbehave when they are told to: a scorer, and a filter that is not mandatory.

``Mood`` is shared by a plugin and the adversary. In a bad mood a plugin raises, returns NaN,
less than nothing or the wrong shape; quality may suffer, answers may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gateway.api import F32N, PER_REQUEST, BoolN, Centers, Query, Varies

WRONGS = ("raises", "nan", "negative", "shape", "forbids all")


class PluginTrouble(RuntimeError):
    """What a plugin raises that is in a bad mood."""


class Mood:
    """``bad``: probability of misbehaviour at a call."""

    def __init__(self, random: Random) -> None:
        self.bad = 0.0
        self.random = random

    def draw(self) -> str:
        """What goes wrong this time; empty for nothing."""
        if not self.bad or self.random.random() >= self.bad:
            return ""
        return self.random.choice(WRONGS[:4])


@dataclass(frozen=True)
class Moody:
    """A scorer that costs nothing, when it works."""

    mood: Mood
    varies_by: ClassVar[tuple[Varies, ...] | None] = PER_REQUEST
    reads: ClassVar[tuple[str, ...]] = ()
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 0.0

    def ms(self, _query: Query, centers: Centers, _now: float) -> F32N:
        """Zeros, or something wrong."""
        wrong = self.mood.draw()
        if wrong == "raises":
            raise PluginTrouble("the scorer is in a bad mood")
        if wrong == "shape":
            return np.zeros(len(centers) + 1, dtype=np.float32)
        fill = {"nan": np.nan, "negative": -1.0}.get(wrong, 0.0)
        return np.full(len(centers), fill, dtype=np.float32)


@dataclass(frozen=True)
class MoodyFilter:
    """An advisory filter that keeps all, when it works."""

    mood: Mood
    varies_by: ClassVar[tuple[Varies, ...] | None] = PER_REQUEST
    reads: ClassVar[tuple[str, ...]] = ()
    advisory: ClassVar[bool] = True

    def keep(self, _query: Query, centers: Centers, _now: float) -> BoolN:
        """All of them, or something wrong."""
        wrong = self.mood.draw()
        if wrong == "raises":
            raise PluginTrouble("the filter is in a bad mood")
        kept: NDArray[np.bool_] = np.ones(len(centers) + (wrong == "shape"), dtype=np.bool_)
        return kept
