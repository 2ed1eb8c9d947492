"""Is a model one of texts? Told by its tokenizer and the names of its tensors.

A *causal* model reads tokens with the keys and values of those before and gives the odds of the
next; an *embedder* turns tokens into a vector. Both take texts of any length, padded on the right.

    causal      input_ids length before past_length past_key past_value -> logits new_key new_value
    embedder    input_ids length -> embedding

``past_key`` and ``past_value`` are FP32 [batch, layers, past, head]; ``before`` is the two tokens
before the new ones, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.api import ConfigError, TensorSpec
from gateway.engine.tokenizer import TOKENIZER_FILE, Tokenizer, read_tokenizer

CAUSAL: Final = "causal"
EMBEDDER: Final = "embedder"
BEFORE: Final = 2
CAUSAL_OUTPUTS: Final = ("logits", "new_key", "new_value")
EMBEDDER_OUTPUTS: Final = ("embedding",)
_CAUSAL_INPUTS = ("input_ids", "length", "before", "past_length", "past_key", "past_value")
_EMBEDDER_INPUTS = ("input_ids", "length")


@dataclass(frozen=True, slots=True)
class Language:
    """``kind``: CAUSAL or EMBEDDER. ``layers`` and ``head``: sizes of a causal model's cache."""

    kind: str
    tokenizer: Tokenizer
    layers: int = 0
    head: int = 0


def language_of(
    folder: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> Language | None:
    """None for a model without a tokenizer. Raises ConfigError when one cannot be used with it."""
    if not (folder / TOKENIZER_FILE).exists():
        return None
    given = {spec.name: spec for spec in inputs}
    taken = {spec.name for spec in outputs}
    tokenizer = read_tokenizer(folder)
    if set(given) == set(_CAUSAL_INPUTS) and taken >= set(CAUSAL_OUTPUTS):
        shape = given["past_key"].shape
        if len(shape) != 4 or shape[1] < 1 or shape[3] < 1 or given["past_value"].shape != shape:
            raise ConfigError(
                f"{folder}: past_key is {list(shape)} and past_value "
                f"{list(given['past_value'].shape)}; expected [batch, layers, past, head] for both"
            )
        return Language(CAUSAL, tokenizer, shape[1], shape[3])
    if set(given) == set(_EMBEDDER_INPUTS) and taken >= set(EMBEDDER_OUTPUTS):
        return Language(EMBEDDER, tokenizer)
    raise ConfigError(
        f"{folder}: has a {TOKENIZER_FILE}, but inputs {', '.join(given)} and outputs "
        f"{', '.join(sorted(taken))}; expected {', '.join(_CAUSAL_INPUTS)} and "
        f"{', '.join(CAUSAL_OUTPUTS)}, or {', '.join(_EMBEDDER_INPUTS)} and "
        f"{', '.join(EMBEDDER_OUTPUTS)}; take the file away if the model reads no text"
    )
