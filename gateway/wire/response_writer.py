"""Writes the answers of one model: what does not change from answer to answer is kept.

Theory of operation. ``oip_response.encode_response`` writes every answer; a writer answers
with the same bytes, only sooner. ``form`` says how a request wants its answer: which outputs
the model must give, and each as JSON or binary; forms are kept by what was asked. ``encode``
then puts an answer together from pieces that are kept by shape: the names, datatypes and
shapes around JSON data, the whole head of a binary answer. What is rarer (classification,
strings, FP16, an id in a binary answer, NaN) is left to ``encode_response``. All memories are
bounded and forget everything when they are full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gateway.api import InferRequest, ModelMetadata, NdArray, OutputRequest, TensorSpec
from gateway.wire.binary import array_to_binary
from gateway.wire.oip_response import encode_response

FORMS_KEPT = 64
SHAPES_KEPT = 64

_ENCODE = msgspec.json.Encoder().encode
_FLOATS = ("FP32", "FP64")


class AnswerForm:
    """How a request wants its answer. ``names``: the outputs the model must give, in order."""

    __slots__ = ("_heads", "_openings", "json", "names", "plain_binary", "specs")

    def __init__(self, asks: Sequence[OutputRequest], specs: Sequence[TensorSpec]) -> None:
        self.names = tuple(ask.name for ask in asks)
        self.specs = tuple(specs)
        ranked = any(ask.classification for ask in asks)
        odd = any(spec.datatype in ("BYTES", "FP16") for spec in specs)
        self.json = bool(asks) and not (ranked or odd or any(ask.binary for ask in asks))
        self.plain_binary = bool(asks) and not ranked and all(ask.binary for ask in asks)
        self._openings: tuple[dict[tuple[int, ...], bytes], ...] = tuple({} for _ in asks)
        self._heads: dict[tuple[tuple[int, ...], ...], bytes] = {}

    def opening(self, index: int, shape: tuple[int, ...]) -> bytes:
        """What stands before the data of the output at ``index``, back to the one before it."""
        kept = self._openings[index]
        opening = kept.get(shape)
        if opening is None:
            if len(kept) >= SHAPES_KEPT:
                kept.clear()
            spec = self.specs[index]
            opening = kept[shape] = b'%b{"name":%b,"datatype":"%b","shape":%b,"data":' % (
                b"}," if index else b',"outputs":[',
                _ENCODE(spec.name),
                spec.datatype.encode(),
                _ENCODE(shape),
            )
        return opening

    def head(self, arrays: Sequence[NdArray]) -> bytes | None:
        """The head of a binary answer with arrays of these shapes; None when not known yet."""
        return self._heads.get(tuple([array.shape for array in arrays]))

    def head_of_rows(self, arrays: Sequence[NdArray], rows: int) -> bytes | None:
        """``head`` for the first ``rows`` examples of ``arrays`` alone."""
        return self._heads.get(tuple([(rows, *array.shape[1:]) for array in arrays]))

    def learn_head(self, arrays: Sequence[NdArray], head: bytes) -> None:
        """Keep the head of a binary answer; strings differ in size at the same shape."""
        if any(array.dtype.hasobject for array in arrays):
            return
        if len(self._heads) >= SHAPES_KEPT:
            self._heads.clear()
        self._heads[tuple([array.shape for array in arrays])] = head


class ResponseWriter:
    """``encode_response`` for one version of a model. ``labels``: by output, one a class."""

    def __init__(
        self, version: str, metadata: ModelMetadata, labels: Mapping[str, Sequence[str]]
    ) -> None:
        self._version = version
        self._metadata = metadata
        self._labels = labels
        self._specs = {spec.name: spec for spec in metadata.outputs}
        self._json = self._form([OutputRequest(name) for name in self._specs])
        self._binary = self._form([OutputRequest(name, binary=True) for name in self._specs])
        self._forms: dict[tuple[OutputRequest, ...], AnswerForm] = {}
        self._start = b'{"model_name":' + _ENCODE(metadata.name)
        if version:
            self._start += b',"model_version":' + _ENCODE(version)

    def form(self, request: InferRequest) -> AnswerForm:
        """How ``request``, which was found right, wants its answer."""
        asks = request.outputs
        if not asks:
            return self._binary if request.binary_default else self._json
        form = self._forms.get(asks)
        if form is None:
            if len(self._forms) >= FORMS_KEPT:
                self._forms.clear()
            form = self._forms[asks] = self._form(asks)
        return form

    def encode(
        self, request: InferRequest, form: AnswerForm, arrays: Sequence[NdArray]
    ) -> tuple[bytes, int | None]:
        """``(payload, head_bytes)`` as ``encode_response``; ``arrays``: one a name of ``form``.

        Raises as it does.
        """
        if form.json:
            payload = self._all_json(request.id, form, arrays)
            if payload is not None:
                return payload, None
        elif form.plain_binary and not request.id:
            head = form.head(arrays)
            if head is not None:
                return b"".join((head, *[array_to_binary(array) for array in arrays])), len(head)
        payload, head_bytes = encode_response(
            self._metadata.name,
            self._version,
            request,
            dict(zip(form.names, arrays, strict=True)),
            self._metadata,
            self._labels,
        )
        if form.plain_binary and not request.id and head_bytes is not None:
            form.learn_head(arrays, payload[:head_bytes])
        return payload, head_bytes

    def encode_parts(
        self, form: AnswerForm, arrays: Sequence[NdArray], rows: Sequence[int]
    ) -> list[tuple[bytes, int | None]] | None:
        """``encode`` for the requests of a joined run that bring equally many ``rows`` and no id.

        ``arrays`` hold the examples of all. The outputs become bytes once, and an answer is a
        slice of them. None where that way is not open (yet).
        """
        if not form.plain_binary:
            return None
        count = rows[0]
        head = form.head_of_rows(arrays, count)
        if head is None or rows.count(count) != len(rows):
            return None
        columns: list[list[memoryview]] = []
        for array in arrays:
            tensor = memoryview(array_to_binary(array))
            size = len(tensor) // len(rows)
            columns.append([tensor[at : at + size] for at in range(0, len(tensor), size)])
        head_bytes = len(head)
        return [(b"".join((head, *parts)), head_bytes) for parts in zip(*columns, strict=True)]

    def _form(self, asks: Sequence[OutputRequest]) -> AnswerForm:
        return AnswerForm(asks, [self._specs[ask.name] for ask in asks])

    def _all_json(
        self, request_id: str, form: AnswerForm, arrays: Sequence[NdArray]
    ) -> bytes | None:
        """None: an answer JSON cannot say."""
        parts = [self._start]
        if request_id:
            parts.append(b',"id":' + _ENCODE(request_id))
        for index, array in enumerate(arrays):
            data = _ENCODE(array.ravel().tolist())
            # A non-finite number is written as null; no finite one has an "n".
            if b"n" in data and form.specs[index].datatype in _FLOATS:
                return None
            parts.append(form.opening(index, array.shape))
            parts.append(data)
        parts.append(b"}]}")
        return b"".join(parts)
