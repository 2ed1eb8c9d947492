"""What a body asks of a model, as tokens: the sequences to be continued."""

from __future__ import annotations

from gateway.api import InvalidRequest
from gateway.engine import LoadedModel
from gateway.engine.generation import CAUSAL, Language, Sampling, Wish
from gateway.wire.openai_chat import read_chat
from gateway.wire.openai_completions import read_completion
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import TextRequest

CHAT = "chat/completions"
COMPLETIONS = "completions"


def causal_language(model: LoadedModel, route: str) -> Language:
    """How the model continues text. Raises InvalidField when it does not."""
    language = model.language
    if language is None or language.kind != CAUSAL:
        raise InvalidField(
            f"model {model.name!r} continues no text, so /v1/{route} cannot be asked for it; "
            "GET /v1/models lists those that read text",
            "model",
        )
    return language


def read_text(body: bytes, route: str) -> TextRequest:
    """What is asked. Raises InvalidRequest."""
    return read_chat(body) if route == CHAT else read_completion(body)


def wishes_of(asked: TextRequest, language: Language, context: int) -> list[Wish]:
    """One a text that is to be written. ``context``: tokens of prompt and answer together.

    Raises InvalidField when a prompt leaves no room for an answer, or is no tokens of the model.
    """
    field = "messages" if asked.messages else "prompt"
    prompts = _prompts(asked, language, context, field)
    wishes = []
    for prompt in prompts:
        left = context - len(prompt)
        if left < 1:
            raise _too_long(f"{len(prompt)} tokens", context, field)
        for number in range(asked.choices):
            seed = None if asked.seed is None else (asked.seed + number) % 2**63
            wishes.append(
                Wish(
                    prompt,
                    min(asked.tokens_max or left, left),
                    asked.stops,
                    Sampling(asked.temperature, asked.top_p, seed),
                    asked.top_logprobs,
                )
            )
    return wishes


def _prompts(asked: TextRequest, language: Language, context: int, field: str) -> list[list[int]]:
    tokenizer = language.tokenizer
    chars = sum(len(text) for _, text in asked.messages)
    chars += sum(len(prompt) for prompt in asked.prompts if isinstance(prompt, str))
    chars_max = context * tokenizer.token_bytes_max * max(1, len(asked.prompts))
    if chars > chars_max:  # before it is worked through
        raise _too_long(f"{chars} characters", context, field)
    if asked.messages:
        return [tokenizer.chat(asked.messages)]
    return [
        tokenizer.completion(prompt)
        if isinstance(prompt, str)
        else checked(prompt, language, field)
        for prompt in asked.prompts
    ]


def checked(tokens: list[int], language: Language, field: str) -> list[int]:
    """Tokens a client sent. Raises InvalidField when one is unknown to the model."""
    vocabulary = language.tokenizer.vocabulary
    if max(tokens) >= vocabulary:
        raise InvalidField(
            f"{field} has the token {max(tokens)}; those of this model are below {vocabulary}",
            field,
        )
    return tokens


def _too_long(found: str, context: int, field: str) -> InvalidRequest:
    return InvalidField(
        f"{field} has {found}; prompt and answer together have at most {context} tokens here "
        "(context_tokens in the model's config.toml)",
        field,
        "context_length_exceeded",
    )
