"""The generate extension against a real gateway with the shipped language models."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

MODEL = "industry-chat"


def ask(url: str, route: str, body: Any, model: str = MODEL) -> tuple[int, str, bytes]:
    request = urllib.request.Request(
        f"{url}/v2/models/{model}/{route}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read()


def test_a_stream_says_the_same_as_the_whole_and_as_completions(served: Any) -> None:
    body = {"text_input": "A tuyere is", "parameters": {"max_tokens": 8, "temperature": 0}}
    status, kind, told = ask(served.url, "generate", body)
    assert (status, kind) == (200, "application/json")
    whole = json.loads(told)
    assert whole["model_name"] == MODEL
    status, kind, told = ask(served.url, "generate_stream", body)
    assert (status, kind.partition(";")[0]) == (200, "text/event-stream")
    events = [json.loads(event.removeprefix(b"data: ")) for event in told.split(b"\n\n") if event]
    assert len(events) > 1
    assert "".join(event["text_output"] for event in events) == whole["text_output"]
    completion = {"model": MODEL, "prompt": "A tuyere is", "max_tokens": 8, "temperature": 0}
    request = urllib.request.Request(
        f"{served.url}/v1/completions",
        json.dumps(completion).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["choices"][0]["text"] == whole["text_output"]


@pytest.mark.parametrize("route", ["generate", "generate_stream"])
@pytest.mark.parametrize(
    ("body", "model", "status", "words"),
    [
        ({"text_input": "a", "parameters": {"top_k": 1}}, MODEL, 400, "parameters.top_k"),
        ({"text_input": "word " * 5000}, MODEL, 400, "tokens"),
        ({"text_input": "a"}, "blast-furnace", 400, "continues no text"),
        ({"text_input": "a"}, "nope", 404, "nope"),
    ],
)
def test_errors_are_json_with_their_status(
    served: Any, route: str, body: Any, model: str, status: int, words: str
) -> None:
    found, kind, told = ask(served.url, route, body, model)
    assert (found, kind) == (status, "application/json"), told
    assert words in json.loads(told)["error"]
