"""The first token of a chat at light load, and where its time goes: each layer with those below.

model     the run of the model that reads the prompt
batch     a step of the batch: that run, the cache, the choice
thread    a place of the thread: that step, handed there and back to the loop
gateway   a real gateway, from the request's bytes sent to the answer's first ones received
nothing   a server that answers at once: what the client and the kernel take of that
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

from bench.generation.chats import connected, request
from bench.generation.served import OWN, Claim, Running, gateway, upstream
from gateway.config import load_settings
from gateway.engine import LoadedModel
from gateway.engine.generation import Batch, GenerationThread, Piece, Sequence, Wish
from gateway.runtime.deciding import build_repository

MODEL = "industry-chat"
QUESTION = "What is a tuyere?"
FIRST_MS_MAX = 10.0
APART_S = 0.01
"""Between two chats: light load, and caches as cold as they are then."""


async def first_token(chats: int) -> list[Claim]:
    """Prints a row a layer; the claim is of the gateway's p99."""
    model = await asyncio.to_thread(_load)
    found = {
        "model": await _each(chats, _model_run(model)),
        "batch": await _each(chats, _batch_step(model)),
        "thread": await _thread(chats, model),
    }
    with gateway(OWN) as ours:
        found["gateway"] = await _asked(chats, ours)
    with upstream(1.0) as nothing:
        found["nothing"] = await _asked(chats, nothing)
    print(f"\n{chats} chats, one at a time, {APART_S * 1e3:g} ms apart; ms to the first token")
    print("| layer | p50 | p99 |\n|---|---:|---:|")
    for name, took in found.items():
        print(f"| {name} | {np.quantile(took, 0.5):.2f} | {np.quantile(took, 0.99):.2f} |")
    p99 = float(np.quantile(found["gateway"], 0.99))
    return [Claim("first token of industry-chat, p99 ms", p99, FIRST_MS_MAX)]


def _load() -> LoadedModel:
    repository = build_repository(load_settings(None, {}).settings)
    repository.scan()
    repository.load(MODEL)
    return repository.get(MODEL)


def _wish(model: LoadedModel) -> Wish:
    assert model.language is not None
    return Wish(model.language.tokenizer.chat([("user", QUESTION)]), 1)


async def _each(chats: int, once: Callable[[], None]) -> list[float]:
    took = []
    for _ in range(chats):
        began_s = time.perf_counter()
        once()
        took.append((time.perf_counter() - began_s) * 1e3)
        await asyncio.sleep(APART_S)
    return took


def _model_run(model: LoadedModel) -> Callable[[], None]:
    inputs = {}

    def keep(given: dict, outputs: tuple[str, ...]) -> list:  # type: ignore[type-arg]
        inputs.update(given)
        return model.run(given, outputs)

    assert model.language is not None
    batch = Batch(keep, model.language, 1)  # type: ignore[arg-type]
    batch.add(Sequence(_wish(model), model.language.tokenizer, _forget))
    batch.step()
    outputs = ("logits", "new_key", "new_value")
    return lambda: _drop(model.run(inputs, outputs))


def _batch_step(model: LoadedModel) -> Callable[[], None]:
    assert model.language is not None
    language, wish = model.language, _wish(model)
    batch = Batch(model.run, language, 16)

    def once() -> None:
        batch.add(Sequence(wish, language.tokenizer, _forget))
        batch.step()

    return once


async def _thread(chats: int, model: LoadedModel) -> list[float]:
    assert model.language is not None
    language, wish, loop = model.language, _wish(model), asyncio.get_running_loop()
    thread = GenerationThread(loop.call_soon_threadsafe)
    place = thread.place(Batch(model.run, language, 16))
    took = []
    for _ in range(chats):
        told: asyncio.Future[float] = loop.create_future()

        def hear(_piece: Piece, told: asyncio.Future[float] = told) -> None:
            told.set_result(time.perf_counter())

        began_s = time.perf_counter()
        place.add(Sequence(wish, language.tokenizer, hear))
        took.append((await told - began_s) * 1e3)
        await asyncio.sleep(APART_S)
    await asyncio.to_thread(thread.close)
    return took


async def _asked(chats: int, of: Running) -> list[float]:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 1,
        "stream": True,
    }
    sent, chat = request(of.port, body), await connected(of.port)
    took = []
    for _ in range(chats):
        took.append((await chat.ask(sent)).first_ms)
        await asyncio.sleep(APART_S)
    chat.close()
    return took


def _forget(_piece: Piece) -> None:
    """Nobody asks."""


def _drop(_arrays: object) -> None:
    """Made, and not looked at."""
