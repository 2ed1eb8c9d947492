from __future__ import annotations

from typing import Any

import pytest

from gateway.engine.generation import Piece, Sequence, Wish


def test_a_sequence_reads_and_writes_something(toy: Any) -> None:
    for wish in (Wish([], 5), Wish([1], 0)):
        with pytest.raises(ValueError, match="one at least"):
            Sequence(wish, toy.tokenizer, lambda _: None)


def test_the_last_piece_has_a_reason(toy: Any) -> None:
    sequence = Sequence(Wish([1], 5), toy.tokenizer, lambda _: None)
    assert not Piece(sequence, "a").last
    assert Piece(sequence, "a", finish="stop").last
    assert Piece(sequence, "", error=ValueError()).last
