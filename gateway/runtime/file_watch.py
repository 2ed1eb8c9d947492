"""Watching the files that a config is made of: when they have changed and lie still, tell.

Names, inodes, sizes and times are looked at (``file_signature``), a few times a minute or a
second; contents never. A change counts once the files were the same at two looks in a row, so
that a file which is being written is not read half; and it counts once, whether it was good or
not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from gateway.config import Settings
from gateway.config.file_signature import Signature, signature_of
from gateway.runtime.deciding import model_roots

IDLE_S = 1.0
"""How often it is seen whether the watch has been switched on."""


class Still:
    """The rule: ``look`` is True when a change lies still that nobody was told of. Pure."""

    def __init__(self, told: Signature) -> None:
        self._told = self._seen = told

    def look(self, found: Signature) -> bool:
        """``found``: the signature now."""
        still = found == self._seen
        self._seen = found
        if not still or found == self._told:
            return False
        self._told = found
        return True


def watched_paths(settings: Settings, config: Path | None) -> list[Path]:
    """The config file, the fleet file, the certificate and the folders of models not ours."""
    paths = [] if config is None else [config]
    named = (settings.fleet.file, settings.server.tls_cert, settings.server.tls_key)
    paths += [Path(name) for name in named if name]
    return paths + model_roots(settings)


class FileWatch:
    """``changed`` is awaited at each change of ``paths()``, whose answer may change with it."""

    def __init__(
        self, paths: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._paths = paths
        self._changed = changed
        self._still: Still | None = None

    async def keep(self, every_s: Callable[[], float]) -> None:
        """For ever; 0: not now. What changes while it is off is not told of."""
        while True:
            pause_s = every_s()
            await asyncio.sleep(pause_s or IDLE_S)
            if pause_s:
                await self.look()
            else:
                self._still = None

    async def look(self) -> None:
        """One look."""
        found = await asyncio.to_thread(signature_of, list(self._paths()))
        if self._still is None:
            self._still = Still(found)
        elif self._still.look(found):
            await self._changed()
