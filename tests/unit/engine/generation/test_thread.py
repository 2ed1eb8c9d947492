from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from gateway.api import CenterDown, CenterFailed
from gateway.engine.generation import Batch, GenerationThread, Piece, Place, Sequence


class Hearing:
    """Pieces of one sequence as the loop hears them; ``over`` when the last is there."""

    def __init__(self, toy: Any, text: str, tokens_max: int) -> None:
        self.pieces: list[Piece] = []
        self.over = asyncio.Event()
        self.threads: set[str] = set()
        self.sequence = Sequence(toy.wish(text, tokens_max), toy.tokenizer, self.hear)

    def hear(self, piece: Piece) -> None:
        self.threads.add(threading.current_thread().name)
        self.pieces.append(piece)
        if piece.last:
            self.over.set()


@pytest.fixture
async def thread() -> Any:
    thread = GenerationThread(asyncio.get_running_loop().call_soon_threadsafe)
    yield thread
    thread.close()
    thread.close()


async def test_places_share_the_thread_and_pieces_are_heard_on_the_loop(
    toy: Any, thread: GenerationThread
) -> None:
    places = [thread.place(Batch(toy.run, toy.language, 2)) for _ in range(3)]
    heard = [Hearing(toy, "ab", 6) for _ in range(9)]
    for number, one in enumerate(heard):
        places[number % 3].add(one.sequence)
    async with asyncio.timeout(20):
        for one in heard:
            await one.over.wait()
    assert all(len(one.pieces) == 6 for one in heard)
    assert {name for one in heard for name in one.threads} == {threading.main_thread().name}
    assert [place.tokens for place in places] == [18, 18, 18]
    again = Hearing(toy, "c", 3)
    places[0].add(again.sequence)
    async with asyncio.timeout(20):
        await again.over.wait()


async def test_a_model_that_fails_ends_those_it_wrote_and_no_others(
    toy: Any, thread: GenerationThread
) -> None:
    place = thread.place(Batch(toy.run, toy.language, 2))
    toy.fails = ValueError("out of order")
    first = Hearing(toy, "a", 3)
    place.add(first.sequence)
    async with asyncio.timeout(20):
        await first.over.wait()
    assert isinstance(first.pieces[-1].error, CenterFailed)
    toy.fails = None
    second = Hearing(toy, "a", 3)
    place.add(second.sequence)
    async with asyncio.timeout(20):
        await second.over.wait()
    assert second.pieces[-1].finish == "length"


async def test_one_that_is_cancelled_hears_nothing_more(toy: Any, thread: GenerationThread) -> None:
    place = thread.place(Batch(toy.run, toy.language, 2))
    left, stays = Hearing(toy, "a", 500), Hearing(toy, "b", 5)
    place.add(left.sequence)
    place.add(stays.sequence)
    left.sequence.cancelled = True
    async with asyncio.timeout(20):
        await stays.over.wait()
    assert left.pieces == []


async def test_closing_ends_everybody(toy: Any) -> None:
    thread = GenerationThread(asyncio.get_running_loop().call_soon_threadsafe)
    place = thread.place(Batch(toy.run, toy.language, 1))
    under_way, late = Hearing(toy, "a", 100_000), Hearing(toy, "b", 3)
    place.add(under_way.sequence)
    thread.close()
    place.add(late.sequence)
    async with asyncio.timeout(20):
        await under_way.over.wait()
        await late.over.wait()
    assert isinstance(under_way.pieces[-1].error, CenterDown)
    assert isinstance(late.pieces[-1].error, CenterDown)


def test_a_slow_place_hands_over_when_its_time_is_over(toy: Any) -> None:
    now = [10.0]

    def clock() -> float:
        now[0] += 0.5  # a reading of the clock before the run and one behind it
        return now[0]

    place = Place(None, Batch(toy.run, toy.language, 2), pace=3.0)  # type: ignore[arg-type]
    sequence = Sequence(toy.wish("a", 2), toy.tokenizer, lambda _: None)
    place._arrived.append(sequence)
    assert place.work(clock) == ([], True)
    assert place.due_s == 10.5 + 1.5
    assert sequence.reading_s == 1.5
    first, more = place.work(clock)
    assert [piece.text for piece in first] != []
    assert more
    second, more = place.work(clock)
    assert [piece.finish for piece in second] == ["length"]
    assert not more
