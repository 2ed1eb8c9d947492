"""So many of something at once, and no more: a counter for threads."""

from __future__ import annotations

import threading


class Places:
    """``most`` of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._free = threading.Semaphore(most)

    def take(self) -> bool:
        """One of them; False when there is none."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """One that was taken."""
        self._free.release()
