"""A file on a disk that may be full: as much of ``Path`` as the decision log uses."""

from __future__ import annotations

import errno
import os


class Disk:
    """``room``: bytes that may still be written; a full one takes what it can."""

    def __init__(self) -> None:
        self.full = False
        self.files: dict[str, bytearray] = {}
        self.bytes_max = 0


class DiskFile:
    """An unbuffered binary file."""

    def __init__(self, disk: Disk, content: bytearray) -> None:
        self._disk = disk
        self._content = content
        self._at = 0

    def write(self, data: bytes) -> int:
        """How many bytes there was room for; raises OSError when there was none."""
        if self._disk.full:
            if len(data) < 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: len(data) // 2]
        self._content[self._at :] = data
        self._at += len(data)
        self._disk.bytes_max = max(self._disk.bytes_max, len(self._content))
        return len(data)

    def seek(self, at: int) -> int:
        """Go on from there."""
        self._at = at
        return at

    def truncate(self) -> int:
        """Cut the rest off."""
        del self._content[self._at :]
        return self._at

    def close(self) -> None:
        """Nothing is buffered."""


class DiskPath:
    """Names a file on a ``Disk``."""

    def __init__(self, disk: Disk, name: str) -> None:
        self.name = name
        self._disk = disk

    def __str__(self) -> str:
        return self.name

    def exists(self) -> bool:
        """Is it there?"""
        return self.name in self._disk.files

    def with_name(self, name: str) -> DiskPath:
        """Another one beside it."""
        return DiskPath(self._disk, name)

    def replace(self, target: DiskPath) -> DiskPath:
        """Rename it, over whatever is there."""
        self._disk.files[target.name] = self._disk.files.pop(self.name)
        return target

    def open(self, _mode: str, *, buffering: int) -> DiskFile:
        """Anew and empty; raises OSError on a full disk."""
        assert buffering == 0
        if self._disk.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        content = self._disk.files[self.name] = bytearray()
        return DiskFile(self._disk, content)
