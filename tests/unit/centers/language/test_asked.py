from __future__ import annotations

from typing import Any

import pytest

from gateway.centers.language.asked import causal_language, checked, read_text, wishes_of
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import TextRequest


def test_a_chat_is_one_prompt_for_each_choice_with_seeds_of_their_own(chat_model: Any) -> None:
    language = causal_language(chat_model, "chat/completions")
    asked = TextRequest(messages=[("user", "hi")], choices=3, seed=5, stops=("x",), top_logprobs=1)
    wishes = wishes_of(asked, language, 100)
    prompt = language.tokenizer.chat([("user", "hi")])
    assert [wish.prompt for wish in wishes] == [prompt] * 3
    assert [wish.sampling.seed for wish in wishes] == [5, 6, 7]
    assert {wish.tokens_max for wish in wishes} == {100 - len(prompt)}
    assert wishes[0].stops == ("x",)


def test_completions_take_texts_and_tokens(chat_model: Any) -> None:
    language = causal_language(chat_model, "completions")
    wishes = wishes_of(TextRequest(prompts=["ab", [7, 8]], tokens_max=500), language, 60)
    assert wishes[0].prompt == language.tokenizer.completion("ab")
    assert wishes[1].prompt == [7, 8]
    assert wishes[1].tokens_max == 58


@pytest.mark.parametrize("text", ["word " * 200, "x" * 100_000])
def test_what_does_not_fit_is_refused(chat_model: Any, text: str) -> None:
    language = causal_language(chat_model, "completions")
    with pytest.raises(InvalidField) as caught:
        wishes_of(TextRequest(prompts=[text]), language, 100)
    assert (caught.value.param, caught.value.code) == ("prompt", "context_length_exceeded")


def test_tokens_must_be_the_model_s(chat_model: Any) -> None:
    language = causal_language(chat_model, "completions")
    assert checked([0, 1023], language, "prompt") == [0, 1023]
    with pytest.raises(InvalidField, match="below 1024"):
        checked([1024], language, "prompt")


def test_a_model_of_vectors_writes_no_text(embedder: Any) -> None:
    with pytest.raises(InvalidField) as caught:
        causal_language(embedder, "completions")
    assert caught.value.param == "model"


def test_each_route_has_a_body_of_its_own() -> None:
    assert read_text(b'{"model":"m","prompt":"a"}', "completions").prompts == ["a"]
    with pytest.raises(InvalidField, match="prompt"):
        read_text(b'{"model":"m","prompt":"a"}', "chat/completions")
