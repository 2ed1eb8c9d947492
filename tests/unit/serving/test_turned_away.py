"""Connections over the bound."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from gateway.serving import turned_away
from gateway.serving.turned_away import AT_ONCE_MAX, TurnedAway, turning_away


async def test_the_first_bytes_are_answered_and_what_follows_is_dropped(Wire: Any) -> None:  # noqa: N803 - a class
    others: set[TurnedAway] = set()
    wire = Wire(TurnedAway(others, turning_away(7)))
    assert (wire.written, wire.closed) == (b"", False)
    wire.feed(b"GET / HTTP/1.1\r\n")
    head, _, body = wire.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert b"x-nearway-reason: connections" in head
    assert b"Connection: close" in head
    told = json.loads(body)
    assert told["reason"] == "connections"
    assert "server.connections_max" in told["error"]
    assert "7 connections" in told["error"]
    assert wire.eof_written
    wire.feed(b"Host: a\r\n\r\n")
    assert wire.written.count(b"HTTP/1.1") == 1
    wire.lose()
    assert not others


async def test_who_says_nothing_and_who_stays_is_closed(Wire: Any, monkeypatch: Any) -> None:  # noqa: N803 - a class
    monkeypatch.setattr(turned_away, "SILENT_S", 0.0)
    monkeypatch.setattr(turned_away, "LINGER_S", 0.0)
    others: set[TurnedAway] = set()
    silent, staying = (Wire(TurnedAway(others, turning_away(7))) for _ in range(2))
    staying.feed(b"x")
    for _ in range(3):
        await asyncio.sleep(0.001)
    assert silent.aborted
    assert staying.aborted
    assert not others


async def test_in_a_storm_the_last_are_closed_without_a_word(Wire: Any) -> None:  # noqa: N803 - a class
    others: set[TurnedAway] = set()
    wires = [Wire(TurnedAway(others, turning_away(7))) for _ in range(AT_ONCE_MAX + 5)]
    assert sum(wire.aborted for wire in wires) == 5
    assert len(others) == AT_ONCE_MAX
    for one in tuple(others):
        one.abort()
    await asyncio.sleep(0)
    assert not others
