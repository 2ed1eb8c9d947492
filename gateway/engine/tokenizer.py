"""Text to token ids and back, for the language models: byte pairs, in Python alone.

Theory of operation
-------------------
``tokenizer.json`` in a model's folder::

    {"format": "nearway-byte-pairs-1",
     "special": ["<pad>", "<begin>", "<end>", "<system>", "<user>", "<assistant>"],
     "merges": [[107, 37], ...]}

Ids count through the special tokens, then the 256 bytes, then one id a merge, which joins the
bytes of two ids before it. Text is cut into words (letters, one digit, one other sign, each with
the space before it, or white space); a word's UTF-8 bytes are joined pair by pair, the pair that
was learnt first before all others (Sennrich et al., "Neural machine translation of rare words with
subword units", 2016), until no pair is known. Every byte has an id, so every text can be encoded
and comes back as it was. Words are short and their ids are remembered, within a bound.

Special tokens come from the template alone, never from a text: ``<end>`` typed by a user is five
signs. A chat is, for each message, the token of its role, its text and ``<end>``, and at last
``<assistant>``, after which the model answers and closes with ``<end>``.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.api import ConfigError, InvalidRequest
from gateway.engine.inside import read_inside

TOKENIZER_FILE = "tokenizer.json"
FORMAT = "nearway-byte-pairs-1"
PAD, BEGIN, END = "<pad>", "<begin>", "<end>"
ROLES = ("system", "user", "assistant")
SPECIAL = (PAD, BEGIN, END, *(f"<{role}>" for role in ROLES))
BYTES = 256
FILE_BYTES_MAX = 16 * 1024 * 1024
TOKEN_BYTES_MAX = 256
"""A merge may join an id to itself, so without a bound thirty merges would fill the memory."""
REMEMBERED_WORDS_MAX = 8192

_WORD = re.compile(r" ?(?:[^\W\d_]{1,32}|\d|_|[^\w\s])|\s{1,16}")
"""Bounded, for joining a word costs its length squared."""


def words(text: str) -> list[str]:
    """The pieces that are encoded each on its own; joined they are ``text``."""
    return _WORD.findall(text)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    special: list[str]
    merges: list[tuple[int, int]]


class Tokenizer:
    """Ids of one vocabulary. Holds no state between calls but remembered words."""

    def __init__(self, special: Sequence[str], merges: Sequence[tuple[int, int]]) -> None:
        """``merges`` as in the file. Raises ValueError when one joins an id not yet known, or to
        more than ``TOKEN_BYTES_MAX`` bytes.
        """
        missing = [name for name in SPECIAL if name not in special]
        if missing:
            raise ValueError(f"special tokens lack {', '.join(missing)}")
        self.special: Final = tuple(special)
        self.merges: Final = tuple(merges)
        self.first_byte: Final = len(self.special)
        self._bytes = [b""] * self.first_byte + [bytes([value]) for value in range(BYTES)]
        self._joined: dict[tuple[int, int], int] = {}
        for left, right in merges:
            if not all(self.first_byte <= part < len(self._bytes) for part in (left, right)):
                raise ValueError(f"merge {len(self._joined)} joins {left} and {right}")
            joined = self._bytes[left] + self._bytes[right]
            if len(joined) > TOKEN_BYTES_MAX:
                raise ValueError(
                    f"merge {len(self._joined)} makes a token of {len(joined)} bytes, "
                    f"more than {TOKEN_BYTES_MAX}"
                )
            self._joined[left, right] = len(self._bytes)
            self._bytes.append(joined)
        if len(self._joined) != len(merges):
            raise ValueError("a merge is there twice")
        self.token_bytes_max: Final = max(map(len, self._bytes))
        self.begin_id: Final = self.special.index(BEGIN)
        self.end_id: Final = self.special.index(END)
        self.role_ids: Final = {role: self.special.index(f"<{role}>") for role in ROLES}
        self._remembered: dict[str, list[int]] = {}

    @property
    def vocabulary(self) -> int:
        """How many ids there are."""
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``, no special ones. A lone surrogate, which is no text, becomes ``?``."""
        ids: list[int] = []
        remembered = self._remembered
        for word in _WORD.findall(text):
            known = remembered.get(word)
            ids += self._learn(word) if known is None else known
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ``ids``; special ones have none, broken UTF-8 becomes U+FFFD.

        Ids are below ``vocabulary`` and not negative. Raises IndexError beyond.
        """
        return b"".join([self._bytes[i] for i in ids]).decode("utf-8", "replace")

    def token_bytes(self, token: int) -> bytes:
        """What one id stands for; empty for a special one, perhaps a part of a character."""
        return self._bytes[token]

    def chat(self, messages: Iterable[tuple[str, str]]) -> list[int]:
        """Ids of a chat of (role, text), up to where the assistant answers.

        Raises InvalidRequest for a role that is not one of ``ROLES``.
        """
        ids: list[int] = []
        for role, text in messages:
            if role not in self.role_ids:
                raise InvalidRequest(f"role {role!r} is not one of {', '.join(ROLES)}")
            ids.append(self.role_ids[role])
            ids += self.encode(text)
            ids.append(self.end_id)
        ids.append(self.role_ids["assistant"])
        return ids

    def completion(self, text: str) -> list[int]:
        """Ids of a text that is to be continued."""
        return [self.begin_id, *self.encode(text)]

    def _learn(self, word: str) -> list[int]:
        first = self.first_byte
        ids = [first + value for value in word.encode("utf-8", "replace")]
        joined, unknown = self._joined, self.vocabulary
        while len(ids) > 1:
            pairs = list(itertools.pairwise(ids))
            best = min(pairs, key=lambda pair: joined.get(pair, unknown))
            new = joined.get(best)
            if new is None:
                break
            ids = _join(ids, best, new)
        if len(self._remembered) >= REMEMBERED_WORDS_MAX:
            self._remembered.clear()
        self._remembered[word] = ids
        return ids


def _join(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out: list[int] = []
    at, last = 0, len(ids) - 1
    while at <= last:
        if at < last and ids[at] == pair[0] and ids[at + 1] == pair[1]:
            out.append(new)
            at += 2
        else:
            out.append(ids[at])
            at += 1
    return out


class StreamDecoder:
    """The text of ids that come one by one: a character is given when its last byte is there."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """What ``token`` completes; empty when it only begins or continues a character."""
        return self._decoder.decode(self._token_bytes(token))

    def finish(self) -> str:
        """The rest: U+FFFD if a character was left unfinished, else empty."""
        return self._decoder.decode(b"", final=True)


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of the model in ``folder``. Raises ConfigError: absent, or wrong."""
    path = folder / TOKENIZER_FILE
    try:
        file = msgspec.json.decode(read_inside(folder, TOKENIZER_FILE, FILE_BYTES_MAX), type=_File)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; a language model has its tokenizer there"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a tokenizer: {error}") from None
    if file.format != FORMAT:
        raise ConfigError(f"{path}: format is {file.format!r}, expected {FORMAT!r}")
    try:
        return Tokenizer(file.special, file.merges)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; ids of a merge come before it") from None
