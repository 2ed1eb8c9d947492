"""The thread that continues texts, for all places of a process.

Theory of operation. A ``Place`` is one batch: one model at one center. All places share one thread,
which steps those that have something to do in turn; onnxruntime lets go of the interpreter while it
runs. What a step brought is handed to the event loop in one call, and there to each sequence's
``on_piece``. A sequence that was cancelled meanwhile hears nothing.

A place's ``pace`` is by how much its center is slower than this machine: what a step brought is
handed over, and the next one begins, when the step would have been over there.

Everything but ``_work`` and what it calls happens on the loop. The lock guards who is busy.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from gateway.api import CenterDown, CenterFailed, NearwayError
from gateway.engine.generation.batch import Batch
from gateway.engine.generation.sequence import Piece, Sequence


class Place:
    """One batch at one center. ``pace`` may be written at any time."""

    def __init__(self, thread: GenerationThread, batch: Batch, pace: float = 1.0) -> None:
        self.pace = pace
        self._thread = thread
        self._batch = batch
        self._arrived: deque[Sequence] = deque()
        self._held: list[Piece] = []
        self.due_s = 0.0
        self.steps = 0
        self.tokens = 0

    def add(self, sequence: Sequence) -> None:
        """Continue it; ``on_piece`` is called on the loop, last with a piece that is the last."""
        self._arrived.append(sequence)
        self._thread.wake(self)

    def work(self, clock: Callable[[], float]) -> tuple[list[Piece], bool]:
        """One step, by the thread: what can be handed over, and whether there is more to do."""
        batch, arrived = self._batch, self._arrived
        while arrived:
            batch.add(arrived.popleft())
        held, self._held = self._held, []
        if not batch.busy:
            return held, False
        began_s = clock()
        try:
            pieces = batch.step()
        except Exception as error:  # noqa: BLE001  # request boundary: whoever waits must hear
            told = error if isinstance(error, NearwayError) else CenterFailed(str(error))
            pieces = [Piece(sequence, "", 0, error=told) for sequence in batch.abandon()]
        took_s = (clock() - began_s) * max(1.0, self.pace)
        for sequence in batch.readers:
            sequence.reading_s += took_s / len(batch.readers)
        self.steps += 1
        self.tokens += sum(piece.tokens for piece in pieces)
        if self.pace <= 1.0:
            return held + pieces, batch.busy
        self.due_s, self._held = began_s + took_s, pieces
        return held, True

    @property
    def waits(self) -> bool:
        """Has somebody come since the last step?"""
        return bool(self._arrived)

    def fail_all(self, error: NearwayError) -> list[Piece]:
        """Nobody is continued any more."""
        left = [*self._batch.abandon(), *self._arrived]
        self._arrived.clear()
        self._held.clear()
        return [Piece(sequence, "", 0, error=error) for sequence in left]


class GenerationThread:
    """Starts with the first sequence and ends with ``close``."""

    def __init__(
        self,
        call_soon_threadsafe: Callable[..., object],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call_soon_threadsafe = call_soon_threadsafe
        self._clock = clock
        self._changed = threading.Condition()
        self._busy: deque[Place] = deque()
        self._thread: threading.Thread | None = None
        self._closed = False

    def place(self, batch: Batch, pace: float = 1.0) -> Place:
        """A place for ``batch``; it is gone when nobody holds it and nothing is under way."""
        return Place(self, batch, pace)

    def wake(self, place: Place) -> None:
        """``place`` has something to do."""
        with self._changed:
            if self._closed:
                gone = place.fail_all(CenterDown("the engine is shut down"))
                self._call_soon_threadsafe(_deliver, gone)
                return
            if place not in self._busy:
                self._busy.append(place)
            self._changed.notify()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="nearway-generation", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """After the step that is under way; sequences not over hear CenterDown. Harmless twice."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    # ---- in the thread --------------------------------------------------------------------

    def _work(self) -> None:
        while (place := self._next()) is not None:
            pieces, more = place.work(self._clock)
            with self._changed:
                # It stays in the line while it works, so that ``wake`` need not add it.
                self._busy.remove(place)
                if more or place.waits:
                    self._busy.append(place)
            self._hand_over(pieces)
        with self._changed:
            for place in self._busy:
                self._hand_over(place.fail_all(CenterDown("the engine is shut down")))
            self._busy.clear()

    def _next(self) -> Place | None:
        """The place whose turn it is, waiting for one; None: it is over."""
        with self._changed:
            while not self._closed:
                now = self._clock()
                for _ in range(len(self._busy)):
                    place = self._busy[0]
                    if place.due_s <= now:
                        return place
                    self._busy.rotate(-1)
                earliest_s = min((place.due_s for place in self._busy), default=None)
                self._changed.wait(None if earliest_s is None else earliest_s - now)
            return None

    def _hand_over(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        try:
            self._call_soon_threadsafe(_deliver, pieces)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _deliver(pieces: list[Piece]) -> None:
    for piece in pieces:
        if not piece.sequence.cancelled:
            piece.sequence.on_piece(piece)
