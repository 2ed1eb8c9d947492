"""``/v1/embeddings`` as a run like any other: only reading and writing differ from inference.

The texts of a request are one run; requests do not share one, for texts are padded to the longest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.api import InferRequest, NdArray
from gateway.centers.language.asked import checked
from gateway.engine import LoadedModel
from gateway.engine.generation import EMBEDDER, Language
from gateway.wire import AnswerForm
from gateway.wire.openai_embeddings import EmbeddingRequest, embeddings_answer, read_embeddings
from gateway.wire.openai_errors import InvalidField

OUTPUT = "embedding"
PADDED_TOKENS_MAX = 131_072
ASKED = "asked"


class EmbeddingReader:
    """Bodies of the embeddings route to inputs of the model."""

    __slots__ = ("_context", "_language")

    def __init__(self, language: Language, context: int) -> None:
        self._language = language
        self._context = context

    def decode(self, body: bytes, _head_bytes: int | None) -> InferRequest:
        """Raises InvalidRequest; ``parameters`` hold what the answer is to be like."""
        asked = read_embeddings(body)
        rows = [self._tokens(text) for text in asked.texts]
        longest = max(map(len, rows))
        if longest * len(rows) > PADDED_TOKENS_MAX:
            raise InvalidField(
                f"{len(rows)} inputs of up to {longest} tokens are more than "
                f"{PADDED_TOKENS_MAX} tokens; send fewer at once",
                "input",
            )
        ids = np.zeros((len(rows), longest), np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
        length = np.array([len(row) for row in rows], np.int64)
        return InferRequest({"input_ids": ids, "length": length}, parameters={ASKED: asked})

    def _tokens(self, text: str | list[int]) -> list[int]:
        tokenizer, context = self._language.tokenizer, self._context
        if isinstance(text, str):
            if len(text) <= context * tokenizer.token_bytes_max:
                tokens = tokenizer.encode(text)
            else:
                tokens = [0] * (context + 1)
        else:
            tokens = checked(text, self._language, "input")
        if len(tokens) > context:
            raise InvalidField(
                f"an input is too long; at most {context} tokens are read here "
                "(context_tokens in the model's config.toml)",
                "input",
                "context_length_exceeded",
            )
        return tokens


class EmbeddingWriter:
    """The model's vectors to bodies of the embeddings route."""

    __slots__ = ("_model",)

    def __init__(self, model: str) -> None:
        self._model = model

    def form(self, _request: InferRequest) -> AnswerForm:
        """One of its own, for no two requests share a run."""
        return _EmbeddingForm()

    def encode(
        self, request: InferRequest, _form: AnswerForm, arrays: Sequence[NdArray]
    ) -> tuple[bytes, int | None]:
        """The answer, all JSON. Raises InvalidField for too many dimensions."""
        asked: EmbeddingRequest = request.parameters[ASKED]
        tokens = int(request.inputs["length"].sum())
        return embeddings_answer(self._model, arrays[0], tokens, asked), None


class _EmbeddingForm(AnswerForm):
    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), ())
        self.names = (OUTPUT,)


def embedding_pair(model: LoadedModel) -> tuple[EmbeddingReader, EmbeddingWriter]:
    """Raises InvalidField for a model that embeds no text."""
    language = model.language
    if language is None or language.kind != EMBEDDER:
        raise InvalidField(
            f"model {model.name!r} makes no vectors of texts, so /v1/embeddings cannot be asked "
            "for it; GET /v1/models lists those that read text",
            "model",
        )
    return EmbeddingReader(language, model.config.context_tokens), EmbeddingWriter(model.name)
