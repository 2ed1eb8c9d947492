from __future__ import annotations

import pytest

from gateway.engine.generation.stop_strings import TextSoFar
from gateway.engine.tokenizer import SPECIAL, Tokenizer

TOKENIZER = Tokenizer(SPECIAL, [])


def said(text: str, stops: tuple[str, ...]) -> tuple[list[str], bool]:
    """Byte by byte: what goes out with each, and at last the rest."""
    so_far, out = TextSoFar(TOKENIZER, stops), []
    for token in TOKENIZER.encode(text):
        out.append(so_far.push(token))
        if so_far.stopped:
            return out, True
    return [*out, so_far.finish()], so_far.stopped


def test_without_stop_strings_all_goes_out_at_once() -> None:
    assert said("abc", ()) == (["a", "b", "c", ""], False)


def test_a_character_waits_for_its_last_byte() -> None:
    assert said("é!", ()) == (["", "é", "!", ""], False)


@pytest.mark.parametrize(
    ("text", "stops", "out"),
    [
        ("hello world", (" wor",), "hello"),
        ("aab", ("ab",), "a"),
        ("abcabd", ("abd",), "abc"),
        ("one two", ("two", "one t"), ""),
        ("é\u20ac", ("\u20ac",), "é"),
    ],
)
def test_the_text_ends_before_a_stop_string(text: str, stops: tuple[str, ...], out: str) -> None:
    parts, stopped = said(text, stops)
    assert stopped
    assert "".join(parts) == out


def test_what_only_looks_like_one_goes_out_in_the_end() -> None:
    parts, stopped = said("ending wor", (" world",))
    assert not stopped
    assert "".join(parts) == "ending wor"
    assert parts[-1] == " wor"
