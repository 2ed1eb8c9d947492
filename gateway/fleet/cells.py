"""Scalar access to an array: a memoryview of its buffer.

A read or write through a memoryview costs 0.025 µs, through a numpy scalar four times as
much; readers see the same bytes as an array.
"""

from __future__ import annotations

from typing import Protocol, cast

from gateway.api import Array


class Cells(Protocol):
    """One array's values, by position."""

    def __getitem__(self, position: int, /) -> float:
        """The value as a Python number."""

    def __setitem__(self, position: int, value: float, /) -> None:
        """Write in place; an integer array takes integers only."""


class Counts(Protocol):
    """An integer array's values, by position."""

    def __getitem__(self, position: int, /) -> int:
        """The value as a Python integer."""

    def __setitem__(self, position: int, value: int, /) -> None:
        """Write in place."""


def counts_of(array: Array) -> Counts:
    """As ``cells_of``, for an integer array."""
    return cast("Counts", array.data)


def cells_of(array: Array) -> Cells:
    """Cells sharing the memory of ``array`` (one dimension, C-contiguous)."""
    return cast("Cells", array.data)
