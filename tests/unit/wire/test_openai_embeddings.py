from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from gateway.wire.openai_embeddings import embeddings_answer, read_embeddings
from gateway.wire.openai_errors import InvalidField

VECTORS = np.array([[0.6, 0.8, 0.0], [0.0, 0.6, 0.8]], np.float32)


def asked(given: Any, **more: Any) -> Any:
    return read_embeddings(json.dumps({"model": "m", "input": given, **more}).encode())


def answered(**more: Any) -> dict[str, Any]:
    told = json.loads(embeddings_answer("m", VECTORS, 7, asked(["a", "b"], **more)))
    assert isinstance(told, dict)
    return told


def test_numbers() -> None:
    told = answered()
    assert told["object"] == "list"
    assert told["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert [one["index"] for one in told["data"]] == [0, 1]
    assert told["data"][1]["embedding"] == pytest.approx([0.0, 0.6, 0.8])


def test_base64_is_little_endian_float32() -> None:
    raw = base64.b64decode(answered(encoding_format="base64")["data"][0]["embedding"])
    assert np.frombuffer(raw, "<f4").tolist() == pytest.approx([0.6, 0.8, 0.0])


def test_fewer_dimensions_are_of_length_one_again() -> None:
    first, second = answered(dimensions=2)["data"]
    assert first["embedding"] == pytest.approx([0.6, 0.8])
    assert second["embedding"] == pytest.approx([0.0, 1.0])
    with pytest.raises(InvalidField, match="gives 3"):
        answered(dimensions=4)


@pytest.mark.parametrize(
    ("given", "more", "param"),
    [
        ("", {}, "input"),
        ([], {}, "input"),
        (["a", ""], {}, "input"),
        (["a"] * 2049, {}, "input"),
        ("a", {"encoding_format": "hex"}, "encoding_format"),
        ("a", {"dimensions": 0}, "dimensions"),
        ("a", {"stream": True}, "stream"),
    ],
)
def test_what_is_wrong_is_named(given: Any, more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        asked(given, **more)
    assert caught.value.param == param
