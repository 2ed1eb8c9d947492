"""Has a file or a folder changed? Its signature: names, inodes, sizes and times, never contents.

A file that is replaced by a rename has another inode, one that is written in place another
time or size. What cannot be looked at has a signature too: its absence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

ENTRIES_MAX = 100_000
"""Entries of one folder that are looked at; a repository has a few hundred."""

Entry = tuple[str, int, int, int]
"""Path, inode, size in bytes, time of the last change in ns."""
Signature = tuple[Entry, ...]


def signature_of(paths: Iterable[Path]) -> Signature:
    """Of files, and of folders with all that lies in them, in the order given."""
    entries: list[Entry] = []
    for path in paths:
        _add(entries, path)
        if path.is_dir():
            for folder, folders, files in os.walk(path):
                folders.sort()
                for name in sorted(files):
                    _add(entries, Path(folder, name))
                if len(entries) >= ENTRIES_MAX:
                    break
    return tuple(entries)


def _add(entries: list[Entry], path: Path) -> None:
    try:
        found = path.stat()
    except OSError:
        entries.append((str(path), 0, -1, 0))
        return
    if path.is_dir():
        entries.append((str(path), found.st_ino, 0, 0))  # a folder's time says nothing of its files
    else:
        entries.append((str(path), found.st_ino, found.st_size, found.st_mtime_ns))
