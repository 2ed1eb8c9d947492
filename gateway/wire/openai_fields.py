"""Reading a body of OpenAI's API strictly: a wrong or unknown field is refused by its name.

Fields that ask for nothing (a penalty of 0, an empty ``tools``) are taken, because clients send
them; where they ask for something that no model here does, the request is refused rather than
answered as if they were not there. Fields that only label a request are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from gateway.api import InvalidRequest
from gateway.wire.openai_errors import InvalidField

CHOICES_MAX: Final = 16
STOPS_MAX: Final = 4
STOP_CHARS_MAX: Final = 256
TOP_LOGPROBS_MAX: Final = 20

T = TypeVar("T")
Tokens = Annotated[int, Meta(ge=1, le=1_048_576)]
Temperature = Annotated[float, Meta(ge=0.0, le=2.0)]
TopP = Annotated[float, Meta(gt=0.0, le=1.0)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Choices = Annotated[int, Meta(ge=1, le=CHOICES_MAX)]
Stop = Annotated[str, Meta(min_length=1, max_length=STOP_CHARS_MAX)]
Stops = Stop | Annotated[list[Stop], Meta(max_length=STOPS_MAX)]

_UNKNOWN = re.compile(r"contains unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_NEUTRAL: Final[tuple[object, ...]] = (None, 0, False, "", "auto", "default", "none")


class Route(msgspec.Struct):
    """All that a door needs of a body: whom it is for, and whether it is answered in parts.

    The rest is for policies: ``prompt_cache_key`` says what belongs together, and what is to be
    read first stands in ``messages`` or ``prompt``, kept as it was written.
    """

    model: str
    stream: bool | None = None
    prompt_cache_key: str | None = None
    messages: msgspec.Raw = msgspec.Raw()
    prompt: msgspec.Raw = msgspec.Raw()

    def begin(self, bytes_max: int) -> bytes:
        """The first bytes of what is to be read, as JSON; empty where there is nothing."""
        return memoryview(self.messages or self.prompt)[:bytes_max].tobytes()


@dataclass(slots=True)
class TextRequest:
    """What is asked of a model that continues text; chat and completions alike.

    One of ``messages`` (role, text) and ``prompts`` (a text, or tokens) is there. ``tokens_max``
    None: as many as the context leaves. ``top_logprobs`` None: no likelihoods.
    """

    messages: list[tuple[str, str]] = field(default_factory=list)
    prompts: list[str | list[int]] = field(default_factory=list)
    choices: int = 1
    tokens_max: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stops: tuple[str, ...] = ()
    top_logprobs: int | None = None
    stream: bool = False
    include_usage: bool = False


class StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    """``include_obfuscation`` is taken and passed over: chunks bear no padding."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the bodies of all routes have in common; labels are passed over."""

    model: str
    user: str | None = None


class TextBody(Body, kw_only=True, forbid_unknown_fields=True):
    """What chat and completions have in common."""

    max_tokens: Tokens | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    seed: Seed | None = None
    n: Choices | None = None
    stop: Stops | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    frequency_penalty: Any = None
    presence_penalty: Any = None
    logit_bias: Any = None

    def asked(self) -> TextRequest:
        """The common part. Raises InvalidField."""
        refuse_unless_neutral(self, ("frequency_penalty", "presence_penalty", "logit_bias"))
        stream = bool(self.stream)
        if self.stream_options is not None and not stream:
            raise InvalidField(
                "stream_options is for streams only; set stream to true or leave it out",
                "stream_options",
            )
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return TextRequest(
            choices=self.n or 1,
            tokens_max=self.max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            seed=self.seed,
            stops=stops,
            stream=stream,
            include_usage=bool(self.stream_options and self.stream_options.include_usage),
        )


def refuse_unless_neutral(body: msgspec.Struct, names: tuple[str, ...]) -> None:
    """Raises InvalidField for the first of the fields that asks for something."""
    for name in names:
        given = getattr(body, name)
        if given not in _NEUTRAL and given not in ([], {}):
            raise InvalidField(
                f"{name} is not supported by this model; leave it out",
                name,
                "unsupported_parameter",
            )


def read_route(body: bytes) -> Route:
    """Model and stream of any body. Raises InvalidRequest; all else is left to the center."""
    return read(body, _ROUTE)


def read(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """The body. Raises InvalidField naming the field, or InvalidRequest for no JSON."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is no JSON: {error}") from None


def _named(message: str) -> InvalidRequest:
    path = _PATH.search(message)
    at = path.group(1) if path else ""
    unknown, missing = _UNKNOWN.search(message), _MISSING.search(message)
    if unknown:
        param = f"{at}.{unknown.group(1)}".lstrip(".")
        return InvalidField(
            f"{param} is not supported by this model; leave it out", param, "unsupported_parameter"
        )
    if missing:
        param = f"{at}.{missing.group(1)}".lstrip(".")
        return InvalidField(f"{param} is missing", param, "missing_required_parameter")
    said = message[: path.start()] if path else message
    return InvalidField(f"{at or 'the body'}: {said}", at) if at else InvalidRequest(said)


_ROUTE = msgspec.json.Decoder(Route)
