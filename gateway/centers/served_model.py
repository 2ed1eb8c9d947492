"""A model version as centers serve it: the model, how its requests are read, answers written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

from gateway.api import InferRequest, NdArray
from gateway.centers.language.embedding import embedding_pair
from gateway.engine import CacheCounts, LoadedModel, ResponseCache
from gateway.wire import AnswerForm, KnownHead, RequestReader, ResponseWriter

Answer = tuple[bytes, int | None]
"""The payload, and the length of the JSON before binary tensors, if any."""

FindHead = Callable[[bytes, int | None], KnownHead | None]
EncodeParts = Callable[[AnswerForm, Sequence[NdArray], Sequence[int]], list[Answer] | None]


class Reader(Protocol):
    """Bodies to inputs."""

    def decode(self, body: bytes, head_bytes: int | None) -> InferRequest:
        """Raises InvalidRequest naming the field."""


class Writer(Protocol):
    """Outputs to bodies."""

    def form(self, request: InferRequest) -> AnswerForm:
        """How the request wants its answer; requests with the same form may share a run."""

    def encode(self, request: InferRequest, form: AnswerForm, arrays: Sequence[NdArray]) -> Answer:
        """Raises NearwayError where it cannot be said."""


class ServedModel:
    """Made once for a loaded model and shared by the centers of a process.

    ``class_c``: its work can wait (see ``waiting``). ``known`` finds what a body's head says, and
    ``encode_parts`` writes the answers of a joined run; both say None where a request needs
    ``reader`` and ``writer``. ``cache`` where the model keeps answers.
    """

    __slots__ = (
        "_embedder",
        "cache",
        "class_c",
        "encode_parts",
        "extra_s",
        "known",
        "model",
        "reader",
        "rows_max",
        "writer",
    )

    reader: Reader
    writer: Writer

    def __init__(
        self,
        model: LoadedModel,
        *,
        tensor_elements_max: int,
        cache_counts: CacheCounts | None = None,
    ) -> None:
        self.model = model
        cached = model.config.response_cache
        self.cache: ResponseCache | None = None
        if cached.enable:
            self.cache = ResponseCache(cached.bytes_max, cache_counts or CacheCounts())
        self._embedder: ServedModel | None = None
        self.rows_max = model.batching.rows_max
        self.extra_s = model.run_time.extra_ms / 1e3
        self.class_c = model.config.latency_class == "C"
        reader = RequestReader(
            model.metadata,
            tensor_elements_max=tensor_elements_max,
            batch_max=model.config.max_batch_size,
        )
        writer = ResponseWriter(model.version, model.metadata, model.labels)
        self.reader, self.writer = reader, writer
        self.known: FindHead = reader.known
        self.encode_parts: EncodeParts = writer.encode_parts

    def embedder(self) -> ServedModel:
        """The same model, with bodies as the embeddings route has them. Raises InvalidField."""
        if self._embedder is None:
            reader, writer = embedding_pair(self.model)
            embedder = ServedModel.__new__(ServedModel)
            embedder.model, embedder.rows_max, embedder._embedder = self.model, 1, None
            embedder.reader, embedder.writer = reader, writer
            embedder.known, embedder.encode_parts = _nothing_known, _not_joined
            embedder.cache = None
            embedder.class_c, embedder.extra_s = self.class_c, self.extra_s
            self._embedder = embedder
        return self._embedder

    def runs_s(self, rows: int) -> float:
        """How long a run of ``rows`` examples is expected to take."""
        return self.model.run_ms / 1e3 + self.extra_s * (rows - 1)

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


def _nothing_known(_body: bytes, _head_bytes: int | None) -> KnownHead | None:
    return None


def _not_joined(
    _form: AnswerForm, _arrays: Sequence[NdArray], _rows: Sequence[int]
) -> list[Answer] | None:
    return None
