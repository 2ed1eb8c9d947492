"""Synthetic commands to a car: words, what is meant, and which words say with what.

An intent and one of its phrases are drawn, choices made, slots filled: some from short lists,
people, streets, songs and artists with names of made-up syllables, which no list contains. Often
something is said first that sounds like another command and asks for nothing. Then the speech
recogniser errs: fillers slip in, small words get lost, words are misheard.

A command is given to one split by the hash of its words, so none of the held-out ones was ever
heard in training, whatever the seed.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cockpit_intent_phrases as phrases
import numpy as np
from numpy.typing import NDArray
from splits import Splits

INTENTS, SLOTS = phrases.INTENTS, phrases.SLOTS
TAGS = ("O", *(f"{place}-{slot}" for slot in SLOTS for place in "BI"))
LONGEST = 24
PADDING, UNKNOWN = 0, 1
SPLITS = Splits(train=(61,), stop=(62,), card=90_006, check=91_006)
SHARES = 20  # of all commands; the last ones are held out
LED_UP_TO, FILLED, LOST, MISHEARD = 0.5, 0.25, 0.08, 0.006
LOSABLE = frozenset(("the", "a", "my", "some", "please", "now", "it", "to"))

Words = list[tuple[str, int]]  # each with its tag
Open = Callable[[np.random.Generator], str]


class Samples(NamedTuple):
    """Numbers of words, of the intent, and of the tag of every word."""

    tokens: NDArray[np.int64]  # [count, LONGEST], PADDING after the last
    intent: NDArray[np.int64]  # [count]
    tags: NDArray[np.int64]  # [count, LONGEST]


def generate(count: int, seed: int) -> Samples:
    """`count` commands of the shares that `seed` may hear."""
    rng = np.random.default_rng(seed)
    shares = _shares(seed)
    tokens = np.zeros((count, LONGEST), np.int64)
    tags = np.zeros_like(tokens)
    intent = np.zeros(count, np.int64)
    done = 0
    while done < count:
        drawn = int(rng.integers(len(INTENTS)))
        words = _misheard(rng, _said(rng, INTENTS[drawn]))[:LONGEST]
        numbers = tokenise(" ".join(word for word, _ in words))
        if zlib.crc32(numbers.tobytes()) % SHARES not in shares:
            continue
        tokens[done], intent[done] = numbers, drawn
        tags[done, : len(words)] = [tag for _, tag in words]
        done += 1
    return Samples(tokens, intent, tags)


def _shares(seed: int) -> range:
    if seed in SPLITS.train:
        return range(16)
    if seed in SPLITS.stop:
        return range(16, 17)
    if seed == SPLITS.card:
        return range(17, 18)
    return range(18, 19) if seed == SPLITS.check else range(19, 20)


@functools.cache
def vocabulary() -> Mapping[str, int]:
    """Number of every known word; names are unknown on purpose."""
    words: set[str] = set()
    for templates in (phrases.PREAMBLES, *phrases.PHRASES.values()):
        for template in templates:
            words.update(re.sub(r"\{\w+\}", " ", template).replace("|", " ").split())
    lists = (*phrases.CLOSED.values(), phrases.USUAL_DESTINATIONS, phrases.USUAL_CONTACTS)
    words.update(" ".join(" ".join(entries) for entries in lists).split())
    words.update(f"{phrases.ROADS} {phrases.SONG_WORDS} {phrases.FILLERS} fm radio".split())
    words.update(str(digit) for digit in range(10))
    apart = sorted({part for word in words for part in word.split("_")})
    return {word: number for number, word in enumerate(apart, start=2)}


def tokenise(command: str) -> NDArray[np.int64]:
    """Lower case, split at blanks, numbered, cut or padded to `LONGEST`."""
    known = vocabulary()
    numbers = np.zeros(LONGEST, np.int64)
    words = command.lower().split()[:LONGEST]
    numbers[: len(words)] = [known.get(word, UNKNOWN) for word in words]
    return numbers


def _said(rng: np.random.Generator, intent: str) -> Words:
    lead = _spoken(rng, phrases.PREAMBLES) if rng.random() < LED_UP_TO else []
    return lead + _spoken(rng, phrases.PHRASES[intent])


def _spoken(rng: np.random.Generator, templates: Sequence[str]) -> Words:
    """One of the phrases, its choices made and its slots filled."""
    words: Words = []
    for piece in templates[rng.integers(len(templates))].split():
        choices = piece.split("|")
        choice = choices[rng.integers(len(choices))]
        if choice.startswith("{"):
            words += _filled(rng, choice[1:-1])
        else:
            words += [(word, 0) for word in choice.split("_") if word]
    return words


def _filled(rng: np.random.Generator, slot: str) -> Words:
    """The words of a slot; the first is tagged B, the others I."""
    if slot in phrases.CLOSED:
        choices = phrases.CLOSED[slot]
        value = choices[rng.integers(len(choices))]
    else:
        value = OPEN[slot](rng)
    first = 1 + 2 * SLOTS.index(slot)
    return [(word, first + (place > 0)) for place, word in enumerate(value.split())]


def _misheard(rng: np.random.Generator, words: Words) -> Words:
    heard: Words = []
    for word, tag in words:
        if word in LOSABLE and tag == 0 and rng.random() < LOST:
            continue
        heard.append((_name(rng) if rng.random() < MISHEARD else word, tag))
    fillers = phrases.FILLERS.split()
    if rng.random() < FILLED:
        filler = fillers[rng.integers(len(fillers))]
        heard = [(word, 0) for word in filler.split("_")] + heard
    if rng.random() < 0.4 * FILLED:
        heard.append(("please", 0))
    return heard or [("okay", 0)]


def _name(rng: np.random.Generator) -> str:
    syllables = phrases.SYLLABLES.split()
    return "".join(syllables[rng.integers(len(syllables))] for _ in range(rng.integers(2, 5)))


def _destination(rng: np.random.Generator) -> str:
    usual, roads = phrases.USUAL_DESTINATIONS, phrases.ROADS.split()
    draw = rng.random()
    if draw < 0.35:
        return usual[rng.integers(len(usual))]
    if draw < 0.55:
        return _name(rng)
    road = f"{_name(rng)} {roads[rng.integers(len(roads))]}"
    return f"{rng.integers(1, 10)} {road}" if draw > 0.9 else road


def _contact(rng: np.random.Generator) -> str:
    usual, draw = phrases.USUAL_CONTACTS, rng.random()
    if draw < 0.4:
        return usual[rng.integers(len(usual))]
    return _name(rng) if draw < 0.7 else f"{_name(rng)} {_name(rng)}"


def _artist(rng: np.random.Generator) -> str:
    return _name(rng) if rng.random() < 0.4 else f"{_name(rng)} {_name(rng)}"


def _song(rng: np.random.Generator) -> str:
    words = phrases.SONG_WORDS.split()
    title = [words[rng.integers(len(words))] for _ in range(rng.integers(1, 4))]
    if rng.random() < 0.5:
        title[rng.integers(len(title))] = _name(rng)
    return " ".join(title)


def _station(rng: np.random.Generator) -> str:
    return f"{_name(rng)} fm" if rng.random() < 0.6 else f"radio {_name(rng)}"


def _number(rng: np.random.Generator) -> str:
    return " ".join(str(digit) for digit in rng.integers(0, 10, rng.integers(3, 9)))


OPEN: Mapping[str, Open] = {
    "destination": _destination,
    "contact": _contact,
    "artist": _artist,
    "song": _song,
    "station": _station,
    "number": _number,
}
