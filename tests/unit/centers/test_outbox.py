"""Writes of one turn go out at its end, in order, each connection's in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.centers.outbox import Outbox, TurnWriter


class Wire:
    """A transport that notes what it was given, on a list all wires of a test share."""

    def __init__(self, name: str, sent: list[tuple[str, bytes]]) -> None:
        self.name = name
        self.sent = sent
        self.closing = False
        self.broken = False

    def write(self, payload: bytes) -> None:
        if self.broken:
            raise RuntimeError("the handler is closed")
        self.sent.append((self.name, payload))

    def is_closing(self) -> bool:
        return self.closing


class Turn:
    """The end of a turn comes when a test says so."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.outbox = Outbox(self.soon.append)

    def writer(self, name: str) -> tuple[TurnWriter, Any]:
        wire = Wire(name, self.sent)
        return TurnWriter(self.outbox, wire), wire  # type: ignore[arg-type]  # a stand-in

    def end(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for callback in soon:
            callback()


def test_nothing_is_sent_within_the_turn_and_all_in_order_at_its_end() -> None:
    turn = Turn()
    (first, _), (second, _) = turn.writer("a"), turn.writer("b")
    first.write(b"1")
    second.write(b"2")
    first.write(b"3")
    assert turn.sent == []
    assert len(turn.soon) == 1
    turn.end()
    assert turn.sent == [("a", b"13"), ("b", b"2")]
    first.write(b"4")
    turn.end()
    assert turn.sent[-1] == ("a", b"4")


def test_what_has_to_go_first_is_sent_at_once_and_only_once() -> None:
    turn = Turn()
    writer, _ = turn.writer("a")
    writer.write(b"answer")
    writer.send()
    assert turn.sent == [("a", b"answer")]
    writer.write(b"next")
    turn.end()
    turn.end()
    assert turn.sent == [("a", b"answer"), ("a", b"next")]


def test_a_connection_that_is_gone_keeps_nobody_elses_words_back() -> None:
    turn = Turn()
    (closing, its), (broken, other), (good, _) = map(turn.writer, ("a", "b", "c"))
    for writer in (closing, broken, good):
        writer.write(b"x")
    its.closing = other.broken = True
    turn.end()
    assert turn.sent == [("c", b"x")]
    its.closing = False
    turn.end()
    assert turn.sent == [("c", b"x")]


def test_what_waits_can_be_taken_back_with_all_that_follows() -> None:
    turn = Turn()
    writer, _ = turn.writer("a")
    first, head = b"first", b"head"
    for payload in (first, head, b"chunk"):
        writer.write(payload)
    assert not writer.take_back(bytes(bytearray(b"head")))
    assert writer.take_back(head)
    assert not writer.take_back(head)
    writer.write(b"error")
    turn.end()
    assert turn.sent == [("a", b"firsterror")]
    assert not writer.take_back(first)
