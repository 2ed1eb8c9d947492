"""A model version as centers serve it: the model, how its requests are read, answers written."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from gateway.api import NdArray
from gateway.engine import LoadedModel
from gateway.wire import RequestReader, ResponseWriter


class ServedModel:
    """Made once for a loaded model and shared by the centers of a process."""

    __slots__ = ("model", "reader", "rows_max", "writer")

    def __init__(self, model: LoadedModel, *, tensor_elements_max: int) -> None:
        self.model = model
        self.rows_max = model.batching.rows_max
        self.reader = RequestReader(
            model.metadata,
            tensor_elements_max=tensor_elements_max,
            batch_max=model.config.max_batch_size,
        )
        self.writer = ResponseWriter(model.version, model.metadata, model.labels)

    def hold_ms(self, run_ms: float, factor: float, random: Random) -> float:
        """How long a run of ``run_ms`` occupies its slot from its beginning; 0: no longer.

        ``factor``: how much slower than nominal the center is. Where the model declares a
        service time, it is drawn, and a run takes at least that.
        """
        service = self.model.config.service
        if service is not None:
            run_ms = max(run_ms, service.draw_ms(random))
        return run_ms * factor if factor != 1.0 or service is not None else 0.0


def rows_of(inputs: Mapping[str, NdArray]) -> int:
    """How many examples a request brings: the first size of its first input."""
    for array in inputs.values():
        return int(array.shape[0]) if array.ndim else 1
    return 1
