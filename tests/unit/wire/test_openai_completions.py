from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.openai_completions import TOKENS_MAX_UNTOLD, read_completion
from gateway.wire.openai_errors import InvalidField


def asked(prompt: Any, **more: Any) -> Any:
    return read_completion(json.dumps({"model": "m", "prompt": prompt, **more}).encode())


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        ("", [""]),
    ],
)
def test_prompts_as_text_or_tokens(prompt: Any, prompts: list[Any]) -> None:
    assert asked(prompt).prompts == prompts


def test_defaults_and_likelihoods() -> None:
    assert asked("a").tokens_max == TOKENS_MAX_UNTOLD
    assert asked("a").top_logprobs is None
    assert asked("a", logprobs=0).top_logprobs == 0
    assert asked("a", logprobs=3, max_tokens=4).tokens_max == 4


@pytest.mark.parametrize(
    ("prompt", "more", "param"),
    [
        ([], {}, "prompt"),
        ([[]], {}, "prompt"),
        (["a", 1], {}, "prompt"),
        (["a", [1]], {}, "prompt"),
        ([-1], {}, "prompt[0]"),
        (7, {}, "prompt"),
        (["a"] * 9, {"n": 2}, "prompt"),
        ("a", {"best_of": 2}, "best_of"),
        ("a", {"echo": True}, "echo"),
        ("a", {"suffix": "b"}, "suffix"),
        ("a", {"logprobs": 6}, "logprobs"),
        ("a", {"messages": []}, "messages"),
    ],
)
def test_what_is_wrong_is_named(prompt: Any, more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        asked(prompt, **more)
    assert caught.value.param == param
