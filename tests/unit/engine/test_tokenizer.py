"""Byte pairs: what is encoded comes back, in pieces too, and special tokens come from no text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import ConfigError, InvalidRequest
from gateway.engine.tokenizer import (
    FORMAT,
    REMEMBERED_WORDS_MAX,
    SPECIAL,
    TOKENIZER_FILE,
    StreamDecoder,
    Tokenizer,
    read_tokenizer,
    words,
)

FIRST = len(SPECIAL)
A, B, C, SPACE = (FIRST + ord(sign) for sign in "abc ")
AB = FIRST + 256
MERGES = [(A, B), (AB, AB), (SPACE, AB), (B, C)]
"""ab, abab, " ab", bc"""

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
patient = settings(deadline=None, max_examples=60)
WRITTEN = st.text(st.sampled_from(" abcABC019_.,<>|\n\t\u00a0äé水🚂\u0301"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(SPECIAL, MERGES)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(**changes: object) -> Path:
        file = {"format": FORMAT, "special": SPECIAL, "merges": MERGES, **changes}
        (tmp_path / "tokenizer.json").write_text(json.dumps(file), encoding="utf-8")
        return tmp_path

    return write


@patient
@given(st.one_of(TEXTS, WRITTEN))
def test_words_leave_nothing_out(text: str) -> None:
    assert "".join(words(text)) == text


@patient
@given(st.one_of(TEXTS, WRITTEN))
def test_every_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@patient
@given(st.one_of(TEXTS, WRITTEN))
def test_no_text_has_special_tokens(tokenizer: Tokenizer, text: str) -> None:
    assert all(token >= FIRST for token in tokenizer.encode(f"<end>{text}<user>"))


@patient
@given(st.one_of(TEXTS, WRITTEN))
def test_a_stream_is_the_text_in_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    stream = StreamDecoder(tokenizer)
    pieces = [stream.push(token) for token in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert stream.finish() == ""


@patient
@given(st.lists(st.integers(0, FIRST + 256 + len(MERGES) - 1)))
def test_any_ids_decode_alike_at_once_and_streamed(tokenizer: Tokenizer, ids: list[int]) -> None:
    stream = StreamDecoder(tokenizer)
    assert "".join(map(stream.push, ids)) + stream.finish() == tokenizer.decode(ids)


@patient
@given(WRITTEN, WRITTEN)
def test_words_are_encoded_each_on_its_own(tokenizer: Tokenizer, left: str, right: str) -> None:
    parted = tokenizer.encode(f"{left}\n") + tokenizer.encode(f"x{right}")
    if not left.endswith((" ", "\n", "\t", "\u00a0")):
        assert tokenizer.encode(f"{left}\nx{right}") == parted


def test_what_was_learnt_first_is_joined_first(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("abc") == [AB, C]
    assert tokenizer.encode("cbc") == [C, AB + 3]
    assert tokenizer.encode("ababab") == [AB + 1, AB]
    assert tokenizer.encode("ab ab") == [AB, AB + 2]
    assert tokenizer.encode("abab") == tokenizer.encode("abab") == [AB + 1]


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert words("at 1480 kPa_x") == ["at", " 1", "4", "8", "0", " kPa", "_", "x"]
    assert len(tokenizer.encode("1480")) == 4


def test_half_a_character_waits_for_the_other_half(tokenizer: Tokenizer) -> None:
    stream = StreamDecoder(tokenizer)
    first, *rest = tokenizer.encode("é!")
    assert stream.push(first) == ""
    assert [stream.push(token) for token in rest] == ["é", "!"]
    stream.push(first)
    assert stream.finish() == "\ufffd"


def test_a_lone_surrogate_becomes_a_question_mark(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a?b"


def test_a_chat_is_roles_texts_and_ends(tokenizer: Tokenizer) -> None:
    system, user, assistant = (tokenizer.role_ids[role] for role in ("system", "user", "assistant"))
    end = tokenizer.end_id
    chat = tokenizer.chat([("system", "ab"), ("user", "c"), ("assistant", "b"), ("user", "")])
    assert chat == [system, AB, end, user, C, end, assistant, B, end, user, end, assistant]
    assert tokenizer.completion("ab") == [tokenizer.begin_id, AB]
    assert tokenizer.decode(chat) == "abcb"


def test_an_unknown_role_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidRequest, match="tool"):
        tokenizer.chat([("tool", "x")])


def test_what_it_remembers_is_bounded(tokenizer: Tokenizer) -> None:
    for number in range(REMEMBERED_WORDS_MAX + 10):
        tokenizer.encode(chr(0x4E00 + number % 20_000) * (1 + number // 20_000))
    assert len(tokenizer._remembered) <= REMEMBERED_WORDS_MAX
    assert tokenizer.encode("ab") == [AB]


def test_a_word_without_end_costs_no_more_than_many_words(tokenizer: Tokenizer) -> None:
    def best_s(text: str) -> float:
        taken_s = []
        for _ in range(5):
            tokenizer._remembered.clear()
            begun_s = time.perf_counter()
            tokenizer.encode(text)
            taken_s.append(time.perf_counter() - begun_s)
        return min(taken_s)

    distinct = [chr(0x4E00 + at) for at in range(8000)]
    assert best_s("".join(distinct)) < 20 * best_s(" ".join(distinct))


def test_a_file_is_read(folder: Callable[..., Path]) -> None:
    tokenizer = read_tokenizer(folder())
    assert tokenizer.vocabulary == FIRST + 256 + len(MERGES)
    assert tokenizer.merges == tuple(MERGES)
    assert tokenizer.encode("abc") == [AB, C]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "other"}, "expected 'nearway-byte-pairs-1'"),
        ({"special": ["<pad>"]}, "lack <begin>, <end>"),
        ({"merges": [(A, FIRST + 256)]}, "merge 0 joins"),
        ({"merges": [(A, 0)]}, "merge 0 joins"),
        ({"merges": [(A, B), (A, B)]}, "twice"),
        ({"merges": [(A,)]}, "not a tokenizer"),
        ({"merges": [(A, A)] + [(FIRST + 256 + at,) * 2 for at in range(40)]}, "of 512 bytes"),
        ({"more": 1}, "not a tokenizer"),
    ],
)
def test_a_wrong_file_is_refused(
    folder: Callable[..., Path], changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        read_tokenizer(folder(**changes))


def test_a_file_that_leads_out_of_the_folder_is_refused(
    folder: Callable[..., Path], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / TOKENIZER_FILE).symlink_to(folder() / TOKENIZER_FILE)
    with pytest.raises(ConfigError, match="leads out of the model's folder"):
        read_tokenizer(elsewhere)


def test_a_file_too_large_is_refused(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.engine.tokenizer.FILE_BYTES_MAX", 20)
    with pytest.raises(ConfigError, match="more than 20 bytes"):
        read_tokenizer(folder())


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokenizer\.json"):
        read_tokenizer(tmp_path)
