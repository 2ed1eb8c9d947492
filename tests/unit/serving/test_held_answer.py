"""An answer is held until it is sent, then goes through."""

from __future__ import annotations

from typing import Any

from gateway.centers.port import Head
from gateway.serving.held_answer import HELD_BYTES_MAX, HeldAnswer

OK = Head(200, "application/json", None)


def test_nothing_is_sent_before_send_and_everything_goes_through_after_it(world: Any) -> None:
    held = HeldAnswer(world.answer)
    held.head = OK
    held.add(b"a")
    held.add(b"b")
    assert world.answer.told == []
    held.send(1, None)
    held.add(b"c")
    assert world.answer.told == ["head", "chunk", "chunk", "chunk"]
    assert (world.answer.body, world.answer.center) == (b"abc", 1)
    assert held.streaming


def test_what_is_held_has_a_bound(world: Any) -> None:
    held = HeldAnswer(world.answer)
    held.head = OK
    held.add(b"x" * HELD_BYTES_MAX)
    assert not held.full
    held.add(b"x")
    assert held.full
