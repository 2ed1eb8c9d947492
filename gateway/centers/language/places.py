"""Where a center continues texts: a batch for each of its models.

A batch is the center's own, as its slots are: texts at different centers do not share a run,
though in this process the same thread runs them all. A version that was loaded anew gets a new
place; texts under way end at the old one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.api import CenterBusy
from gateway.engine import LoadedModel
from gateway.engine.generation import Batch, GenerationThread, Language, Place

ROWS_UNTOLD = 16


@dataclass(slots=True)
class TextPlace:
    """``texts``: those under way or waiting."""

    model: LoadedModel
    place: Place
    texts: int = 0


class Places:
    """Those of one center."""

    __slots__ = ("_places", "_thread")

    def __init__(self, thread: GenerationThread) -> None:
        self._thread = thread
        self._places: dict[tuple[str, str], TextPlace] = {}

    def of(self, model: LoadedModel, language: Language) -> TextPlace:
        """The place for a model; made at its first text."""
        key = (model.name, model.version)
        place = self._places.get(key)
        if place is None or place.model is not model:
            rows_max = model.config.max_batch_size or ROWS_UNTOLD
            batch = Batch(model.run, language, rows_max)
            place = TextPlace(model, self._thread.place(batch))
            self._places[key] = place
        return place

    def forget(self, model: str) -> None:
        """It is not served here any more."""
        for key in [key for key in self._places if key[0] == model]:
            del self._places[key]


def check_room(place: TextPlace, center: str, queue_max: int) -> None:
    """Raises CenterBusy when too many texts wait already."""
    if place.texts >= queue_max:
        raise CenterBusy(f"center {center}: {place.texts} texts are under way, queue_max of them")
