from __future__ import annotations

import json
from typing import Any

from gateway.centers.language.answer import GrowingAnswer
from gateway.engine.generation import Likelihood, Piece, Sequence, Wish
from gateway.engine.tokenizer import SPECIAL, Tokenizer
from gateway.wire.openai_answers import AnswerWriter
from gateway.wire.openai_fields import TextRequest

TOKENIZER = Tokenizer(SPECIAL, [])


def sequence(index: int) -> Sequence:
    return Sequence(Wish([1], 9), TOKENIZER, lambda _: None, index)


def growing(asked: TextRequest, texts: int = 1) -> GrowingAnswer:
    writer = AnswerWriter("i", 1, "m", chat=True, streams_usage=asked.include_usage)
    return GrowingAnswer(writer, asked, texts, 5)


def events(raw: bytes) -> list[Any]:
    parts = [part.removeprefix(b"data: ") for part in raw.split(b"\n\n") if part]
    return [part if part == b"[DONE]" else json.loads(part) for part in parts]


def test_a_stream_of_two_texts() -> None:
    answer = growing(TextRequest(stream=True, include_usage=True), 2)
    first, second = sequence(0), sequence(1)
    told = events(answer.take(Piece(first, "a")))
    assert told[0]["choices"][0]["delta"]["role"] == "assistant"
    assert told[1]["choices"][0]["delta"] == {"content": "a"}
    assert events(answer.take(Piece(first, ""))) == []
    assert len(events(answer.take(Piece(first, "b", finish="length")))) == 2
    assert answer.open == 1
    told = events(answer.take(Piece(second, "", 0, finish="stop")))
    assert told[-1] == b"[DONE]"
    assert told[-2]["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    assert told[-3]["choices"][0] == {
        "index": 1,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert answer.open == 0


def test_a_whole_answer_comes_with_the_last_piece() -> None:
    answer = growing(TextRequest(top_logprobs=0), 2)
    assert answer.take(Piece(sequence(1), "x", likelihood=Likelihood(b"x", -1.0))) == b""
    assert answer.take(Piece(sequence(0), "a", finish="stop")) == b""
    told = json.loads(answer.take(Piece(sequence(1), "y", finish="length")))
    assert [choice["message"]["content"] for choice in told["choices"]] == ["a", "xy"]
    assert [choice["finish_reason"] for choice in told["choices"]] == ["stop", "length"]
    assert told["choices"][1]["logprobs"]["content"][0]["logprob"] == -1.0
    assert told["usage"]["completion_tokens"] == 3
