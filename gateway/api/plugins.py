"""The plugin contract: five kinds, on one screen.

*Sources fill the snapshot; filters narrow, scorers add milliseconds, a picker chooses,
observers learn.* A plugin is a frozen dataclass whose fields are its parameters in the
policy file; it is found by its entry point. ``N`` is the number of centers, row order is
the snapshot's. Deciding (keep, ms, pick) is pure: every write belongs in ``chosen``.
Time is the gateway's monotonic clock in seconds; random numbers come from the argument.

A filter, scorer or picker may observe as well: it then has any of the observer's methods.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.api.outcome import Outcome, Report
from gateway.api.query import F32N, Choice, Decision, Query
from gateway.api.snapshot import Array, Centers

BoolN = NDArray[np.bool_]
Varies = Literal["vantage", "model", "tenant"]
"""A query field that may key a cached component row."""

PER_REQUEST: tuple[Varies, ...] | None = None
"""``varies_by = PER_REQUEST``: ask for every query, cache nothing (its cost shows in `plugins`)."""


@dataclass(frozen=True, slots=True)
class Column:
    """A per-center column a plugin declares; its name in the table is ``<plugin>.<column>``."""

    dtype: Literal["f4", "f8", "i4"] = "f4"
    initial: float = 0.0


class Filter(Protocol):
    """Narrows. Cached like a scorer, added as 0 or +inf."""

    varies_by: ClassVar[tuple[Varies, ...] | None]
    reads: ClassVar[tuple[str, ...]]
    advisory: ClassVar[bool]  # broken: True = skipped, False = the request fails closed (503)

    def keep(self, query: Query, centers: Centers, now: float) -> BoolN:
        """bool[N]: which centers stay."""


class Scorer(Protocol):
    """Adds milliseconds. ``live``: ``ms`` returns a column itself, or the row of its one key;
    it is read where it stands at every request.

    A cached row is made again when something it ``reads`` moved; ``now`` alone moves nothing.
    A class that says ``is_time = False`` charges what is no time (money, carbon, a risk): it
    ranks, but is left out of what is predicted.
    """

    varies_by: ClassVar[tuple[Varies, ...] | None]
    reads: ClassVar[tuple[str, ...]]
    live: ClassVar[bool]
    refresh_ms: ClassVar[float]  # a cached row is looked at again at most this often

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms a choice of each center would cost: >= 0, +inf forbids."""


class Picker(Protocol):
    """Chooses. ``sample``: None = sees all, d = sees d eligible centers drawn at random.

    A class that says ``takes_argmin = True`` promises that ``pick`` is the first smallest of
    what it sees; routing then takes it without the call.
    """

    sample: ClassVar[int | None]
    reads: ClassVar[tuple[str, ...]]

    def pick(
        self,
        total_ms: F32N,
        candidates: NDArray[np.intp] | None,
        centers: Centers,
        query: Query,
        now: float,
        random: Random,
        memory: Any,
    ) -> int | Choice:
        """Position in ``total_ms``: float32[K], the sums of ``candidates`` (None: of all N).

        +inf is forbidden. ``memory`` is to be read only: deciding twice is deciding once.
        """


class Observer(Protocol):
    """Learns. Owns its columns and one memory. Any of these may be left out.

    ``chosen`` is called in the same loop turn as the charge, ``ended`` exactly once per
    chosen, ``reported`` whenever a center spoke of its load, ``probes`` after ``chosen``.
    """

    columns: ClassVar[Mapping[str, Column]]

    def memory(self, centers: int, random: Random) -> Any:
        """State beside the columns, remade when membership changes; None if there is none."""

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """A center was chosen and charged; ``decision.token`` is what the picker left there."""

    def ended(self, outcome: Outcome, mine: MutableMapping[str, Array], memory: Any) -> None:
        """Answer, error or cancelled; ``outcome.token`` as above."""

    def reported(
        self,
        center: int,
        report: Report,
        now: float,
        mine: MutableMapping[str, Array],
        memory: Any,
    ) -> None:
        """A center spoke of its load, with an answer, unasked or asked by a probe."""

    def probes(
        self, now: float, random: Random, mine: MutableMapping[str, Array], memory: Any
    ) -> Sequence[int]:
        """Centers to ask for a report now; their answers come to ``reported``."""


class Source(Protocol):
    """Fills columns from outside. Read off the loop, every ``period_s`` seconds."""

    columns: ClassVar[Mapping[str, Column]]
    period_s: float

    def read(self, centers: tuple[str, ...], folder: Path) -> Mapping[str, Array]:
        """New values, [N] each, by column; ``centers`` are the ids in row order."""


Plugin = Filter | Scorer | Picker | Observer | Source
KINDS: tuple[str, ...] = ("filters", "scorers", "pickers", "observers", "sources")
