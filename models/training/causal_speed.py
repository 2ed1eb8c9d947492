"""How fast a causal graph reads and continues, alone and sixteen at once; told in the card.

The host's part, keeping the cache, is in the figures. Alone and together are measured in turn, so a
busy machine disturbs both, and the shortest runs count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from causal_generation import Continuation
from training import Figure

ROWS = 16
ROUNDS = 12
STEPS = 24


def figures(session: Any, prompts: Sequence[Sequence[int]]) -> list[Figure]:
    """`prompts`: at least `ROWS` of them, each cut to the first 100 tokens."""
    cut = [list(prompt)[:100] for prompt in prompts[:ROWS]]
    longest = max(cut, key=len)
    first_s, alone_s, together_s = [], [], []
    for _ in range(ROUNDS):
        read_s, step_s = _timed(session, [longest])
        first_s.append(read_s)
        alone_s.append(step_s)
        together_s.append(_timed(session, cut)[1])
    gain = ROWS * min(alone_s) / min(together_s)
    return [
        _told(f"ms to read {len(longest)} tokens", 1e3 * min(first_s)),
        _told("ms a token, one text", 1e3 * min(alone_s)),
        _told(f"ms a token for each of {ROWS} texts at once", 1e3 * min(together_s)),
        Figure(metric=f"tokens a second, {ROWS} texts over one", ours=gain, unit="times", digits=1),
    ]


def _told(metric: str, ms: float) -> Figure:
    return Figure(metric=metric, ours=ms, better="lower", digits=2)


def _timed(session: Any, prompts: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Seconds until the first token, and of the shortest later step."""
    continuation = Continuation(session, len(prompts))
    begun_s = time.perf_counter()
    logits = continuation.read(prompts)
    read_s = time.perf_counter() - begun_s
    steps_s = []
    for _ in range(STEPS):
        begun_s = time.perf_counter()
        logits = continuation.read([[token] for token in logits.argmax(axis=1).tolist()])
        steps_s.append(time.perf_counter() - begun_s)
    return read_s, min(steps_s)
