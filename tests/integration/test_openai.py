"""The stock ``openai`` client, unmodified, against a real gateway with the shipped models."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")

CHAT = "industry-chat"
QUESTION = [{"role": "user", "content": "What is a tuyere?"}]
ANSWER = "A tuyere is a nozzle that blows hot air into the furnace."


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# ---- models -----------------------------------------------------------------------------------


def test_models_that_read_text_are_listed_and_no_others(client: Any) -> None:
    names = [model.id for model in client.models.list()]
    assert CHAT in names
    assert "text-embed" in names
    assert "blast-furnace" not in names
    assert client.models.retrieve(CHAT).id == CHAT
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nope")
    assert caught.value.code == "model_not_found"


# ---- chat -------------------------------------------------------------------------------------


def test_a_chat_is_answered(client: Any) -> None:
    told = client.chat.completions.create(model=CHAT, messages=QUESTION, temperature=0)
    assert told.choices[0].message.content == ANSWER
    assert told.choices[0].message.role == "assistant"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens
    assert told.model == CHAT


def test_a_stream_says_the_same_in_parts(client: Any) -> None:
    stream = client.chat.completions.create(
        model=CHAT,
        messages=QUESTION,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    events = list(stream)
    assert len(events) > 10
    assert "".join(e.choices[0].delta.content or "" for e in events if e.choices) == ANSWER
    assert events[0].choices[0].delta.role == "assistant"
    assert [e.choices[0].finish_reason for e in events if e.choices][-1] == "stop"
    assert events[-1].usage.completion_tokens > 10
    assert all(event.usage is None for event in events[:-1])
    assert len({event.id for event in events}) == 1


async def test_many_at_once_are_told_what_each_would_be_alone(served: Any) -> None:
    questions = ["What is a tuyere?", "What does grid-load read?", "What is rail-inspection for?"]

    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none") as client:

        async def ask(question: str) -> str:
            told = await client.chat.completions.create(
                model=CHAT, messages=[{"role": "user", "content": question}], temperature=0
            )
            return str(told.choices[0].message.content)

        alone = [await ask(question) for question in questions]
        together = await asyncio.gather(*(ask(question) for question in questions * 5))
        assert together == alone * 5
        stream = await client.chat.completions.create(
            model=CHAT, messages=QUESTION, temperature=0, stream=True
        )
        assert "".join([e.choices[0].delta.content or "" async for e in stream]) == ANSWER


def test_a_seed_gives_the_same_text_again(client: Any) -> None:
    def ask(seed: int) -> list[str]:
        told = client.chat.completions.create(
            model=CHAT, messages=QUESTION, temperature=2, top_p=0.99, seed=seed, n=3, max_tokens=20
        )
        assert [choice.index for choice in told.choices] == [0, 1, 2]
        return [choice.message.content for choice in told.choices]

    assert ask(7) == ask(7)
    assert ask(7) != ask(8)


def test_bounds_and_stop_strings_end_a_text(client: Any) -> None:
    short = client.chat.completions.create(
        model=CHAT, messages=QUESTION, temperature=0, max_completion_tokens=3
    )
    assert short.choices[0].finish_reason == "length"
    assert short.usage.completion_tokens == 3
    assert ANSWER.startswith(short.choices[0].message.content)
    stopped = client.chat.completions.create(
        model=CHAT, messages=QUESTION, temperature=0, stop=[" blows", "never"]
    )
    assert stopped.choices[0].message.content == "A tuyere is a nozzle that"
    assert stopped.choices[0].finish_reason == "stop"


def test_likelihoods(client: Any) -> None:
    told = client.chat.completions.create(
        model=CHAT, messages=QUESTION, temperature=0, logprobs=True, top_logprobs=2
    )
    tokens = told.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == ANSWER
    assert all(token.logprob <= 0.0 for token in tokens)
    assert all(len(token.top_logprobs) == 2 for token in tokens)
    assert all(token.top_logprobs[0].token == token.token for token in tokens)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("tools", {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("temperature", {"temperature": 3}),
        ("presence_penalty", {"presence_penalty": 1}),
        ("messages[0].role", {"messages": [{"role": "tool", "content": "x"}]}),
        ("top_logprobs", {"top_logprobs": 2}),
        ("made_up", {"extra_body": {"made_up": 1}}),
    ],
)
def test_what_is_not_offered_is_refused_by_its_name(
    client: Any, field: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": CHAT, "messages": QUESTION, **asked})
    assert caught.value.param == field
    assert caught.value.type == "invalid_request_error"


def test_a_chat_too_long_is_refused(client: Any) -> None:
    messages = [{"role": "user", "content": "furnace " * 2000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=CHAT, messages=messages)
    assert caught.value.code == "context_length_exceeded"


def test_wrong_models_and_bodies(served: Any, client: Any) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nope", messages=QUESTION)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="blast-furnace", messages=QUESTION)
    assert caught.value.param == "model"
    for body in (b"", b"{", b"[]", b"{}", b'{"model":1}', b"\xff"):
        status, told = post(f"{served.url}/v1/chat/completions", body)
        assert status == 400, body
        assert told["error"]["type"] == "invalid_request_error"


def test_a_budget_too_small_is_a_timeout(served: Any, client: Any) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model=CHAT, messages=QUESTION, extra_headers={"x-request-timeout-ms": "0.5"}
        )
    assert caught.value.status_code in (503, 504)


def test_the_raw_answer_says_where_the_time_went(client: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model=CHAT, messages=QUESTION, temperature=0
    )
    assert "service;dur=" in raw.headers["server-timing"]
    assert raw.headers["x-nearway-center"]
    assert raw.parse().choices[0].message.content == ANSWER


def test_a_client_that_leaves_stops_the_text(served: Any, client: Any) -> None:
    def under_way() -> float:
        with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        line = next(line for line in lines if line.startswith("nearway_requests_in_flight "))
        return float(line.split()[1])

    streams = [
        client.chat.completions.create(
            model=CHAT, messages=QUESTION, temperature=2, stream=True, max_tokens=900
        )
        for _ in range(8)
    ]
    for stream in streams:
        next(iter(stream))
        stream.close()
    until_s = time.monotonic() + 10.0
    while under_way() > 0.0:
        assert time.monotonic() < until_s
        time.sleep(0.02)


# ---- completions ------------------------------------------------------------------------------


def test_completions(client: Any) -> None:
    told = client.completions.create(
        model=CHAT, prompt=["What is", "The furnace"], temperature=0, max_tokens=5, logprobs=1
    )
    assert [choice.index for choice in told.choices] == [0, 1]
    for choice in told.choices:
        assert "".join(choice.logprobs.tokens) == choice.text
        assert len(choice.logprobs.token_logprobs) == len(choice.logprobs.text_offset)
    stream = client.completions.create(
        model=CHAT, prompt="What is", temperature=0, max_tokens=5, stream=True
    )
    assert "".join(event.choices[0].text for event in stream) == told.choices[0].text


# ---- embeddings -------------------------------------------------------------------------------


def test_embeddings(served: Any, client: Any) -> None:
    texts = ["the feed pump leaks", "the feed pump is leaking", "voltage is low at the bus"]
    told = client.embeddings.create(model="text-embed", input=texts, encoding_format="float")
    vectors = [one.embedding for one in told.data]
    assert {len(vector) for vector in vectors} == {128}
    assert all(sum(x * x for x in v) == pytest.approx(1.0, abs=1e-4) for v in vectors)
    # The client asks for base64 by itself when nothing is said.
    assert client.embeddings.create(model="text-embed", input=texts).data[0].embedding == (
        pytest.approx(vectors[0], abs=1e-6)
    )
    short = client.embeddings.create(model="text-embed", input=texts[0], dimensions=32)
    assert sum(x * x for x in short.data[0].embedding) == pytest.approx(1.0, abs=1e-4)
    _, raw = post(
        f"{served.url}/v1/embeddings",
        json.dumps(
            {"model": "text-embed", "input": texts[0], "encoding_format": "base64"}
        ).encode(),
    )
    packed = base64.b64decode(raw["data"][0]["embedding"])
    assert struct.unpack("<128f", packed) == pytest.approx(vectors[0], abs=1e-6)
    tokens = client.embeddings.create(model="text-embed", input=[[300, 301], [302]])
    assert tokens.usage.prompt_tokens == 3
    for field, asked in (
        ("dimensions", {"dimensions": 4096}),
        ("input", {"input": ""}),
        ("input", {"input": [[99_999]]}),
        ("model", {"model": CHAT}),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(**{"model": "text-embed", "input": "a", **asked})
        assert caught.value.param == field


# ---- LangChain --------------------------------------------------------------------------------


def test_langchain(served: Any) -> None:
    langchain = pytest.importorskip("langchain_openai")
    chat = langchain.ChatOpenAI(
        model=CHAT, base_url=f"{served.url}/v1", api_key="none", temperature=0
    )
    assert chat.invoke("What is a tuyere?").content == ANSWER
    assert "".join(part.content for part in chat.stream("What is a tuyere?")) == ANSWER
    embed = langchain.OpenAIEmbeddings(
        model="text-embed",
        base_url=f"{served.url}/v1",
        api_key="none",
        check_embedding_ctx_length=False,
    )
    assert len(embed.embed_query("the feed pump leaks")) == 128
