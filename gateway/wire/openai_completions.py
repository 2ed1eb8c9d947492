"""``POST /v1/completions``: the request."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import (
    CHOICES_MAX,
    TextBody,
    TextRequest,
    read,
    refuse_unless_neutral,
)

LOGPROBS_MAX = 5
TOKENS_MAX_UNTOLD = 16
"""As OpenAI has it."""

_Token = Annotated[int, Meta(ge=0, lt=2**31)]
_Prompt = str | list[str | _Token | list[_Token]]


class _CompletionBody(TextBody, kw_only=True, forbid_unknown_fields=True):
    prompt: _Prompt
    logprobs: Annotated[int, Meta(ge=0, le=LOGPROBS_MAX)] | None = None
    best_of: int | None = None
    echo: Any = None
    suffix: Any = None


_DECODER = msgspec.json.Decoder(_CompletionBody)


def read_completion(body: bytes) -> TextRequest:
    """What is asked. Raises InvalidField, InvalidRequest."""
    told = read(body, _DECODER)
    refuse_unless_neutral(told, ("echo", "suffix"))
    asked = told.asked()
    if told.best_of not in (None, 1):
        raise InvalidField("best_of is not supported; leave it out", "best_of")
    asked.prompts = prompts_of(told.prompt, "prompt")
    if len(asked.prompts) * asked.choices > CHOICES_MAX:
        raise InvalidField(
            f"{len(asked.prompts)} prompts with n = {asked.choices}; at most {CHOICES_MAX} "
            "texts are written for one request",
            "prompt",
        )
    asked.top_logprobs = told.logprobs
    if asked.tokens_max is None:
        asked.tokens_max = TOKENS_MAX_UNTOLD
    return asked


def prompts_of(given: _Prompt, param: str) -> list[str | list[int]]:
    """A text, tokens, or many of either, as a list. Raises InvalidField naming ``param``."""
    if isinstance(given, str):
        return [given]
    if not given:
        raise InvalidField(f"{param} is empty", param)
    if all(isinstance(one, int) for one in given):
        return [[one for one in given if isinstance(one, int)]]
    several: list[str | list[int]] = [one for one in given if not isinstance(one, int)]
    kinds = {type(one) for one in given}
    if len(kinds) > 1:
        raise InvalidField(f"{param} mixes texts and tokens; send one kind", param)
    if any(one == [] for one in several):
        raise InvalidField(f"{param} has an empty list of tokens", param)
    return several
