"""The physics of the simulated world: its clock, its sockets, its disk, its reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest

from gateway.testing.adversary.disk import Disk, DiskPath
from gateway.testing.adversary.loop import Stuck, VirtualLoop
from gateway.testing.adversary.network import Network
from gateway.testing.adversary.reader import AnswerReader, Misread
from gateway.testing.adversary.sockets import End

ADDRESS = ("there", 1)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


class Hears(asyncio.Protocol):
    """Notes what a protocol hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.end: End | None = None
        self.keeps = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.end = cast(End, transport)

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def eof_received(self) -> bool:
        self.heard.append("eof")
        return self.keeps

    def connection_lost(self, error: Exception | None) -> None:
        self.heard.append(type(error))

    def pause_writing(self) -> None:
        self.heard.append("full")

    def resume_writing(self) -> None:
        self.heard.append("room")


def in_virtual_time(
    talk: Callable[[Network, Hears, Hears], Coroutine[Any, Any, None]], cut: float = 0.0
) -> tuple[Hears, Hears]:
    """``talk`` over one connection; returns who began it and who took it."""
    loop = VirtualLoop()
    network = Network(loop, Random(1), cut=cut)
    loop.network = network
    near, far = Hears(), Hears()
    network.listen(ADDRESS, lambda: far)

    async def main() -> None:
        await loop.create_connection(lambda: near, *ADDRESS)
        await talk(network, near, far)
        await asyncio.sleep(1.0)

    loop.run_until_complete(main())
    loop.close()
    assert loop.faults == []
    return near, far


def test_the_clock_jumps_and_order_is_kept() -> None:
    loop, told = VirtualLoop(), []

    async def main() -> None:
        began_s = loop.time()
        loop.call_later(7200.0, told.append, "late")
        loop.call_later(1.0, told.append, "soon")
        told.append(await loop.run_in_executor(None, lambda: "thread"))
        await asyncio.sleep(10_000.0)
        assert 10_000.0 <= loop.time() - began_s < 10_001.0

    loop.run_until_complete(main())
    loop.close()
    assert told == ["thread", "soon", "late"]
    assert loop.turns < 20


def test_who_waits_for_nothing_is_told() -> None:
    loop = VirtualLoop()
    with pytest.raises(Stuck):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_a_stopped_process_finds_its_timers_overdue() -> None:
    loop, at = VirtualLoop(), []

    async def main() -> None:
        began_s = loop.time()
        loop.call_later(0.1, lambda: at.append(loop.time() - began_s))
        loop.stop_process(5.0)
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.1)

    loop.run_until_complete(main())
    loop.close()
    assert at == [pytest.approx(5.0, abs=0.01)]


def test_bytes_arrive_in_order_however_they_are_cut() -> None:
    async def talk(_network: Network, near: Hears, _far: Hears) -> None:
        assert near.end is not None
        for number in range(50):
            near.end.write(b"%04d" % number * 8)

    _, far = in_virtual_time(talk, cut=0.5)
    assert b"".join(far.heard) == b"".join(b"%04d" % number * 8 for number in range(50))
    assert len(far.heard) > 50


def test_a_blocked_way_holds_and_loses_nothing() -> None:
    async def talk(network: Network, near: Hears, far: Hears) -> None:
        assert near.end is not None
        assert far.end is not None
        way = network.way("gateway", "there")
        way.block()
        near.end.write(b"one")
        far.end.write(b"other way")
        await asyncio.sleep(1.0)
        assert far.heard == []
        assert near.heard == [b"other way"]
        way.heal()

    _, far = in_virtual_time(talk)
    assert far.heard == [b"one"]


def test_half_close_then_answer_then_close() -> None:
    async def talk(_network: Network, near: Hears, far: Hears) -> None:
        assert near.end is not None
        assert far.end is not None
        far.keeps = True
        near.end.write(b"ask")
        near.end.write_eof()
        await asyncio.sleep(0.1)
        far.end.write(b"answer")
        far.end.close()

    near, far = in_virtual_time(talk)
    assert far.heard == [b"ask", "eof", type(None)]
    assert near.heard == [b"answer", "eof", type(None)]


