"""Sources: read off the loop, written into the snapshot on it.

A source that fails keeps its last values; the failure is counted, logged once per message
and shown in the admin state. It never stops the gateway.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import numpy as np

from gateway.api import Named, NearwayError, PluginError, Source
from gateway.runtime.deciding import Deciding

log = logging.getLogger("nearway.sources")


class SourceFeed:
    """One task a source of the policies that decide, or may."""

    def __init__(self, deciding: Deciding, folder: Path) -> None:
        self._deciding = deciding
        self._folder = folder
        self._tasks: list[asyncio.Task[None]] = []
        self.errors: dict[str, str] = {}

    async def start(self) -> None:
        """Read every source once (a wrong one raises here), then keep reading."""
        for source in self._deciding.sources:
            await self._read(source)
            task = asyncio.create_task(self._keep_reading(source), name=f"source {source.name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """Cancel the tasks and wait for them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_reading(self, source: Named[Source]) -> None:
        while True:
            await asyncio.sleep(source.plugin.period_s)
            try:
                await self._read(source)
                self.errors.pop(source.name, None)
            except NearwayError as error:
                if self.errors.get(source.name) != str(error):
                    log.warning("source %s keeps its last values: %s", source.name, error)
                self.errors[source.name] = str(error)

    async def _read(self, source: Named[Source]) -> None:
        table = self._deciding.router.table
        ids = tuple(center.id for center in table.centers)
        try:
            columns = await asyncio.to_thread(source.plugin.read, ids, self._folder)
        except NearwayError:
            raise
        except Exception as error:
            raise PluginError(f"source {source.name}: {type(error).__name__}: {error}") from error
        for name, values in columns.items():
            full = f"{source.name}.{name}"
            if full not in table.columns or np.shape(values) != (len(ids),):
                raise PluginError(
                    f"source {source.name}: column {name!r} of shape {np.shape(values)}; "
                    f"declared {sorted(source.plugin.columns)}, expected ({len(ids)},)"
                )
            if not np.array_equal(table.columns[full], values):
                table.columns[full][:] = values
                table.touch(full)
