"""Health as one worker among several sees it: what is published, less what it put out itself.

Theory of operation. The merging process owns the state machine (``health``). A worker tells
it every ending that can change a condition and goes by the published columns. What it knows
and the others cannot know yet it adds alone, as a *local ejection*: a center that refused it,
and a returning center it has just sent a request to, are out of this worker's choice until
what was told has been heard; the published health then includes it. So a returning center
gets at most one request a worker and round; not in a panic, when it may be all there is. Should
nobody listen, a local ejection ends after ``LOCAL_S_MAX``.

It stands in for ``Health`` in ``Fleet``. Answers are told of troubled centers only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.fleet.condition import Condition
from gateway.fleet.health import REFUSED
from gateway.fleet.shared_endings import Teller, What
from gateway.fleet.shared_table import SharedTable

LOCAL_S_MAX = 1.0
READ_AGAIN_S = 0.1
"""The published columns are read again after this even if their version stands."""


class SharedHealth:
    """The health of every center as this worker goes by it."""

    def __init__(self, places: Sequence[tuple[str, str]], shared: SharedTable, seat: int) -> None:
        n = len(places)
        self._seat = seat
        self._teller = Teller(shared, seat)
        self._healthy = shared["healthy"]
        self._error_rate = shared["error_rate"]
        self._shared_troubled = shared["troubled"]
        self._shared_trial = shared["on_trial"]
        self._panic = shared["panic"]
        self._probe_asked = shared["probe_asked"]
        self._probes_answered = self._probe_asked.copy()
        self._prober = shared["prober"]
        self._version = shared["health_version"]
        self._seen = shared["health_seen"]
        self._serving = np.ones(n, dtype=np.int32)
        self._local: dict[int, tuple[int, float]] = {}  # center: (told, since)
        self._told_trouble: dict[int, int] = {}
        self._was_troubled: set[int] = set()
        self.adopted = 0  # how often anything was read
        self._version_read = -1
        self._read_again_at = 0.0
        self._now = 0.0
        self.conditions = [Condition() for _ in places]
        self.troubled = bytearray(n)
        self.on_trial: set[int] = set()
        self.refresh(0.0)

    # ---- events ---------------------------------------------------------------------------

    def erred(self, center: int, reason: str, now: float) -> bool:
        """An error that is the center's own; one that refused is out for this worker."""
        told = self._trouble(What.ERRED, center, reason)
        if reason in REFUSED or (center in self.on_trial and not self._panic[0]):
            return self._put_out(center, told, now)
        return False

    def silent(self, center: int, proof: float, now: float) -> bool:  # noqa: ARG002 - as Health's
        """An attempt was given up without a word from the center."""
        if proof <= 0.0:
            return self.unjudged(center)
        self._trouble(What.SILENT, center, proof=proof)
        return False

    def answered(self, center: int, now: float) -> bool:  # noqa: ARG002 - as Health's
        """A good answer of a troubled center."""
        self._teller.tell(What.ANSWERED, center)
        return False

    def reached(self, center: int, now: float) -> None:  # noqa: ARG002 - as Health's
        """This worker's connection to it is back."""
        self._teller.tell(What.REACHED, center)

    def unjudged(self, center: int) -> bool:
        """An attempt ended that says nothing of the center."""
        self._teller.tell(What.UNJUDGED, center)
        return False

    def charged(self, center: int) -> bool:
        """A request of this worker goes to a center that is ``on_trial``."""
        told = self._teller.tell(What.CHARGED, center)
        return False if self._panic[0] else self._put_out(center, told, self._now)

    def probed(self, center: int, now: float, *, alive: bool) -> bool:  # noqa: ARG002 - as Health's
        """The answer of a probe this worker was asked to send."""
        self._teller.tell(What.PROBED_ALIVE if alive else What.PROBED_DEAD, center)
        return False

    def due(self, now: float) -> list[int]:  # noqa: ARG002 - as Health's
        """Centers to probe now; none unless this worker is the one who probes."""
        asked = self._probe_asked.copy()
        centers: list[int] = np.flatnonzero(asked != self._probes_answered).tolist()
        self._probes_answered = asked
        return centers if int(self._prober[0]) == self._seat else []

    def drain(self, center: int, *, draining: bool) -> bool:
        """A worker does not drain by itself; the merging process is asked instead."""
        raise ValueError(
            f"center row {center}, draining={draining}: among several workers the process that "
            "publishes health drains; ask its admin door"
        )

    def in_service(self) -> NDArray[np.int32]:
        """int32[N]: 1 where this worker may choose. A view, not to be written."""
        return self._serving

    def unwell(self) -> list[int]:
        """None: the process that publishes health tells of it."""
        return []

    # ---- each fast tick -------------------------------------------------------------------

    def refresh(self, now: float) -> bool:
        """Go by what is published now; True when ``in_service`` reads differently.

        Costs one read while nothing is published and nothing of ours is pending.
        """
        self._now = now
        version = int(self._version[0])
        if self._local or self._told_trouble:
            self._forget_heard(now)
        elif version == self._version_read and now < self._read_again_at:
            return False
        self._version_read, self._read_again_at = version, now + READ_AGAIN_S
        self.adopted += 1
        self._adopt_conditions()
        serving = self._healthy.copy()
        if self._local:
            serving[list(self._local)] = 0
        changed = not np.array_equal(serving, self._serving)
        if changed:
            self._serving[:] = serving
        self._seen[self._seat] = version
        return changed

    # ---- its pieces -----------------------------------------------------------------------

    def _trouble(self, what: What, center: int, reason: str = "", proof: float = 0.0) -> int:
        told = self._teller.tell(what, center, reason, proof)
        self.troubled[center] = 1
        self._was_troubled.add(center)
        self._told_trouble[center] = told
        it = self.conditions[center]
        it.last_error = reason or "silent"
        return told

    def _put_out(self, center: int, told: int, now: float) -> bool:
        self._local[center] = (told, now)
        if not self._serving[center]:
            return False
        self._serving[center] = 0
        return True

    def _forget_heard(self, now: float) -> None:
        """What was heard is in the published health: it rules again."""
        heard = self._teller.heard
        for center, (told, since) in list(self._local.items()):
            if heard >= told or now - since > LOCAL_S_MAX:
                del self._local[center]
        for center, told in list(self._told_trouble.items()):
            if heard >= told:
                del self._told_trouble[center]

    def _adopt_conditions(self) -> None:
        """Which centers are troubled or on trial, and how often each errs."""
        troubled = np.flatnonzero(self._shared_troubled).tolist()
        for center in self._was_troubled.difference(troubled):
            self.troubled[center] = 0
            self.conditions[center].error_rate = 0.0
        for center in troubled:
            self.troubled[center] = 1
            self.conditions[center].error_rate = float(self._error_rate[center])
        self._was_troubled = {*troubled, *self._told_trouble}
        for center in self._told_trouble:
            self.troubled[center] = 1
        self.on_trial.clear()
        self.on_trial.update(np.flatnonzero(self._shared_trial).tolist())