def test_a_write_to_who_has_left_comes_back_as_a_reset() -> None:
    async def talk(_network: Network, near: Hears, far: Hears) -> None:
        assert near.end is not None
        assert far.end is not None
        far.keeps = True
        near.end.close()
        await asyncio.sleep(0.1)
        far.end.write(b"are you there?")
        await asyncio.sleep(0.1)
        assert far.heard == ["eof"]  # nobody tells who has seen the end of file
        assert far.end.get_extra_info("socket").getsockopt(0, 0, 1)[0] == 7
        far.end.write(b"hello?")

    _, far = in_virtual_time(talk)
    assert far.heard == ["eof", BrokenPipeError]


def test_who_does_not_read_fills_the_window_and_then_the_buffer() -> None:
    async def talk(_network: Network, near: Hears, far: Hears) -> None:
        assert near.end is not None
        assert far.end is not None
        near.end.window_bytes = 10
        near.end.set_write_buffer_limits(high=20)
        far.end.pause_reading()
        near.end.write(b"x" * 40)
        await asyncio.sleep(0.1)
        assert near.heard == ["full"]
        assert near.end.get_write_buffer_size() == 30
        far.end.resume_reading()

    near, far = in_virtual_time(talk)
    assert near.heard == ["full", "room"]
    assert b"".join(far.heard) == b"x" * 40


@pytest.mark.parametrize("after", [0, 3])
def test_a_reset_falls_at_a_byte(after: int) -> None:
    async def talk(network: Network, near: Hears, far: Hears) -> None:
        assert near.end is not None
        network.reset_at(network.connected[0], 0, after)
        near.end.write(b"abcdef")

    near, far = in_virtual_time(talk)
    assert ConnectionResetError in near.heard
    assert ConnectionResetError in far.heard
    assert b"abcdef" not in far.heard


def test_a_dead_process_resets_and_a_dead_machine_is_silent() -> None:
    async def crash(network: Network, _near: Hears, _far: Hears) -> None:
        network.crash("there", machine=False)
        with pytest.raises(ConnectionRefusedError):
            await network.connect(Hears, ADDRESS)

    async def power_off(network: Network, near: Hears, _far: Hears) -> None:
        assert near.end is not None
        network.crash("there", machine=True)
        near.end.write(b"anybody?")
        await asyncio.sleep(1.0)
        assert near.heard == []
        network.back("there")
        near.end.write(b"and now?")

    assert in_virtual_time(crash)[0].heard == [ConnectionResetError]
    assert in_virtual_time(power_off)[0].heard == [ConnectionResetError]


@pytest.mark.parametrize("answer", [ANSWER, STREAM, b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER])
def test_an_answer_is_read_however_it_is_cut(answer: bytes) -> None:
    for at in range(1, len(answer)):
        reader = AnswerReader()
        reader.feed(answer[:at], 1.0)
        assert not (reader.answers and not reader.clean)
        reader.feed(answer[at:], 2.0)
        (read,) = reader.answers
        assert (read.status, bytes(read.body), read.ended_s) == (200, b"{}", 2.0)
        assert reader.clean


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTQ/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx",
        ANSWER + b"{}",
        STREAM[:-5] + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_what_is_no_answer_is_not_read_as_one(wrong: bytes) -> None:
    reader = AnswerReader()
    with pytest.raises(Misread):
        reader.feed(wrong, 0.0)


def test_a_full_disk_takes_half_and_then_nothing() -> None:
    disk = Disk()
    path = DiskPath(disk, "log")
    assert not cast(Path, path).exists()
    file = path.open("wb", buffering=0)
    assert file.write(b"whole") == 5
    disk.full = True
    assert file.write(b"1234") == 2
    with pytest.raises(OSError, match="No space"):
        file.write(b"1")
    file.seek(5)
    file.truncate()
    assert bytes(disk.files["log"]) == b"whole"
    with pytest.raises(OSError, match="No space"):
        path.open("wb", buffering=0)
