from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.openai_chat import read_chat
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import TextRequest

SAID = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def asked(**more: Any) -> TextRequest:
    return read_chat(json.dumps({**SAID, **more}).encode())


def test_what_is_not_said_has_openai_s_default() -> None:
    assert asked() == TextRequest(messages=[("user", "hi")])


def test_everything_that_is_offered() -> None:
    told = asked(
        max_completion_tokens=9,
        temperature=0,
        top_p=0.5,
        seed=-3,
        n=2,
        stop=["a", "b"],
        stream=True,
        stream_options={"include_usage": True},
        logprobs=True,
        top_logprobs=4,
    )
    assert told == TextRequest([("user", "hi")], [], 2, 9, 0.0, 0.5, -3, ("a", "b"), 4, True, True)
    assert asked(max_tokens=3).tokens_max == 3
    assert asked(stop="x").stops == ("x",)
    assert asked(logprobs=True).top_logprobs == 0


def test_messages_in_parts_and_from_developers() -> None:
    told = asked(
        messages=[
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "name": "ann",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            {"role": "assistant", "content": "c", "refusal": None},
        ]
    )
    assert told.messages == [("system", "be brief"), ("user", "ab"), ("assistant", "c")]


@pytest.mark.parametrize(
    "neutral",
    [
        {"tools": []},
        {"tool_choice": "none"},
        {"frequency_penalty": 0.0},
        {"presence_penalty": None},
        {"logit_bias": {}},
        {"response_format": {"type": "text"}},
        {"modalities": ["text"]},
        {"user": "u", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"},
    ],
)
def test_what_asks_for_nothing_is_passed_over(neutral: dict[str, Any]) -> None:
    assert asked(**neutral) == asked()


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{}]}, "functions"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"frequency_penalty": 0.1}, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"other": 1}}, "stream_options.other"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a", "odd": 1}]}, "messages[0].odd"),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": [{}]}]},
            "messages[0].tool_calls",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0]",
        ),
    ],
)
def test_what_is_wrong_or_not_offered_is_refused_by_name(wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        asked(**wrong)
    assert caught.value.param == param
