from __future__ import annotations

import itertools
from typing import Any

import pytest

from gateway.engine.generation import Batch, Piece, Sampling, Sequence, Wish
from gateway.engine.generation.batch import READ_TOKENS

QUESTIONS = ("What is a tuyere?", "What does grid-load read?", "What is rail-inspection for?")


class Run:
    """A batch and what its sequences said, by number."""

    def __init__(self, toy: Any, rows_max: int = 4) -> None:
        self.toy = toy
        self.batch = Batch(toy.run, toy.language, rows_max)
        self.pieces: dict[int, list[Piece]] = {}
        self.sequences: list[Sequence] = []

    def add(self, wish: Wish) -> Sequence:
        sequence = Sequence(wish, self.toy.tokenizer, lambda _: None, len(self.sequences))
        self.sequences.append(sequence)
        self.pieces[sequence.index] = []
        self.batch.add(sequence)
        return sequence

    def step(self) -> None:
        for piece in self.batch.step():
            self.pieces[piece.sequence.index].append(piece)

    def all(self) -> None:
        while self.batch.busy:
            self.step()

    def tokens(self, number: int) -> bytes:
        return "".join(piece.text for piece in self.pieces[number]).encode()


def test_texts_that_join_and_leave_write_what_each_writes_alone(toy: Any) -> None:
    run, texts = Run(toy, rows_max=3), ["a", "bcd" * 30, "efghij", "k", "lm" * 50, "n"]
    expected = {}
    for number, text in enumerate(texts):
        run.add(toy.wish(text, 5 + 7 * (number % 3)))
        run.step()
        run.step()
    run.all()
    for number, text in enumerate(texts):
        count = 5 + 7 * (number % 3)
        prompt = toy.tokenizer.completion(text)
        expected[number] = toy.tokenizer.decode(toy.alone(prompt, count))
        said = "".join(piece.text for piece in run.pieces[number])
        assert said == expected[number]
        assert sum(piece.tokens for piece in run.pieces[number]) == count
        assert [piece.finish for piece in run.pieces[number]][-1] == "length"
    assert len(set(expected.values())) == len(texts)
    assert run.batch.rows == 0


def test_a_long_prompt_is_read_in_parts_and_keeps_nobody_from_writing(toy: Any) -> None:
    run = Run(toy)
    run.add(toy.wish("x", 40))
    run.step()
    prompt = toy.tokenizer.completion("long " * 120)
    run.add(Wish(prompt, 3))
    toy.runs.clear()
    run.all()
    widths = [new for _, new in toy.runs]
    assert max(widths) <= READ_TOKENS
    reads = [at for at, new in enumerate(widths) if new > 1]
    assert len(reads) == -(-len(prompt) // READ_TOKENS)
    assert all(after - before == 2 for before, after in itertools.pairwise(reads))
    assert "".join(piece.text for piece in run.pieces[1]) == toy.tokenizer.decode(
        toy.alone(prompt, 3)
    )


def test_who_waits_joins_when_a_row_is_free(toy: Any) -> None:
    run = Run(toy, rows_max=2)
    for _ in range(5):
        run.add(toy.wish("a", 4))
    run.step()
    assert run.batch.rows == 2
    run.all()
    assert all(len(pieces) == 4 for pieces in run.pieces.values())
    assert max(batch for batch, _ in toy.runs) == 2


def test_one_that_is_cancelled_leaves_before_the_next_run(toy: Any) -> None:
    run = Run(toy)
    first, second = run.add(toy.wish("a", 30)), run.add(toy.wish("b", 6))
    waiting = run.add(toy.wish("c", 6))
    run.step()
    run.step()
    first.cancelled = waiting.cancelled = True
    said = len(run.pieces[first.index])
    run.all()
    assert len(run.pieces[first.index]) == said
    alone = toy.alone(second.prompt, 6)
    assert "".join(p.text for p in run.pieces[second.index]) == toy.tokenizer.decode(alone)
    assert run.batch.step() == []


def test_stop_strings_and_the_end_token_end_a_text(toy: Any) -> None:
    run = Run(toy)
    prompt = toy.tokenizer.completion("abc")
    text = toy.tokenizer.decode(toy.alone(prompt, 8))
    run.add(Wish(prompt, 8, stops=(text[3:5],)))
    run.all()
    assert "".join(piece.text for piece in run.pieces[0]) == text[:3]
    assert run.pieces[0][-1].finish == "stop"
    toy.bias[toy.tokenizer.end_id] = 1e6
    ended = Run(toy)
    ended.add(Wish(prompt, 8))
    ended.all()
    assert ended.pieces[0][-1].finish == "stop"
    assert ended.pieces[0][-1].tokens == 0


def test_a_seed_draws_the_same_in_company(toy: Any) -> None:
    def said(company: int) -> str:
        run = Run(toy)
        run.add(toy.wish("a", 12, sampling=Sampling(1.0, 0.9, 5)))
        for number in range(company):
            run.add(toy.wish("b", 3 + number, sampling=Sampling(1.0, 1.0, number)))
        run.all()
        return "".join(piece.text for piece in run.pieces[0])

    assert said(0) == said(3)


def test_likelihoods_are_told_where_they_are_asked_for(toy: Any) -> None:
    run = Run(toy)
    run.add(toy.wish("a", 3, top_logprobs=2))
    run.add(toy.wish("b", 3))
    run.all()
    for piece in run.pieces[0]:
        assert piece.likelihood is not None
        assert piece.likelihood.log <= 0.0
        assert piece.likelihood.top[0][1] == piece.likelihood.log  # greedy
    assert all(piece.likelihood is None for piece in run.pieces[1])


def test_a_run_that_fails_comes_out_and_all_can_be_let_go(toy: Any) -> None:
    run = Run(toy)
    run.add(toy.wish("a"))
    toy.fails = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        run.batch.step()
    assert run.batch.abandon() == run.sequences
    assert not run.batch.busy
    toy.fails = None
    again = run.add(toy.wish("a", 4))
    run.all()
    assert len(run.pieces[again.index]) == 4


def test_the_shipped_model_says_in_company_what_it_says_alone(chat_model: Any) -> None:
    language = chat_model.language

    def said(questions: tuple[str, ...], rows_max: int) -> list[str]:
        batch, out = Batch(chat_model.run, language, rows_max), [""] * len(questions)
        for index, question in enumerate(questions):
            wish = Wish(language.tokenizer.chat([("user", question)]), 100)
            batch.add(Sequence(wish, language.tokenizer, lambda _: None, index))
        while batch.busy:
            for piece in batch.step():
                out[piece.sequence.index] += piece.text
        return out

    alone = [said((question,), 1)[0] for question in QUESTIONS]
    assert said(QUESTIONS * 3, 4) == alone * 3
    assert alone[0] == "A tuyere is a nozzle that blows hot air into the furnace."
