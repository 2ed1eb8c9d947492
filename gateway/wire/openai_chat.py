"""``POST /v1/chat/completions``: the request."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import (
    TOP_LOGPROBS_MAX,
    TextBody,
    TextRequest,
    Tokens,
    read,
    refuse_unless_neutral,
)

MESSAGES_MAX = 1024
_UNSUPPORTED = (
    "audio",
    "function_call",
    "functions",
    "moderation",
    "prediction",
    "reasoning_effort",
    "tool_choice",
    "tools",
    "verbosity",
    "web_search_options",
)


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: None = None
    audio: None = None
    tool_calls: list[Any] | None = None
    function_call: None = None
    annotations: list[Any] | None = None


class _Format(msgspec.Struct):
    type: str


class _ChatBody(TextBody, kw_only=True, forbid_unknown_fields=True):
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=MESSAGES_MAX)]
    max_completion_tokens: Tokens | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=TOP_LOGPROBS_MAX)] | None = None
    response_format: _Format | None = None
    modalities: list[str] | None = None
    audio: Any = None
    function_call: Any = None
    functions: Any = None
    moderation: Any = None
    prediction: Any = None
    reasoning_effort: Any = None
    tool_choice: Any = None
    tools: Any = None
    verbosity: Any = None
    web_search_options: Any = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None


_DECODER = msgspec.json.Decoder(_ChatBody)


def read_chat(body: bytes) -> TextRequest:
    """What is asked. Raises InvalidField, InvalidRequest."""
    told = read(body, _DECODER)
    refuse_unless_neutral(told, _UNSUPPORTED)
    if told.response_format is not None and told.response_format.type != "text":
        raise InvalidField(
            f"response_format is {told.response_format.type!r}; this model gives text only",
            "response_format",
            "unsupported_parameter",
        )
    if told.modalities not in (None, [], ["text"]):
        raise InvalidField("modalities: this model gives text only", "modalities")
    asked = told.asked()
    if told.max_completion_tokens is not None:
        if told.max_tokens is not None:
            raise InvalidField(
                "max_tokens and max_completion_tokens are both there; send one of them",
                "max_tokens",
            )
        asked.tokens_max = told.max_completion_tokens
    if told.top_logprobs and not told.logprobs:
        raise InvalidField("top_logprobs needs logprobs: true", "top_logprobs")
    if told.logprobs:
        asked.top_logprobs = told.top_logprobs or 0
    asked.messages = [_said(at, message) for at, message in enumerate(told.messages)]
    return asked


def _said(at: int, message: _Message) -> tuple[str, str]:
    role = "system" if message.role == "developer" else message.role
    if message.tool_calls:
        raise InvalidField(
            "this model calls no tools", f"messages[{at}].tool_calls", "unsupported_parameter"
        )
    content = message.content
    if isinstance(content, str):
        return role, content
    if content is None:
        raise InvalidField("a message has content", f"messages[{at}].content")
    texts = []
    for number, part in enumerate(content):
        if part.type != "text" or part.text is None:
            raise InvalidField(
                f"a part of type {part.type!r}; this model reads text only",
                f"messages[{at}].content[{number}]",
                "unsupported_parameter",
            )
        texts.append(part.text)
    return role, "".join(texts)
