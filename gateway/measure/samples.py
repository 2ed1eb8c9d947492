"""Samples: what a run of the generator saw, one row a request, as parallel arrays.

Every time is a duration of one process's monotonic clock. The gateway's four parts arrive in
``Server-Timing``; ``client_ms`` is what remains of the time counted from the intended instant:
the way to the gateway and back, the generator's own lateness, and the waiting for a connection.
A request that was not answered has NaN in every part and its waiting time in
``client_total_ms``; no request is ever left out, because the worst ones would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

NO_ANSWER = 0
"""Status of a request whose connection failed or whose answer was not HTTP."""
TIMED_OUT = -1
"""Status of a request whose answer did not come within the generator's timeout."""
WRONG = -2
"""Status of a request whose answer came and was not the right one."""
UNKNOWN_CENTER = -1

PARTS = ("gateway_ms", "network_ms", "queue_ms", "service_ms")
"""The four parts the gateway reports, in the order of a request's life."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One row a request; float64 arrays of n, ms unless named otherwise."""

    intended_s: F64
    """Intended send instant, seconds from the run's start on the generator's clock."""
    origin: I32
    """Index into ``origins``."""
    status: I32
    """HTTP status; 0 = no answer (connection error), -1 = timeout, -2 = a wrong answer."""
    client_total_ms: F64
    """From the intended instant to the answer's last byte (or to giving up)."""
    client_ms: F64
    """``client_total_ms`` minus the four parts; NaN where the parts are."""
    gateway_ms: F64
    network_ms: F64
    queue_ms: F64
    service_ms: F64
    late_send_ms: F64
    """When the generator turned to the request, minus intended: its own lateness. The wait for
    a free connection is not in it (the server causes that), it is in ``client_ms``; NaN where
    nothing was sent."""
    center: I32
    """Index into ``centers``; -1 unknown."""
    origins: tuple[str, ...] = ()
    centers: tuple[str, ...] = ()
    errors: Mapping[str, int] = field(default_factory=dict)
    """How many requests failed, by kind, over the whole run (warm-up included)."""

    def __len__(self) -> int:
        return int(self.intended_s.size)

    @property
    def answered(self) -> Mask:
        """bool[n]: a whole answer with a 2xx status."""
        return (self.status >= 200) & (self.status < 300)

    def after(self, seconds: float) -> Samples:
        """The rows intended at or after ``seconds``: the warm-up dropped."""
        return self.where(self.intended_s >= seconds)

    def where(self, mask: Mask) -> Samples:
        """The rows where ``mask`` (bool[n]) holds; names and ``errors`` stay as they are."""
        if mask.shape != self.intended_s.shape:
            raise ValueError(f"mask of shape {mask.shape} for {len(self)} samples")
        rows = {name: getattr(self, name)[mask] for name in ROW_FIELDS}
        return Samples(**rows, origins=self.origins, centers=self.centers, errors=self.errors)


ROW_FIELDS: tuple[str, ...] = tuple(
    f.name for f in fields(Samples) if f.name not in ("origins", "centers", "errors")
)
"""The names of the arrays, in declaration order."""
