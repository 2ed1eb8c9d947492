"""Protocol buffers' text format, read into plain values: the form of Triton's ``config.pbtxt``.

    name: "heat"              # a field, its value; ``#`` begins a comment
    input [ { dims: [ 24 ] }, { dims: [ 12 ] } ]
    dynamic_batching { }

``parse_text`` knows no message type: a field is a list of its values, in order, as given once or
more, or as a list; whoever reads a field says what it has to be. Bounded in depth and in values,
and there is no recursion deeper than that; extensions and ``Any`` are not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.api import ConfigError

DEPTH_MAX: Final = 16
VALUES_MAX: Final = 20_000

_TOKEN = re.compile(
    r"""(?P<space>(?:\s+|\#[^\n]*)+)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
      | (?P<number>-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fF]?(?![\w.]))
      | (?P<word>-?[A-Za-z_]\w*)
      | (?P<mark>[][{}<>:,;])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPED = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}
_CLOSES = {"{": "}", "<": ">"}


@dataclass(frozen=True, slots=True)
class Word:
    """An enum's or a bool's name: not the text of a string."""

    name: str


@dataclass(slots=True)
class Message:
    """Values by field. ``lines``: where each field stood first."""

    fields: dict[str, list[Value]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


Value = str | int | float | Word | Message


def parse_text(text: str, where: str) -> Message:
    """The message that ``text`` spells. Raises ConfigError with ``where`` and the line."""
    return _Parser(text, where).message("", 0)


class _Parser:
    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0
        self._values = 0
        self._kind = self._piece = ""
        self._next()

    def message(self, closes: str, depth: int) -> Message:
        """Fields up to ``closes`` (empty: the end of the text)."""
        if depth > DEPTH_MAX:
            raise self._wrong(f"messages nested deeper than {DEPTH_MAX}")
        read = Message()
        while self._piece != closes:
            if self._kind != "word":
                raise self._unexpected(
                    "the name of a field" + (f" or {closes!r}" if closes else "")
                )
            name = self._piece
            if name not in read.lines:
                read.lines[name] = self._line()
            self._next()
            self._field(read.fields.setdefault(name, []), depth)
            if self._piece in (",", ";"):
                self._next()
        self._next()
        return read

    def _field(self, values: list[Value], depth: int) -> None:
        """What follows a field's name: one value or a list of them."""
        colon = self._piece == ":"
        if colon:
            self._next()
        elif self._piece not in ("{", "<", "["):
            raise self._unexpected("':' or '{'")
        if self._piece != "[":
            values.append(self._value(depth))
            return
        self._next()
        while self._piece != "]":
            values.append(self._value(depth))
            if self._piece == ",":
                self._next()
                if self._piece == "]":
                    raise self._unexpected("a value")
            elif self._piece != "]":
                raise self._unexpected("',' or ']'")
        self._next()

    def _value(self, depth: int) -> Value:
        self._values += 1
        if self._values > VALUES_MAX:
            raise self._wrong(f"more than {VALUES_MAX} values")
        kind, token = self._kind, self._piece
        if token in _CLOSES and kind == "mark":
            self._next()
            return self.message(_CLOSES[token], depth + 1)
        if kind == "string":
            return self._string()
        if kind not in ("number", "word"):
            raise self._unexpected("a value")
        self._next()
        return Word(token) if kind == "word" else _number(token)

    def _string(self) -> str:
        """Strings that follow one another are one."""
        raw = b""
        while self._kind == "string":
            raw += _unescaped(self._piece[1:-1])
            self._next()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self._wrong("a string that is not UTF-8") from None

    def _next(self) -> None:
        while True:
            if self._at >= len(self._text):
                self._kind = self._piece = ""
                return
            found = _TOKEN.match(self._text, self._at)
            if found is None:
                shown = self._text[self._at : self._at + 20].split("\n")[0]
                raise self._wrong(f"{shown!r}, which begins nothing that is known")
            self._at = found.end()
            if found.lastgroup != "space":
                self._kind, self._piece = found.lastgroup or "", found.group()
                return

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _unexpected(self, expected: str) -> ConfigError:
        found = repr(self._piece[:40]) if self._piece else "the end of the file"
        return self._wrong(f"{found}; expected {expected}")

    def _wrong(self, what: str) -> ConfigError:
        return ConfigError(f"{self._where}: line {self._line()}: found {what}")


def _number(token: str) -> int | float:
    sign, digits = (-1, token[1:]) if token[0] == "-" else (1, token)
    if digits[:2] in ("0x", "0X"):
        return sign * int(digits, 16)
    if digits.isdigit():
        octal = digits[0] == "0" and len(digits) > 1 and not set(digits) & {"8", "9"}
        return sign * int(digits[:32], 8 if octal else 10)
    return sign * float(digits.rstrip("fF"))


def _unescaped(text: str) -> bytes:
    parts: list[bytes] = []
    at = 0
    for found in _ESCAPE.finditer(text):
        parts.append(text[at : found.start()].encode())
        octal, hexadecimal, plain = found.groups()
        if plain is not None:
            parts.append(bytes([_ESCAPED[plain]]) if plain in _ESCAPED else plain.encode())
        else:
            parts.append(bytes([int(octal or hexadecimal, 8 if octal else 16) & 0xFF]))
        at = found.end()
    return b"".join([*parts, text[at:].encode()])
