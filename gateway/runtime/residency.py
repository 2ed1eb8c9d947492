"""Which models the remote centers have: asked at the start, and every few seconds again.

A server that is no process of ours does not tell when it loads or drops a model, so it is
asked (``RemoteCenter.index``), all at once, each for at most ``every_s``. What changed goes to
``told``. A center that does not answer keeps the models it was last known to have: whether it
can be used is the fleet's to judge, by its answers. Who falls silent, and who comes back, is
logged once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Container, Mapping, Sequence

from gateway.api import NearwayError
from gateway.centers.remote import RemoteCenter
from gateway.centers.shared_engine import OnResidency

log = logging.getLogger("nearway.centers")

UNKNOWN_RUN_MS = 5.0
"""Prior of a model's run time where nobody has measured it."""


class Residency:
    """``run_ms``: the prior for a model, by name."""

    def __init__(
        self,
        centers: Sequence[RemoteCenter],
        told: OnResidency,
        run_ms: Callable[[str], float],
        every_s: float,
    ) -> None:
        self._centers = centers
        self._told = told
        self._run_ms = run_ms
        self._every_s = every_s
        self._known: dict[int, frozenset[str]] = {}
        self._silent: dict[int, bool] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, spared: Container[RemoteCenter] = ()) -> list[str]:
        """Ask all but ``spared`` once; returns the ids of those that did not say."""
        asked = [center for center in self._centers if center not in spared]
        answered = await asyncio.gather(*(self._ask(center) for center in asked))
        return [center.center.id for center, ok in zip(asked, answered, strict=True) if not ok]

    def carry_over(self, before: Residency, rows: Mapping[int, int]) -> None:
        """Begin with what ``before`` heard of the centers that stay, by (its row: the row here)."""
        for old, new in rows.items():
            if old in before._known:
                self._known[new] = before._known[old]
            if old in before._silent:
                self._silent[new] = before._silent[old]

    def start(self) -> None:
        """Ask every ``every_s`` from now on."""
        if self._centers and self._task is None:
            self._task = asyncio.create_task(self._keep_asking(), name="models of remote centers")

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.ask()

    async def _ask(self, center: RemoteCenter) -> bool:
        try:
            async with asyncio.timeout(self._every_s):
                states = await center.index()
        except TimeoutError:
            self._heard(center, f"no answer within {self._every_s:.1f} s")
            return False
        except NearwayError as error:
            self._heard(center, str(error))
            return False
        self._heard(center, "")
        self._tell(center, frozenset(line.name for line in states if line.state == "READY"))
        return True

    def _tell(self, center: RemoteCenter, ready: frozenset[str]) -> None:
        before = self._known.get(center.row, frozenset())
        self._known[center.row] = ready
        for model in sorted(ready - before):
            self._told(model, center.row, True, self._run_ms(model))
        for model in sorted(before - ready):
            self._told(model, center.row, False, 0.0)

    def _heard(self, center: RemoteCenter, problem: str) -> None:
        was_silent = self._silent.get(center.row, False)
        self._silent[center.row] = bool(problem)
        if problem and not was_silent:
            log.warning("center %s does not say which models it has: %s", center.center.id, problem)
        elif was_silent and not problem:
            log.warning("center %s says again which models it has", center.center.id)
