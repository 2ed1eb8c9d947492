"""`code-assist` behind OpenAI's routes: a program begun is written to a valid end."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from gateway.engine.tokenizer import read_tokenizer

openai = pytest.importorskip("openai")

MODELS = Path(__file__).resolve().parents[2] / "models"
FOLDER = MODELS / "gateway_models" / "code-assist"
BEGUN = "plant north_well;\nsensor pressure: kpa;\nlet high = 320;\noutput valve: pct;\nrule "
ASKED = {"model": "code-assist", "temperature": 0, "max_tokens": 400}


@pytest.fixture(scope="module")
def client(served: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def language(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(MODELS / "training"))
    return importlib.import_module("code_assist_language")


def test_a_program_is_completed(client: Any, language: ModuleType) -> None:
    told = client.completions.create(prompt=BEGUN, **ASKED).choices[0]
    assert told.finish_reason == "stop"
    fault = language.check(BEGUN + told.text)
    assert fault is None or fault.only_names
    stream = client.completions.create(prompt=BEGUN, stream=True, **ASKED)
    assert "".join(event.choices[0].text for event in stream) == told.text


def test_what_is_served_is_what_the_graph_says(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(MODELS / "training"))
    generation = importlib.import_module("causal_generation")
    tokenizer = read_tokenizer(FOLDER)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(FOLDER / "1" / "model.onnx", options)
    prompt = tokenizer.completion(BEGUN)
    (ids,) = generation.continue_greedily(session, [prompt], tokenizer.end_id, 400)
    assert client.completions.create(prompt=BEGUN, **ASKED).choices[0].text == (
        tokenizer.decode(ids)
    )


def test_a_chat_is_answered_with_the_rest(client: Any, language: ModuleType) -> None:
    messages = [{"role": "user", "content": BEGUN}]
    told = client.chat.completions.create(messages=messages, **ASKED).choices[0]
    assert told.finish_reason == "stop"
    fault = language.check(BEGUN + told.message.content)
    assert fault is None or fault.only_names
