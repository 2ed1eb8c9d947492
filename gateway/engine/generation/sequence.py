"""One text that is continued: what was asked, how far it is, and the pieces that come out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal

from gateway.engine.generation.sampling import GREEDY, Chooser, Sampling
from gateway.engine.generation.stop_strings import TextSoFar
from gateway.engine.tokenizer import Tokenizer

Finish = Literal["", "stop", "length"]


@dataclass(frozen=True, slots=True)
class Wish:
    """``top_logprobs``: how many likeliest tokens are told with each; None: no likelihoods."""

    prompt: Many[int]
    tokens_max: int
    stops: tuple[str, ...] = ()
    sampling: Sampling = GREEDY
    top_logprobs: int | None = None


@dataclass(slots=True)
class Likelihood:
    """A token's text as bytes, the logarithm of its share, and the likeliest ones with theirs."""

    token: bytes
    log: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(slots=True)
class Piece:
    """What one step brought for one sequence. ``tokens``: how many it counts for; 0 for the end.

    ``finish``: why it is the last; ``error``: it is the last because the model failed.
    """

    sequence: Sequence
    text: str
    tokens: int = 1
    likelihood: Likelihood | None = None
    finish: Finish = ""
    error: Exception | None = None

    @property
    def last(self) -> bool:
        """No other follows."""
        return bool(self.finish) or self.error is not None


class Sequence:
    """A row of a batch. ``cancelled`` may be set by another thread: it ends at the next step.

    ``read``: tokens of the prompt that are in the cache. ``latest``: the token to be read next.
    ``index``: the asker's own number for it. ``reading_s``: its part of the time of runs that
    read its prompt.
    """

    __slots__ = (
        "cancelled",
        "chooser",
        "index",
        "latest",
        "on_piece",
        "produced",
        "prompt",
        "read",
        "reading_s",
        "text",
        "tokens_max",
        "top_logprobs",
    )

    def __init__(
        self,
        wish: Wish,
        tokenizer: Tokenizer,
        on_piece: Callable[[Piece], None],
        index: int = 0,
    ) -> None:
        if not wish.prompt or wish.tokens_max < 1:
            raise ValueError("a sequence reads one token at least and writes one at least")
        self.prompt = wish.prompt
        self.tokens_max = wish.tokens_max
        self.top_logprobs = wish.top_logprobs
        self.chooser = Chooser(wish.sampling)
        self.text = TextSoFar(tokenizer, wish.stops)
        self.on_piece = on_piece
        self.index = index
        self.cancelled = False
        self.reading_s = 0.0
        self.read = 0
        self.produced = 0
        self.latest = 0
