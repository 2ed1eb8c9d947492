"""So many of something at once, and no more."""

from __future__ import annotations


class Places:
    """``most`` of them."""

    __slots__ = ("_free", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._free = most

    def take(self) -> bool:
        """One of them; False when there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """One that was taken."""
        self._free += 1
