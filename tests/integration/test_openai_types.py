"""Every answer of OpenAI's routes against the types of OpenAI's own library, and no field beside.

Strict: a number that came as text, an unknown enum or a field the type does not declare fails.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, get_args

import pytest

openai = pytest.importorskip("openai")
pydantic = pytest.importorskip("pydantic")

from openai.types import (  # noqa: E402 - not there without the library
    Completion,
    CreateEmbeddingResponse,
    Embedding,
    ErrorObject,
    Model,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk  # noqa: E402

CHAT = "industry-chat"
MESSAGES = [{"role": "user", "content": "What is a tuyere?"}]
ASKED: dict[str, dict[str, Any]] = {
    "plain": {"temperature": 0},
    "drawn": {"temperature": 1.5, "top_p": 0.9, "seed": 3, "n": 2},
    "short": {"max_tokens": 2},
    "stopped": {"temperature": 0, "stop": [" nozzle"]},
}
LIKELY: dict[str, dict[str, Any]] = {
    "chat/completions": {"logprobs": True, "top_logprobs": 3},
    "completions": {"logprobs": 3},
}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}


def ask(url: str, route: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Status and body, by a client that knows no types."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{url}/v1/{route}", sent, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def undeclared(told: Any, path: str = "") -> Iterator[str]:
    """Fields that a model took but does not declare, all the way down."""
    if isinstance(told, pydantic.BaseModel):
        yield from (f"{path}.{name}" for name in told.model_extra or ())
        for name in type(told).model_fields:
            yield from undeclared(getattr(told, name), f"{path}.{name}")
    elif isinstance(told, list | tuple):
        for at, one in enumerate(told):
            yield from undeclared(one, f"{path}[{at}]")


def check(model: Any, told: bytes) -> Any:
    read = model.model_validate_json(told, strict=True)
    assert not list(undeclared(read))
    return read


def events(told: bytes) -> list[bytes]:
    *lines, rest = told.split(b"\n\n")
    assert rest == b""
    assert all(line.startswith(b"data: ") for line in lines)
    assert lines[-1] == b"data: [DONE]"
    return [line.removeprefix(b"data: ") for line in lines[:-1]]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("likely", [False, True])
@pytest.mark.parametrize("route", ["chat/completions", "completions"])
def test_texts(served: Any, route: str, asked: str, likely: bool) -> None:
    body: dict[str, Any] = {"model": CHAT, **ASKED[asked], **(LIKELY[route] if likely else {})}
    chat = route == "chat/completions"
    body |= {"messages": MESSAGES} if chat else {"prompt": "What is", "max_tokens": 8}
    status, told = ask(served.url, route, body)
    assert status == 200, told
    whole = check(ChatCompletion if chat else Completion, told)
    assert whole.object == ("chat.completion" if chat else "text_completion")
    assert len(whole.choices) == body.get("n", 1)
    status, told = ask(served.url, route, body | USAGE)
    assert status == 200, told
    if chat:
        chunks = [check(ChatCompletionChunk, event) for event in events(told)]
        assert chunks[-1].choices == []
        parts = chunks[:-1]
    else:
        # The library declares one type for both, in which a choice cannot be unfinished.
        parts = [json.loads(event) for event in events(told)]
        last = parts.pop()
        assert check(Completion, json.dumps(last).encode()).usage is not None
        for part in parts:
            for choice in part["choices"]:
                choice["finish_reason"] = choice["finish_reason"] or "stop"
            check(Completion, json.dumps(part).encode())
    assert len(parts) >= 2


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("given", ["one text", ["two", "texts"], [300, 301], [[300], [301, 302]]])
def test_embeddings(served: Any, given: Any, encoding: str) -> None:
    body = {"model": "text-embed", "input": given, "encoding_format": encoding}
    status, told = ask(served.url, "embeddings", body)
    assert status == 200, told
    if encoding == "float":
        read = check(CreateEmbeddingResponse, told)
        assert all(type(number) is float for number in read.data[0].embedding)
    else:  # the library turns text into numbers before it has a type
        document = json.loads(told)
        assert all(isinstance(one["embedding"], str) for one in document["data"])
        for one in document["data"]:
            one["embedding"] = [0.0]
            check(Embedding, json.dumps(one).encode())
        check(CreateEmbeddingResponse, json.dumps(document).encode())


def test_models(served: Any) -> None:
    _, told = ask(served.url, "models")
    listed = json.loads(told)
    assert set(listed) == {"object", "data"}
    assert listed["object"] == "list"
    for one in listed["data"]:
        read = check(Model, json.dumps(one).encode())
        assert check(Model, ask(served.url, f"models/{read.id}")[1]) == read


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("chat/completions", {"model": CHAT, "messages": MESSAGES, "tools": [{}]}, 400),
        ("chat/completions", {"model": "nope", "messages": MESSAGES}, 404),
        ("completions", {"model": CHAT, "prompt": "a", "echo": True}, 400),
        ("embeddings", {"model": "text-embed", "input": []}, 400),
        ("models/nope", None, 404),
        ("nope", {"model": CHAT}, 404),
        ("chat/completions", None, 405),
    ],
)
def test_errors(served: Any, route: str, body: dict[str, Any] | None, status: int) -> None:
    found, told = ask(served.url, route, body)
    assert found == status
    document = json.loads(told)
    assert set(document) == {"error"}
    error = check(ErrorObject, json.dumps(document["error"]).encode())
    assert error.type == "invalid_request_error"


def test_the_library_knows_how_a_text_may_end() -> None:
    """The test above would pass by an ``Any``; this one says that it is none."""
    field = ChatCompletion.model_fields["choices"].annotation
    (choice,) = get_args(field)
    with pytest.raises(pydantic.ValidationError):
        choice.model_validate({"finish_reason": "tired"}, strict=True)
