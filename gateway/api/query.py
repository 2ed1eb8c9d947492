"""What routing is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

F32N = NDArray[np.float32]


@dataclass(slots=True)
class Query:
    """One question to the router. ``vantage`` is a row index, see ``Table``.

    ``priority``: its class, 1 is the highest; 0 is whoever named none. ``session``: what the
    client says belongs together, empty when it says nothing. ``prompt``: what a model that
    writes text is to read first, as it stands in the body; empty for all other requests.
    """

    vantage: int
    model: str
    tenant: str = "anonymous"
    deadline_ms: float = inf
    body_bytes: int = 0
    session: str = ""
    priority: int = 0
    prompt: bytes = b""


@dataclass(slots=True)
class Choice:
    """What a picker says beyond a position: the rows it looked at, and a token.

    The token comes back in ``Decision`` and ``Outcome``: what ``chosen`` needs to commit.
    """

    position: int
    looked_at: tuple[int, ...] = ()
    token: object = None


@dataclass(slots=True)
class Decision:
    """One answer of the router, with its reasons.

    ``predicted_ms`` is the winning sum, less what is no time (``is_time``); ``runner_up_ms`` the
    next best sum, whole (there is none: inf, and ``runner_up`` is -1); ``parts_ms`` the winner's
    cost by scorer in policy order; ``charged_ms`` what was added to the center's work and must
    be refunded exactly; ``tried`` the centers masked before; ``looked_at`` the rows the picker
    saw (empty: all) and ``token`` what it left for ``chosen``; ``now`` the instant it was made.
    """

    query: Query
    center: int
    predicted_ms: float
    runner_up: int
    runner_up_ms: float
    parts_ms: tuple[float, ...]
    charged_ms: float
    tried: tuple[int, ...] = ()
    looked_at: tuple[int, ...] = ()
    token: object = None
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole table behind a decision: every center, every scorer, every refusal.

    ``scorers_ms[name]`` is float32[N]; ``refused_by[i]`` names the filters or scorers that
    forbid center ``i`` (empty: eligible); ``order`` lists the eligible centers, best first.
    """

    policy: str
    query: Query
    center: int | None
    scorers_ms: dict[str, F32N]
    total_ms: F32N
    refused_by: tuple[tuple[str, ...], ...]
    order: tuple[int, ...]
    notes: tuple[str, ...] = field(default=())
