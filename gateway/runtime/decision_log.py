"""The decision log's task: every 100 ms what happened is taken on the loop, written off it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.runtime.deciding import Deciding
from gateway.telemetry.decision_log import DecisionRecorder
from gateway.wire.decision_frames import LogHeader

EVERY_S = 0.1


class DecisionLogTask:
    """Feeds one recorder. Made, it listens already; raises ConfigError for a wrong path."""

    def __init__(self, deciding: Deciding, clock: Callable[[], float]) -> None:
        telemetry = deciding.settings.telemetry
        table = deciding.router.table
        self.recorder = DecisionRecorder(
            Path(telemetry.decision_log),
            table,
            log_header(deciding),
            mb_max=telemetry.decision_log_mb_max,
        )
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        deciding.router.listen(self.recorder)

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._keep_writing(), name="decision log")

    async def stop(self) -> None:
        """Write what is left and close the file."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self.recorder.close)

    def state(self) -> dict[str, Any]:
        """JSON-ready."""
        recorder = self.recorder
        return {
            "records": recorder.records,
            "dropped": recorder.dropped,
            "error": recorder.error,
        }

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            batch = self.recorder.take(self._clock())
            writing = asyncio.ensure_future(asyncio.to_thread(self.recorder.write, batch))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing  # a batch that is being written is written to its end
                raise


def log_header(deciding: Deciding) -> LogHeader:
    """Who decides on what, for whoever reads the log later."""
    routing = deciding.settings.routing
    policy = deciding.router.configured.policy
    return LogHeader(
        deciding.centers,
        tuple(place.name for place in deciding.gazetteer.places),
        routing.policy,
        msgspec.to_builtins(deciding.settings.policies[routing.policy]),
        tuple(named.name for named in policy.scorers),
        routing.seed,
    )
