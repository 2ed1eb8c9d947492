"""Learn a vocabulary of byte pairs from texts and write it as `tokenizer.json`.

The most frequent pair becomes a new id, again and again. Counting is by distinct word, for a corpus
made of templates has few of them. The ids and the file are those of `gateway/engine/tokenizer.py`.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from gateway.engine.tokenizer import FORMAT, SPECIAL, TOKENIZER_FILE, Tokenizer, words

Pair = tuple[int, int]

BASE = len(SPECIAL) + 256
"""Ids there are before the first merge."""


def learn(texts: Iterable[str], merges_max: int, *, seen_min: int = 3) -> Tokenizer:
    """At most `merges_max` merges; pairs seen less than `seen_min` times are left alone."""
    counts = Counter(word for text in texts for word in words(text))
    first_byte = len(SPECIAL)
    split = {word: [first_byte + value for value in word.encode()] for word in counts}
    merges: list[Pair] = []
    while len(merges) < merges_max:
        pairs: Counter[Pair] = Counter()
        for word, ids in split.items():
            for pair in itertools.pairwise(ids):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best, seen = max(pairs.items(), key=lambda item: (item[1], item[0]))
        if seen < seen_min:
            break
        new = BASE + len(merges)
        merges.append(best)
        split = {word: _joined(ids, best, new) for word, ids in split.items()}
    return Tokenizer(SPECIAL, merges)


def _joined(ids: list[int], pair: Pair, new: int) -> list[int]:
    out: list[int] = []
    for token in ids:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return out


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """One file, as the gateway reads it."""
    file = {"format": FORMAT, "special": tokenizer.special, "merges": tokenizer.merges}
    text = json.dumps(file, separators=(",", ":"))
    (folder / TOKENIZER_FILE).write_text(text + "\n", encoding="utf-8")
