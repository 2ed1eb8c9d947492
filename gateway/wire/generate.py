"""The generate extension of the protocol: its requests as OpenAI's completions, and back.

    {"text_input": "...", "parameters": {"max_tokens": 20, "temperature": 0}}
    {"model_name": "...", "text_output": "..."}

Centers that write text read completions, so a request is put into that form once, at the door, and
an answer, whole or in events, is put back. Source: the protocol's specification for generating.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.api import CenterFailed, Refused
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import Seed, Stops, Temperature, Tokens, TopP, read

TOKENS_MAX_UNTOLD: Final = 20
"""As the specification has it."""
EVENT_BYTES_MAX: Final = 1024 * 1024
EVENT_END: Final = b"\n\n"
DATA: Final = b"data:"
DONE: Final = b"[DONE]"


class _Parameters(msgspec.Struct, forbid_unknown_fields=True):
    max_tokens: Tokens = TOKENS_MAX_UNTOLD
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    stop: Stops | None = None
    stream: bool | None = None
    details: bool | None = None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    text_input: str
    id: str | None = None
    parameters: _Parameters | None = None


class _Completion(msgspec.Struct, omit_defaults=True):
    model: str
    prompt: str
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: Stops | None = None
    stream: bool = False


class _Choice(msgspec.Struct):
    text: str = ""


class _Error(msgspec.Struct):
    message: str = ""


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    error: _Error | None = None


class _Generated(msgspec.Struct, omit_defaults=True):
    text_output: str
    model_name: str
    model_version: str = ""
    id: str | None = None


class _Broken(msgspec.Struct):
    error: str


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def as_completion(body: bytes, model: str, *, stream: bool) -> tuple[bytes, str | None]:
    """The body of a completion that asks the same, and the request's id.

    Raises InvalidField naming the field, InvalidRequest.
    """
    asked = read(body, _REQUEST)
    told = asked.parameters or _Parameters()
    if told.details:
        raise InvalidField(
            "parameters.details is not offered: finish reasons and likelihoods are told by "
            "/v1/completions; leave it out",
            "parameters.details",
        )
    if told.stream not in (None, stream):
        other = "generate" if stream else "generate_stream"
        raise InvalidField(
            f"parameters.stream contradicts the route; POST .../{other}", "parameters.stream"
        )
    completion = _Completion(
        model,
        asked.text_input,
        told.max_tokens,
        told.temperature,
        told.top_p,
        told.seed,
        told.stop,
        stream,
    )
    return msgspec.json.encode(completion), asked.id


def error_event(message: str) -> bytes:
    """The last event of a stream that broke off."""
    return b"data: " + msgspec.json.encode(_Broken(message)) + EVENT_END


class Generated:
    """What of an answer does not change: whose it is."""

    def __init__(self, model: str, version: str, asked_id: str | None) -> None:
        self._model = model
        self._version = version
        self._id = asked_id
        self._rest = b""

    def whole(self, payload: bytes, status: int) -> bytes:
        """A completion as the extension tells it. Raises CenterFailed; Refused where it is none."""
        told = _read(payload)
        if status != 200:
            message = "" if told.error is None else told.error.message
            raise Refused(message or "the center refused the request", status)
        if not told.choices:
            raise CenterFailed("the center's answer has no text")
        return self._text(told.choices[0].text)

    def events(self, payload: bytes) -> bytes:
        """A stream's next bytes, wherever they were cut. Raises CenterFailed."""
        plain = payload.replace(b"\r", b"")  # only ends of lines have it: JSON writes it as \\r
        *events, self._rest = (self._rest + plain).split(EVENT_END)
        if len(self._rest) > EVENT_BYTES_MAX:
            raise CenterFailed(f"an event of the center has more than {EVENT_BYTES_MAX} bytes")
        return b"".join(map(self._event, events))

    def _event(self, event: bytes) -> bytes:
        data = event.removeprefix(DATA).strip()
        if not event.startswith(DATA) or data == DONE:
            return b""
        told = _read(data)
        if told.error is not None:
            return error_event(told.error.message)
        text = told.choices[0].text if told.choices else ""
        return b"data: " + self._text(text) + EVENT_END if text else b""

    def _text(self, text: str) -> bytes:
        return msgspec.json.encode(_Generated(text, self._model, self._version, self._id))


def _read(payload: bytes) -> _Answer:
    try:
        return _ANSWER.decode(payload)
    except _UNREADABLE as error:
        raise CenterFailed(f"the center's answer is no completion: {error}") from None
