"""The text format: values, lists, messages; what is wrong is named with its line."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import ConfigError
from gateway.engine.text_format import DEPTH_MAX, Message, Word, parse_text


def plain(value: Any) -> Any:
    """Messages as dicts, words as (name,)."""
    if isinstance(value, Message):
        return {name: [plain(one) for one in values] for name, values in value.fields.items()}
    return (value.name,) if isinstance(value, Word) else value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        ("a: 1 b: -2, c: 0x10; d: 010", {"a": [1], "b": [-2], "c": [16], "d": [8]}),
        ("a: 1.5e3 b: .5f c: 2.", {"a": [1500.0], "b": [0.5], "c": [2.0]}),
        ("a: TYPE_FP32 b: true", {"a": [("TYPE_FP32",)], "b": [("true",)]}),
        ("a: \"x\" 'y'\n'z'", {"a": ["xyz"]}),
        (r'a: "\n\t\"\\\101\x41\303\244"', {"a": ['\n\t"\\AAä']}),
        ("a: [1, 2] a: 3", {"a": [1, 2, 3]}),
        ("a: []", {"a": []}),
        ("m { n: 1 } m < n: 2 >", {"m": [{"n": [1]}, {"n": [2]}]}),
        ("m: { } # a comment { \n m [ { n: 1 }, { } ]", {"m": [{}, {"n": [1]}, {}]}),
    ],
)
def test_what_is_read(text: str, read: dict[str, Any]) -> None:
    assert plain(parse_text(text, "f")) == read


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a", "line 1: found the end of the file; expected ':' or '{'"),
        ("a: 1\nb 2", "line 2: found '2'; expected ':' or '{'"),
        ("\n\n: 1", "line 3: found ':'; expected the name of a field"),
        ("a: [1 2]", "expected ',' or ']'"),
        ("a: [1,]", "found ']'; expected a value"),
        ("m {\n a: 1", "the end of the file; expected the name of a field or '}'"),
        ("m { a: 1 >", "found '>'"),
        ('a: "open', "begins nothing"),
        ("a: 1x", "begins nothing"),
        ('a: "\\xff"', "not UTF-8"),
        ("a: ,", "expected a value"),
        ("[ext]: 1", "expected the name of a field"),
        ("m{" * (DEPTH_MAX + 1), f"deeper than {DEPTH_MAX}"),
        ("a: [" + "1," * 30_000 + "1]", "more than 20000 values"),
    ],
)
def test_what_is_wrong_is_named(text: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(text, "config.pbtxt")
    assert what in str(caught.value)
    assert str(caught.value).startswith("config.pbtxt: line ")


@given(st.text(alphabet="ab:{}[]<>,;\"'\\ \n#1-.", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_text(text, "f"), Message)
