"""Known answers: what is right, what is somebody else's, what is no answer at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gateway_models import repository

from gateway.api import ConfigError
from gateway.measure.chaos import answers
from gateway.measure.chaos.answers import VARIANTS, Checker, KnownAnswers, known_answers
from gateway.measure.samples import WRONG

MODEL = "blast-furnace"


@pytest.fixture(scope="module")
def known() -> KnownAnswers:
    return known_answers(repository(), MODEL)


def answer(known: KnownAnswers, variant: int, **change: object) -> bytes:
    outputs = [
        {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        for name, array in zip(known.outputs, known.variants[variant].answer, strict=True)
    ]
    head = {"model_name": MODEL, "outputs": outputs, **change}
    return json.dumps(head).encode() + known.variants[variant].answer_bytes


def without_first_number(known: KnownAnswers) -> bytes:
    body = answer(known, 0)
    at = len(body) - len(known.variants[0].answer_bytes)
    return body[:at] + b"\0\0\0\0" + body[at + 4 :]


def test_every_variant_is_another_request_of_the_same_length(known: KnownAnswers) -> None:
    assert len(set(known.bodies)) == VARIANTS
    assert len({len(body) for body in known.bodies}) == 1
    assert known.headers["Content-Type"] == "application/octet-stream"


def test_the_right_answer_is_right(known: KnownAnswers) -> None:
    check = Checker(known)
    for variant in range(VARIANTS):
        assert check(variant, 200, answer(known, variant)) == 200
    assert not check.words


def test_rounding_is_no_mistake(known: KnownAnswers) -> None:
    body = answer(known, 0)
    size = len(known.variants[0].answer_bytes)
    numbers = np.frombuffer(body[-size:], np.float32) * np.float32(1 + 1e-6)
    assert Checker(known)(0, 200, body[:-size] + numbers.tobytes()) == 200


@pytest.mark.parametrize(
    "spoil",
    [
        lambda known: answer(known, 1),
        without_first_number,
        lambda known: answer(known, 0)[:-1],
        lambda known: answer(known, 0) + b"\0",
        lambda known: answer(known, 0, outputs=[]),
        lambda known: b"x" + answer(known, 0),
        lambda _known: b"",
        lambda _known: b'{"outputs": []}',
    ],
    ids=["another's", "number", "short", "long", "no outputs", "head", "empty", "json"],
)
def test_anything_else_is_wrong(known: KnownAnswers, spoil: object) -> None:
    check = Checker(known)
    assert check(0, 200, spoil(known)) == WRONG  # type: ignore[operator]
    assert sum(check.words.values()) == 1


def test_errors_keep_their_status_and_their_words(known: KnownAnswers) -> None:
    check = Checker(known)
    assert [check(0, s, b'{"error":"no"}') for s in (503, 503, 0, -1)] == [503, 503, 0, -1]
    assert check.words == {'503 {"error":"no"}': 2}


def test_a_model_without_an_example(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(ConfigError, match=r"no example\.json"):
        known_answers(tmp_path, "m")


def test_a_model_without_a_file(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "example.json").write_text('{"inputs":[]}')
    with pytest.raises(ConfigError, match=r"no version with a model\.onnx"):
        known_answers(tmp_path, "m")


def test_a_model_that_answers_all_the_same_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SPREAD", 0.0)
    with pytest.raises(ConfigError, match="the same answer"):
        known_answers(repository(), "rail-inspection")
