"""How much of the heap is in use: what a model takes is the difference its load makes.

glibc counts every byte handed out (``mallinfo2``), which onnxruntime's weights, packed copies and
arenas are part of. The resident set says less: memory that another model has given back is used
again before it grows. Where the count cannot be had, a model is taken for ``FACTOR`` times its
files, as measured for small networks (2.0 to 2.7).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

FACTOR = 2.5
FIELDS = (
    "arena", "ordblks", "smblks", "hblks", "hblkhd",
    "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
)  # fmt: skip


class _Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


def heap_reader() -> Callable[[], int] | None:
    """A function that returns the bytes in use; None where the C library does not count them."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = _Mallinfo2

    def read() -> int:
        counted = mallinfo2()
        return int(counted.uordblks) + int(counted.hblkhd)

    return read


def files_bytes(folder: Path) -> int:
    """The size of everything in a version's folder, its links not followed."""
    return sum(file.lstat().st_size for file in folder.iterdir() if file.is_file())


def taken_bytes(grown_bytes: int | None, on_disk_bytes: int) -> int:
    """What a model takes: by how much the heap has grown, at least its files; else a guess.

    Other threads allocate meanwhile, so the growth is an estimate, too.
    """
    if grown_bytes is None:
        return int(FACTOR * on_disk_bytes)
    return max(grown_bytes, on_disk_bytes)
