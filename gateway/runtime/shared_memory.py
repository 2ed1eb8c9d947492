"""Memory that processes share by descriptor: no name, so nothing is ever left behind.

On Linux it is an anonymous file in memory (``memfd_create``), elsewhere a temporary file
without a name. A child that inherits the descriptor maps the same pages; the last process
that holds them ends them, however it ended. Pages that nobody wrote cost nothing.
"""

from __future__ import annotations

import mmap
import os
import tempfile


class SharedMemory:
    """``size`` zeroed bytes, writable by every process that has ``descriptor``."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.size = size
        self.buffer = memoryview(mmap.mmap(descriptor, size))

    @classmethod
    def make(cls, size: int) -> SharedMemory:
        """Fresh memory; its descriptor is not inherited unless passed on."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("nearway-table", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
        return cls(descriptor, size)

    def close_descriptor(self) -> None:
        """No further process is to inherit it; the mapping stays."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
