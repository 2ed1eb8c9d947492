"""A file that lines are appended to, by several processes if need be, and that may be rotated.

Each batch is one ``write`` to a file opened for appending, so the lines of two processes never
mix. Before it the path is looked at: when another tool has moved the file away, or removed it,
a new one is begun under the same name. No signal is needed, and none is harmful.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from gateway.api import ConfigError

MODE: Final = 0o640


class AppendedFile:
    """Raises ConfigError at once, naming ``key``, when ``path`` cannot be opened."""

    def __init__(self, path: Path, key: str) -> None:
        self._path = path
        try:
            self._fd = self._open()
        except OSError as error:
            raise ConfigError(
                f'{key} = "{path}": {error.strerror or error}; expected a file in a folder that '
                "this process may write to"
            ) from None

    def append(self, lines: bytes) -> None:
        """All of it, in one call. Raises OSError."""
        if self._moved():
            fd = self._open()
            os.close(self._fd)
            self._fd = fd
        written = os.write(self._fd, lines)
        while written < len(lines):  # the disk is nearly full, or a signal came between
            written += os.write(self._fd, lines[written:])

    def close(self) -> None:
        """Nothing is appended any more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)

    def _moved(self) -> bool:
        mine = os.fstat(self._fd)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino)
