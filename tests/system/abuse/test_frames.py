"""A center process among strangers: garbage, lies, silence and floods at its door for frames."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from struct import pack

import pytest

from bench.abuse.target import descriptors_of, forget_peak, rss_mb
from gateway.wire import frames
from gateway.wire.frames import Hello, encode

HELLO = encode(Hello(frames.PROTOCOL, frames.VERSION, "stranger", 100, 2**26, 2**20))
PROBE = encode(frames.Probe(1, "nobody", "Shanghai"))
START_WITHIN_S = 60.0


@dataclass
class Center:
    """A ``nearway center``."""

    port: int
    http: str
    pid: int


@pytest.fixture(scope="module")
def center(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Center]:
    folder = tmp_path_factory.mktemp("strangers")
    announce, log = folder / "announce.json", folder / "log.txt"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.cli.main", "center", "--region", "cn-east-4"),
                *("--zone", "a", "--port", "0", "--announce", str(announce)),
            ],
            stdout=printed,
            stderr=printed,
        )
        try:
            until_s = time.monotonic() + START_WITHIN_S
            while not announce.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until_s, log.read_text()
                time.sleep(0.05)
            said = json.loads(announce.read_text())
            port = int(said["urls"][0].rpartition(":")[2])
            yield Center(port, said["http"], process.pid)
        finally:
            process.terminate()
            process.wait(20)


def said_to(center: Center, *pieces: bytes) -> bytes:
    """Everything it says until it closes; what it does not close in time is an error."""
    with socket.create_connection(("127.0.0.1", center.port), timeout=20) as raw:
        told = b""
        try:
            for piece in pieces:
                raw.sendall(piece)
            while piece := raw.recv(65536):
                told += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # it closed while more was being sent
        return told


def is_alive(center: Center) -> bool:
    with urllib.request.urlopen(f"{center.http}/v2/health/live", timeout=10) as answer:
        return bool(answer.status == 200)


@pytest.mark.parametrize(
    "pieces",
    [
        (bytes(100_000),),
        (pack(">IH", 0xFFFFFF, 0xFFFF),),
        (b"\x00" + b"\xff" * 1000,),
        (pack(">IH", 10, 8) + b"\xc1" * 8,),
        (pack(">IH", 0xFFFF, 0xFFF0) + b"\x91" * 0xFFFD,),
        (encode(Hello("somebody-elses", 1, "", 1, 1, 1)),),
        (encode(Hello(frames.PROTOCOL, 10**9, "", 1, 1, 1)),),
        (HELLO, HELLO),
        (HELLO, pack(">IH", 2**31, 10)),
        (HELLO, encode(frames.Reply(1), b"x" * 1000)),
        (HELLO, pack(">IH", 12, 10) + b"\x98\x03" + b"\xff" * 8),
        (PROBE,),
    ],
)
def test_garbage_is_told_and_closed(center: Center, pieces: tuple[bytes, ...]) -> None:
    told = said_to(center, *pieces)
    assert b"the peer sent" in told or b"does not send" in told
    assert is_alive(center)


def test_floods_cost_nothing_that_stays(center: Center) -> None:
    before, open_before = rss_mb(center.pid), descriptors_of(center.pid)
    forget_peak(center.pid)
    silent = [socket.create_connection(("127.0.0.1", center.port), timeout=10) for _ in range(300)]
    for number, raw in enumerate(silent):
        raw.sendall((b"", b"\x00", HELLO[:-1], HELLO)[number % 4])
    assert is_alive(center)
    with socket.create_connection(("127.0.0.1", center.port), timeout=10) as unread:
        unread.sendall(HELLO)
        unread.settimeout(1.0)
        try:
            for _ in range(5_000):
                unread.sendall(PROBE.replace(b"\x0b\x01", b"\x0b\x02") * 20)
        except (TimeoutError, ConnectionError):
            pass  # it does not read who does not read
        assert is_alive(center)
    for raw in silent:
        raw.close()
    until_s = time.monotonic() + 15.0
    while descriptors_of(center.pid) > open_before and time.monotonic() < until_s:
        time.sleep(0.05)
    assert descriptors_of(center.pid) <= open_before
    assert rss_mb(center.pid, peak=True) - before < 64
    assert is_alive(center)
