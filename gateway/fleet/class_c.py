"""Requests of class C, which wait apart at every center: they are ahead of one another only.

Theory of operation. A center keeps a line and threads of their own for models whose work can wait
(``gateway.centers.waiting``), and leaves a slot free of them. So what is charged for them is no
part of ``queue_ms``, which every request is routed by: a request of class A would be sent away from
a center, or refused for its deadline, because of work that it never waits for. Their own wait,

    wait = w / n x max(0, n + 1 - k) / k           (as in ``work``, over the k slots they may take)

stands in the rows of the models of class C instead, as the wait for a load does, so that they are
spread over centers by it, and only such a request costs the making of a row. What other gateways
or workers have under way of class C is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

SetWait = Callable[[str, Sequence[int], float], None]
"""(model, centers, ms): a request for the model waits so long there."""


class ClassC:
    """``models`` of class C, and what is under way of them. ``set_wait``: writes their rows."""

    def __init__(self, slots: Sequence[int], set_wait: SetWait) -> None:
        self.models: set[str] = set()
        self._slots = [max(1, count - 1) for count in slots]
        self._set_wait = set_wait
        self._count = [0] * len(slots)
        self._own_ms = [0.0] * len(slots)
        self._load_ms: dict[tuple[str, int], float] = {}

    @property
    def in_flight(self) -> int:
        """At all centers."""
        return sum(self._count)

    def in_flight_at(self, center: int) -> int:
        """Requests charged and not ended."""
        return self._count[center]

    def charge(self, center: int, service_ms: float) -> None:
        """One more in flight."""
        self._count[center] += 1
        self._own_ms[center] += service_ms
        self._write(center)

    def refund(self, center: int, service_ms: float) -> None:
        """One fewer; what was charged is taken back."""
        count = self._count[center] = max(0, self._count[center] - 1)
        self._own_ms[center] = max(0.0, self._own_ms[center] - service_ms) if count else 0.0
        self._write(center)

    def loads(self, model: str, centers: Sequence[int], load_ms: float) -> None:
        """At these ``model`` waits so long for a load, too; 0: it is in memory."""
        for center in centers:
            if load_ms:
                self._load_ms[model, center] = load_ms
            else:
                self._load_ms.pop((model, center), None)
            self._set_wait(model, (center,), load_ms + self.wait_ms(center))

    def leaves(self, model: str) -> None:
        """It is of class C no more: it waits for a load only."""
        if model in self.models:
            self.models.remove(model)
            for center in range(len(self._count)):
                self._set_wait(model, (center,), self._load_ms.pop((model, center), 0.0))

    def wait_ms(self, center: int) -> float:
        """Predicted wait for a slot of the next request of class C."""
        count, slots = self._count[center], self._slots[center]
        ahead = count + 1 - slots
        if ahead <= 0 or not count:
            return 0.0
        return self._own_ms[center] * ahead / (slots * count)

    def _write(self, center: int) -> None:
        wait_ms = self.wait_ms(center)
        for model in self.models:
            load_ms = self._load_ms.get((model, center), 0.0) if self._load_ms else 0.0
            self._set_wait(model, (center,), load_ms + wait_ms)
