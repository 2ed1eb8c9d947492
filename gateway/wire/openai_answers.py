"""Answers of the chat and completions routes, whole and as server-sent events.

    data: {"id":...,"choices":[{"index":0,"delta":{"content":"a"},...}]}

A stream's events follow one another, each with an empty line behind it, and end with
``data: [DONE]``. What is the same in all events of a stream is made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

DONE: Final = b"data: [DONE]\n\n"
EVENTS: Final = "text/event-stream; charset=utf-8"
_ENCODE = msgspec.json.Encoder().encode


@dataclass(slots=True)
class TokenTold:
    """A token's bytes, the logarithm of its share, and the likeliest ones with theirs."""

    token: bytes
    log: float
    top: Sequence[tuple[bytes, float]] = ()


@dataclass(slots=True)
class ChoiceTold:
    """One text of a whole answer. ``tokens`` None: likelihoods were not asked for."""

    text: str
    finish: str
    tokens: list[TokenTold] | None = None


class AnswerWriter:
    """One request's answer. ``created``: seconds since 1970; ``streams_usage``: the last event
    but one tells the tokens used, and those before say null.
    """

    def __init__(
        self,
        request_id: str,
        created: int,
        model: str,
        *,
        chat: bool,
        streams_usage: bool = False,
    ) -> None:
        self._chat = chat
        self._id = f"{'chatcmpl' if chat else 'cmpl'}-{request_id}"
        self._created = created
        self._model = model
        kind = "chat.completion.chunk" if chat else "text_completion"
        self._opening = b'data: {"id":%b,"object":"%b","created":%d,"model":%b,"choices":[' % (
            _ENCODE(self._id),
            kind.encode(),
            created,
            _ENCODE(model),
        )
        self._closing = b'],"usage":null}\n\n' if streams_usage else b"]}\n\n"

    # ---- as events ------------------------------------------------------------------------

    def begin(self, index: int) -> bytes:
        """A chat's text begins; completions have no such event."""
        if not self._chat:
            return b""
        choice = (
            b'{"index":%d,"delta":{"role":"assistant","content":""},'
            b'"logprobs":null,"finish_reason":null}'
        )
        return self._opening + choice % index + self._closing

    def piece(self, index: int, text: str, tokens: list[TokenTold] | None, start: int = 0) -> bytes:
        """More text. ``start``: characters before it, where likelihoods are told."""
        told = b"null" if tokens is None else _ENCODE(self._likelihoods(tokens, start))
        delta = b'"delta":{"content":%b}' if self._chat else b'"text":%b'
        choice = b'{"index":%d,' + delta + b',"logprobs":%b,"finish_reason":null}'
        return self._opening + choice % (index, _ENCODE(text), told) + self._closing

    def end(self, index: int, finish: str) -> bytes:
        """A text is complete."""
        delta = b'"delta":{}' if self._chat else b'"text":""'
        choice = b'{"index":%d,' + delta + b',"logprobs":null,"finish_reason":"%b"}'
        return self._opening + choice % (index, finish.encode()) + self._closing

    def usage(self, prompt: int, completion: int) -> bytes:
        """The event without choices."""
        return self._opening + b'],"usage":%b}\n\n' % _ENCODE(_usage(prompt, completion))

    # ---- whole ----------------------------------------------------------------------------

    def whole(self, choices: Sequence[ChoiceTold], prompt: int, completion: int) -> bytes:
        """The answer in one piece."""
        return _ENCODE(
            {
                "id": self._id,
                "object": "chat.completion" if self._chat else "text_completion",
                "created": self._created,
                "model": self._model,
                "choices": [self._choice(at, choice) for at, choice in enumerate(choices)],
                "usage": _usage(prompt, completion),
            }
        )

    def _choice(self, index: int, choice: ChoiceTold) -> dict[str, Any]:
        told = None if choice.tokens is None else self._likelihoods(choice.tokens, 0)
        said: dict[str, Any] = {"index": index, "logprobs": told, "finish_reason": choice.finish}
        if self._chat:
            said["message"] = {"role": "assistant", "content": choice.text, "refusal": None}
        else:
            said["text"] = choice.text
        return said

    # ---- likelihoods ----------------------------------------------------------------------

    def _likelihoods(self, tokens: Sequence[TokenTold], start: int) -> dict[str, Any]:
        if self._chat:
            return {
                "content": [
                    {
                        **_likely(told.token, told.log),
                        "top_logprobs": [_likely(token, log) for token, log in told.top],
                    }
                    for told in tokens
                ],
                "refusal": None,
            }
        texts = [_text(told.token) for told in tokens]
        offsets = []
        for text in texts:
            offsets.append(start)
            start += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [told.log for told in tokens],
            "top_logprobs": [{_text(token): log for token, log in told.top} for told in tokens],
            "text_offset": offsets,
        }


def _likely(token: bytes, log: float) -> dict[str, Any]:
    return {"token": _text(token), "logprob": log, "bytes": list(token)}


def _text(token: bytes) -> str:
    return token.decode("utf-8", "replace")


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
