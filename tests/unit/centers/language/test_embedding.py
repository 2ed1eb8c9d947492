from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gateway.centers.language import embedding
from gateway.centers.language.embedding import embedding_pair
from gateway.centers.served_model import ServedModel
from gateway.wire.openai_errors import InvalidField


def body(given: Any, **more: Any) -> bytes:
    return json.dumps({"model": "text-embed", "input": given, **more}).encode()


def test_a_text_has_the_same_vector_alone_and_among_others(embedder: Any) -> None:
    served = ServedModel(embedder, tensor_elements_max=1000).embedder()
    assert served.rows_max == 1

    def vectors(texts: list[str]) -> Any:
        request = served.reader.decode(body(texts), None)
        form = served.writer.form(request)
        arrays = embedder.run(request.inputs, form.names)
        payload, head_bytes = served.writer.encode(request, form, arrays)
        assert head_bytes is None
        told = json.loads(payload)
        assert told["usage"]["prompt_tokens"] == int(request.inputs["length"].sum())
        return np.array([one["embedding"] for one in told["data"]])

    texts = ["the feed pump leaks", "a", "voltage is low at the bus of the third station"]
    together = vectors(texts)
    for row, text in enumerate(texts):
        assert vectors([text])[0] == pytest.approx(together[row], abs=1e-5)


def test_no_two_requests_share_a_run(embedder: Any) -> None:
    reader, writer = embedding_pair(embedder)
    request = reader.decode(body("a"), None)
    assert writer.form(request) is not writer.form(request)


def test_what_is_too_much_is_refused(embedder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, _ = embedding_pair(embedder)
    for given in ("word " * 3000, "x" * 1_000_000, [5] * 1025):
        with pytest.raises(InvalidField) as caught:
            reader.decode(body(given), None)
        assert caught.value.code == "context_length_exceeded"
    monkeypatch.setattr(embedding, "PADDED_TOKENS_MAX", 10)
    with pytest.raises(InvalidField, match="send fewer"):
        reader.decode(body(["a", "b c d e f g"]), None)


def test_a_model_that_writes_text_makes_no_vectors(chat_model: Any) -> None:
    served = ServedModel(chat_model, tensor_elements_max=1000)
    with pytest.raises(InvalidField, match="no vectors"):
        served.embedder()
