"""What the language models share in training: learning byte pairs, and search by shared words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gateway.engine.tokenizer import read_tokenizer

FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models"

Modules = Callable[[str], ModuleType]


def test_the_most_frequent_pair_is_learnt_first(training_module: Modules, tmp_path: Path) -> None:
    byte_pairs = training_module("byte_pairs")
    learnt = byte_pairs.learn(["low lower lowest", "low newest"] * 5, 10)
    pieces = [learnt.token_bytes(byte_pairs.BASE + at) for at in range(len(learnt.merges))]
    assert len(pieces) == 10
    assert b" lowest" in pieces
    assert len(learnt.encode("low lowest")) < 4
    byte_pairs.write(learnt, tmp_path)
    assert read_tokenizer(tmp_path).merges == learnt.merges


def test_rare_pairs_are_not_learnt(training_module: Modules) -> None:
    byte_pairs = training_module("byte_pairs")
    assert byte_pairs.learn(["ab"], 10).merges == ()
    assert byte_pairs.learn([], 10).merges == ()


def test_the_rarer_shared_word_decides(training_module: Modules) -> None:
    scores = training_module("shared_words").scores(
        ["the pump", "unheard"], ["the pump leaks", "the fan runs", "the fan", "the the door"]
    )
    assert scores.shape == (2, 4)
    assert scores[0].argmax() == 0
    assert scores[0, 0] > 2 * scores[0, 1] > 0
    assert not scores[1].any()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("industry-chat", ("past_key", ["batch", 4, "past", 32])),
        ("code-assist", ("past_key", ["batch", 3, "past", 32])),
        ("text-embed", ("length", ["batch"])),
    ],
)
def test_a_vocabulary_is_that_of_its_graph(name: str, shape: tuple[str, list[object]]) -> None:
    import onnxruntime

    tokenizer = read_tokenizer(FOLDER / name)
    session = onnxruntime.InferenceSession(FOLDER / name / "1" / "model.onnx")
    inputs = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    assert inputs["input_ids"] == ["batch", "new"]
    assert inputs[shape[0]] == shape[1]
    outputs = {tensor.name: tensor.shape for tensor in session.get_outputs()}
    if "logits" in outputs:
        assert outputs["logits"] == ["batch", tokenizer.vocabulary]
    text = "At the river crossing the clamp is loose: 12 °C."
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert np.unique(tokenizer.encode(text)).max() < tokenizer.vocabulary
