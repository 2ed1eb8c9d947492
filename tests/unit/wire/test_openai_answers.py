from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.openai_answers import AnswerWriter, ChoiceTold, TokenTold

LIKELY = [TokenTold(b"a", -0.5, ((b"a", -0.5), (b"b", -1.0))), TokenTold("é".encode()[:1], -2.0)]


def event(raw: bytes) -> Any:
    assert raw.startswith(b"data: {")
    assert raw.endswith(b"}\n\n")
    assert raw.count(b"\n") == 2
    return json.loads(raw[6:])


@pytest.mark.parametrize("chat", [True, False])
def test_events(chat: bool) -> None:
    writer = AnswerWriter('i"d', 5, 'm"x', chat=chat)
    piece = event(writer.piece(1, 'a"\n', None))
    assert piece["id"] == ("chatcmpl-" if chat else "cmpl-") + 'i"d'
    assert (piece["created"], piece["model"]) == (5, 'm"x')
    assert "usage" not in piece
    choice = piece["choices"][0]
    assert choice["index"] == 1
    assert choice["finish_reason"] is None
    assert (choice["delta"]["content"] if chat else choice["text"]) == 'a"\n'
    end = event(writer.end(1, "length"))["choices"][0]
    assert end["finish_reason"] == "length"
    assert bool(writer.begin(0)) == chat


def test_usage_is_null_until_it_is_told() -> None:
    writer = AnswerWriter("i", 5, "m", chat=True, streams_usage=True)
    assert event(writer.begin(0))["usage"] is None
    assert event(writer.begin(0))["choices"][0]["delta"]["role"] == "assistant"
    last = event(writer.usage(3, 4))
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_a_whole_chat() -> None:
    told = json.loads(
        AnswerWriter("i", 5, "m", chat=True).whole(
            [ChoiceTold("x", "stop", LIKELY), ChoiceTold("y", "length")], 2, 3
        )
    )
    first, second = told["choices"]
    assert first["message"] == {"role": "assistant", "content": "x", "refusal": None}
    content = first["logprobs"]["content"]
    assert content[0]["top_logprobs"][1] == {"token": "b", "logprob": -1.0, "bytes": [98]}
    assert content[1]["bytes"] == [0xC3]
    assert (second["index"], second["logprobs"], second["finish_reason"]) == (1, None, "length")


def test_likelihoods_of_a_completion_know_where_they_stand() -> None:
    writer = AnswerWriter("i", 5, "m", chat=False)
    told = event(writer.piece(0, "aé", LIKELY, start=4))["choices"][0]["logprobs"]
    assert told["text_offset"] == [4, 5]
    assert told["tokens"][0] == "a"
    assert told["token_logprobs"] == [-0.5, -2.0]
    assert told["top_logprobs"][0] == {"a": -0.5, "b": -1.0}
