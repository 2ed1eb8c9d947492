"""Sluice, a small language for plants, and its checker.

    program   = "plant" NAME ";" { declared } { rule }
    declared  = ( "sensor" | "output" ) NAME ":" UNIT ";" | "let" NAME "=" sum ";"
    rule      = "rule" NAME ( "on" condition | "every" span ) block
    block     = "{" { statement } "}"
    statement = "set" NAME "=" sum ";" | "wait" span ";" | "report" STRING ";"
              | "repeat" NUMBER block | "if" condition block [ "else" block ]
    condition = compared { ( "and" | "or" ) compared }
    compared  = "not" compared | "(" condition ")" | sum ( "<" | ">" | "<=" | ">=" | "==" ) sum
    sum       = product { ( "+" | "-" ) product }
    product   = factor { ( "*" | "/" ) factor }
    factor    = NUMBER | NAME | ( "min" | "max" ) "(" sum "," sum ")" | "(" sum ")"
    span      = NUMBER ( "s" | "min" | "h" )

A name is lower-case letters, digits and underscores, and no word of the language. White space only
parts. Beyond the grammar, a name must be declared once and before its use, and only outputs are
set. A bracket in a condition may open a condition or a sum; the checker tries the one, then the
other.
"""

from __future__ import annotations

import re
from typing import NamedTuple

RELATIONS = ("<=", ">=", "==", "<", ">")
SPANS = ("s", "min", "h")
UNITS = ("degc", "kpa", "bar", "pct", "mm", "m3h", "mw", "kv", "rpm", "ppm")
WORDS = frozenset(
    (
        *("plant", "sensor", "output", "let", "rule", "on", "every", "set", "wait", "report"),
        *("repeat", "if", "else", "and", "or", "not", "min", "max"),
        *SPANS,
        *UNITS,
    )
)
DEPTH_MAX = 40
"""Of blocks and brackets, so that no text can exhaust the stack."""

_SIGN = re.compile(
    r"\s*(?:(?P<word>[a-z_][a-z0-9_]*)|(?P<number>\d+(?:\.\d+)?)(?![a-z_0-9])"
    r'|(?P<text>"[^"\n]*")|(?P<sign><=|>=|==|[<>{}();:,=+\-*/]))'
)


class Fault(NamedTuple):
    """Why a text is no program: at which character, and whether only a name is wrong."""

    at: int
    what: str
    only_names: bool


class _Wrong(Exception):
    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at


class _Sign(NamedTuple):
    kind: str
    text: str
    at: int


def check(program: str) -> Fault | None:
    """None if `program` is one; a fault of the grammar comes before one of the names."""
    try:
        parser = _Parser(_signs(program))
        parser.program()
    except _Wrong as wrong:
        return Fault(wrong.at, str(wrong), only_names=False)
    return parser.name_fault


def _signs(program: str) -> list[_Sign]:
    found, at = [], 0
    while at < len(program.rstrip()):
        match = _SIGN.match(program, at)
        if match is None:
            raise _Wrong(at, "no sign of the language")
        group = match.lastgroup or ""
        text = match[group]
        is_name = group == "word" and text not in WORDS
        found.append(_Sign("name" if is_name else group, text, match.start(group)))
        at = match.end()
    return [*found, _Sign("end", "end of the text", at)]


class _Parser:
    """Recursive descent over the signs; `name_fault` is the first wrong use of a name."""

    def __init__(self, signs: list[_Sign]) -> None:
        self._signs = signs
        self._at = 0
        self._depth = 0
        self._known: dict[str, str] = {}
        self.name_fault: Fault | None = None

    def program(self) -> None:
        self._want("plant")
        self._name()
        self._want(";")
        while self._is("sensor", "output", "let"):
            self._declared()
        while not self._is("end of the text"):
            self._rule()

    def _declared(self) -> None:
        kind = self._want("sensor", "output", "let").text
        name = self._name()
        if kind == "let":
            self._want("=")
            self._sum()
        else:
            self._want(":")
            self._want(*UNITS)
        self._want(";")
        if name.text in self._known:
            self._blame(name, "declared twice")
        self._known[name.text] = kind

    def _rule(self) -> None:
        self._want("rule")
        self._name()
        if self._want("on", "every").text == "on":
            self._condition()
        else:
            self._span()
        self._block()

    def _block(self) -> None:
        self._enter()
        self._want("{")
        while not self._is("}"):
            self._statement()
        self._want("}")
        self._depth -= 1

    def _statement(self) -> None:
        kind = self._want("set", "wait", "report", "repeat", "if").text
        if kind == "repeat":
            self._kind("number")
            self._block()
            return
        if kind == "if":
            self._condition()
            self._block()
            if self._is("else"):
                self._want("else")
                self._block()
            return
        if kind == "set":
            name = self._name()
            if self._known.get(name.text) != "output":
                self._blame(name, "set, but no output")
            self._want("=")
            self._sum()
        elif kind == "wait":
            self._span()
        else:
            self._kind("text")
        self._want(";")

    def _condition(self) -> None:
        self._compared()
        while self._is("and", "or"):
            self._want("and", "or")
            self._compared()

    def _compared(self) -> None:
        self._enter()
        if self._is("not"):
            self._want("not")
            self._compared()
        elif not (self._is("(") and self._bracketed_condition()):
            self._sum()
            self._want(*RELATIONS)
            self._sum()
        self._depth -= 1

    def _bracketed_condition(self) -> bool:
        """Whether a condition in brackets stands here; if so it is passed."""
        start, depth, fault = self._at, self._depth, self.name_fault
        try:
            self._want("(")
            self._condition()
            self._want(")")
        except _Wrong:
            self._at, self._depth, self.name_fault = start, depth, fault
            return False
        return True

    def _sum(self) -> None:
        self._product()
        while self._is("+", "-"):
            self._want("+", "-")
            self._product()

    def _product(self) -> None:
        self._factor()
        while self._is("*", "/"):
            self._want("*", "/")
            self._factor()

    def _factor(self) -> None:
        sign = self._signs[self._at]
        if sign.kind == "number":
            self._at += 1
        elif sign.kind == "name":
            self._at += 1
            if sign.text not in self._known:
                self._blame(sign, "used, but not declared")
        else:
            self._enter()
            if self._want("(", "min", "max").text == "(":
                self._sum()
            else:
                self._want("(")
                self._sum()
                self._want(",")
                self._sum()
            self._want(")")
            self._depth -= 1

    def _span(self) -> None:
        self._kind("number")
        self._want(*SPANS)

    def _name(self) -> _Sign:
        return self._kind("name")

    def _kind(self, kind: str) -> _Sign:
        sign = self._signs[self._at]
        if sign.kind != kind:
            raise _Wrong(sign.at, f"{sign.text}, expected a {kind}")
        self._at += 1
        return sign

    def _want(self, *texts: str) -> _Sign:
        sign = self._signs[self._at]
        if sign.text not in texts or sign.kind == "text":
            raise _Wrong(sign.at, f"{sign.text}, expected {' or '.join(texts)}")
        self._at += 1
        return sign

    def _is(self, *texts: str) -> bool:
        sign = self._signs[self._at]
        return sign.text in texts and sign.kind != "text"

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _Wrong(self._signs[self._at].at, f"nested deeper than {DEPTH_MAX}")

    def _blame(self, name: _Sign, what: str) -> None:
        if self.name_fault is None:
            self.name_fault = Fault(name.at, f"{name.text} is {what}", only_names=True)
