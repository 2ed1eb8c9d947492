"""The generate extension's requests and answers, as completions and back."""

from __future__ import annotations

import json

import pytest

from gateway.api import CenterFailed, InvalidRequest, Refused
from gateway.wire.generate import EVENT_BYTES_MAX, Generated, as_completion, error_event


def asked(document: object, *, stream: bool = False) -> dict[str, object]:
    body, _ = as_completion(json.dumps(document).encode(), "m", stream=stream)
    return dict(json.loads(body))


def test_every_parameter_has_its_place_in_a_completion() -> None:
    parameters = {"max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["."]}
    told = asked({"text_input": "hi", "parameters": {**parameters, "details": False}})
    assert told == {"model": "m", "prompt": "hi", **parameters}
    assert asked({"text_input": "hi"}, stream=True) == {
        "model": "m",
        "prompt": "hi",
        "max_tokens": 20,
        "stream": True,
    }


def test_the_id_comes_back() -> None:
    assert as_completion(b'{"text_input":"","id":"a"}', "m", stream=False)[1] == "a"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "text_input"),
        ({"text_input": 3}, "text_input"),
        ({"text_input": "a", "prompt": "b"}, "prompt"),
        ({"text_input": "a", "parameters": {"top_k": 3}}, "parameters.top_k"),
        ({"text_input": "a", "parameters": {"max_tokens": 0}}, "parameters.max_tokens"),
        ({"text_input": "a", "parameters": {"details": True}}, "parameters.details"),
        ({"text_input": "a", "parameters": {"stream": True}}, "parameters.stream"),
        ({"text_input": "a", "parameters": {"stop": ["a"] * 5}}, "parameters.stop"),
        ([], "object"),
    ],
)
def test_what_is_wrong_is_named(document: object, field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        asked(document)


def test_a_whole_answer() -> None:
    generated = Generated("m", "2", "a")
    payload = b'{"id":"x","choices":[{"text":"yes","index":0}],"usage":{}}'
    assert json.loads(generated.whole(payload, 200)) == {
        "text_output": "yes",
        "model_name": "m",
        "model_version": "2",
        "id": "a",
    }


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"<html>"])
def test_what_is_no_completion_is_the_centers_failure(payload: bytes) -> None:
    with pytest.raises(CenterFailed):
        Generated("m", "", None).whole(payload, 200)


def test_a_refusal_keeps_its_status_and_its_words() -> None:
    with pytest.raises(Refused, match="too long") as caught:
        Generated("m", "", None).whole(b'{"error":{"message":"too long"}}', 413)
    assert caught.value.http_status == 413


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_events_may_be_cut_anywhere(end: bytes) -> None:
    events = [
        b'data: {"choices":[{"text":"a"}]}',
        b": a comment",
        b'data: {"choices":[{"text":"\xc3\xa4 b"}]}',
        b'data: {"choices":[{"text":"","finish_reason":"stop"}]}',
        b'data: {"choices":[],"usage":{}}',
        b"data: [DONE]",
    ]
    stream = b"".join(event + end for event in events)
    expected = b"".join(
        b'data: {"text_output":"%b","model_name":"m"}\n\n' % text for text in (b"a", b"\xc3\xa4 b")
    )
    for size in (*range(1, 30), len(stream)):
        generated = Generated("m", "", None)
        parts = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert b"".join(map(generated.events, parts)) == expected, size


def test_an_error_in_a_stream_is_its_last_event() -> None:
    told = Generated("m", "", None).events(b'data: {"error":{"message":"gone"}}\n\n')
    assert told == error_event("gone") == b'data: {"error":"gone"}\n\n'


def test_an_event_without_end_is_bounded() -> None:
    generated = Generated("m", "", None)
    assert generated.events(b"x" * EVENT_BYTES_MAX) == b""
    with pytest.raises(CenterFailed, match=str(EVENT_BYTES_MAX)):
        generated.events(b"x")
