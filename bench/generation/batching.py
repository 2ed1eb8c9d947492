"""Tokens a second of many chats at once over those of one at a time, by a real gateway."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from bench.generation.chats import MARKS, Chat, connected, request
from bench.generation.served import OWN, Claim, Running, gateway

TOGETHER = 16
TOKENS_MAX = 400
GAIN_MIN = 3.0
WARM_UP_S = 0.3


async def batching(rounds: int, seconds: float) -> list[Claim]:
    """Arms take turns. Texts are drawn hot, so that they are long and differ."""
    found: dict[int, list[float]] = {1: [], TOGETHER: []}
    with gateway(OWN) as ours:
        await _round(ours, TOGETHER, WARM_UP_S)
        for _ in range(rounds):
            for together, rates in found.items():
                rates.append(await _round(ours, together, seconds))
    gain = median(found[TOGETHER]) / median(found[1])
    print("\n| chats at once | tokens/s | of one |\n|---|---:|---:|")
    for together, rates in found.items():
        print(f"| {together} | {median(rates):,.0f} | {median(rates) / median(found[1]):.2f} |")
    return [Claim(f"batching: tokens/s at {TOGETHER} / at 1", gain, GAIN_MIN, at_least=True)]


async def _round(ours: Running, together: int, seconds: float) -> float:
    """Tokens a second, from texts under way all the time."""
    chats = [await connected(ours.port) for _ in range(together)]
    stop_s = time.perf_counter() + seconds
    began_s = time.perf_counter()
    tokens = await asyncio.gather(
        *(_on(chat, ours.port, at, stop_s) for at, chat in enumerate(chats))
    )
    took_s = time.perf_counter() - began_s
    for chat in chats:
        chat.close()
    return sum(tokens) / took_s


async def _on(chat: Chat, port: int, number: int, stop_s: float) -> int:
    """One chat after another; returns its tokens."""
    tokens = 0
    while time.perf_counter() < stop_s:
        body = {
            "model": "industry-chat",
            "messages": [{"role": "user", "content": "What is a tuyere?"}],
            "temperature": 2,
            "seed": tokens * 100 + number,
            "max_tokens": TOKENS_MAX,
            "stream": True,
        }
        tokens += (await chat.ask(request(port, body))).events - MARKS
    return tokens
