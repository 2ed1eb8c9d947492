"""``POST /v1/embeddings``: the request and the answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from gateway.wire.openai_completions import prompts_of
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import Body, read

INPUTS_MAX: Final = 2048
_Token = Annotated[int, Meta(ge=0, lt=2**31)]


class _EmbeddingBody(Body, kw_only=True, forbid_unknown_fields=True):
    input: str | list[str | _Token | list[_Token]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1)] | None = None


_DECODER = msgspec.json.Decoder(_EmbeddingBody)


@dataclass(slots=True)
class EmbeddingRequest:
    """``texts``: each a text or tokens. ``dimensions`` None: as many as the model gives."""

    texts: list[str | list[int]]
    base64: bool
    dimensions: int | None


def read_embeddings(body: bytes) -> EmbeddingRequest:
    """What is asked. Raises InvalidField, InvalidRequest."""
    told = read(body, _DECODER)
    texts = prompts_of(told.input, "input")
    if len(texts) > INPUTS_MAX:
        raise InvalidField(f"{len(texts)} inputs, at most {INPUTS_MAX} are taken", "input")
    if any(text == "" for text in texts):
        raise InvalidField("an input is empty; there is nothing to embed", "input")
    return EmbeddingRequest(texts, told.encoding_format == "base64", told.dimensions)


def embeddings_answer(
    model: str, vectors: NDArray[Any], tokens: int, asked: EmbeddingRequest
) -> bytes:
    """``vectors``: FP32 [texts, dimensions], of length one; base64 is little-endian FP32.

    Raises InvalidField when more dimensions are asked for than there are.
    """
    size = int(vectors.shape[1])
    if asked.dimensions is not None and asked.dimensions != size:
        if asked.dimensions > size:
            raise InvalidField(
                f"dimensions is {asked.dimensions}; {model} gives {size}", "dimensions"
            )
        vectors = vectors[:, : asked.dimensions]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, 1e-12)
    if asked.base64:
        raw = np.ascontiguousarray(vectors, "<f4")
        told: list[Any] = [base64.b64encode(row.tobytes()).decode() for row in raw]
    else:
        told = vectors.tolist()
    data = [
        {"object": "embedding", "index": index, "embedding": one} for index, one in enumerate(told)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})
