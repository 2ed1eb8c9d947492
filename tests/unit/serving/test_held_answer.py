"""An answer is held, sent whole or as a stream, or forgotten."""

from __future__ import annotations

from typing import Any

from gateway.centers.port import Head
from gateway.serving.arrival import Parts
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


def test_what_is_forgotten_is_never_sent(world: Any) -> None:
    held = HeldAnswer(world.answer)
    held.head = Head(500, "text/plain", None)
    held.add(b"x" * (HELD_BYTES_MAX + 1))
    assert held.full
    held.forget()
    assert not held.full
    held.head = OK
    held.add(b"good")
    held.send(0, Parts(0.0, 1.0, 0.0, 1.0))
    assert world.answer.head is OK
    assert world.answer.body == b"good"
