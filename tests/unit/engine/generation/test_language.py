from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.api import ConfigError, TensorSpec
from gateway.engine.generation import CAUSAL, EMBEDDER, language_of
from gateway.engine.tokenizer import FORMAT, SPECIAL

PAST = (-1, 4, -1, 32)


def specs(*names: str, past: tuple[int, ...] = PAST) -> list[TensorSpec]:
    return [TensorSpec(n, "FP32", past if n.startswith("past_") else (-1, -1)) for n in names]


CAUSAL_INPUTS = ("input_ids", "length", "before", "past_length", "past_key", "past_value")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told = {"format": FORMAT, "special": SPECIAL, "merges": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    return tmp_path


def test_a_model_without_a_tokenizer_reads_no_text(tmp_path: Path) -> None:
    assert language_of(tmp_path, specs("input_ids", "length"), specs("embedding")) is None


def test_the_two_kinds(folder: Path) -> None:
    causal = language_of(folder, specs(*CAUSAL_INPUTS), specs("logits", "new_key", "new_value"))
    assert causal is not None
    assert (causal.kind, causal.layers, causal.head) == (CAUSAL, 4, 32)
    embedder = language_of(folder, specs("input_ids", "length"), specs("embedding"))
    assert embedder is not None
    assert embedder.kind == EMBEDDER


@pytest.mark.parametrize(
    ("inputs", "outputs", "past"),
    [
        (("pixels",), ("label",), PAST),
        (("input_ids", "length"), ("label",), PAST),
        (CAUSAL_INPUTS, ("logits",), PAST),
        (CAUSAL_INPUTS, ("logits", "new_key", "new_value"), (-1, -1, -1, 32)),
    ],
)
def test_others_with_a_tokenizer_are_refused(
    folder: Path, inputs: tuple[str, ...], outputs: tuple[str, ...], past: tuple[int, ...]
) -> None:
    with pytest.raises(ConfigError, match="expected"):
        language_of(folder, specs(*inputs, past=past), specs(*outputs))


def test_a_broken_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError, match="tokenizer"):
        language_of(folder, specs("input_ids", "length"), specs("embedding"))
