"""Frames from a door that stalls, refuses or ends; keys as a terminal sends them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.api import InvalidRequest, Overloaded
from gateway.cli.main import app
from gateway.cli.top import Reader, frames, split_keys


@contextmanager
def door(status: int, *chunks: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            for chunk in chunks:
                self.wfile.write(chunk)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_frames_until_the_connection_ends() -> None:
    with door(200, b': hello\n\ndata: {"n"', b": 1}\n\n", b'data: {"n": 2}\n\n') as url:
        told = frames(url)
        assert [next(told), next(told)] == [{"n": 1}, {"n": 2}]
        with pytest.raises(ConnectionError, match="ended"):
            next(told)


def test_a_refusal_says_why() -> None:
    with (
        door(429, b'{"error": "32 dashboards are open"}') as url,
        pytest.raises(Overloaded, match="32 dashboards"),
    ):
        next(frames(url))


def test_a_reader_keeps_the_latest_and_says_that_it_tries_again() -> None:
    with door(200, b'data: {"n": 1}\n\ndata: {"n": 2}\n\n') as url:
        reader = Reader(url)
        for _ in range(1000):
            if reader.note:
                break
            threading.Event().wait(0.01)
        assert reader.latest == {"n": 2}
        assert "trying again" in reader.note
        reader.end()
        reader.thread.join(10)
        assert not reader.thread.is_alive()


@pytest.mark.parametrize(
    ("url", "why"), [("ftp://x", "expected http://"), ("http://127.0.0.1:9", "does not answer")]
)
def test_a_door_that_is_none_is_named(url: str, why: str) -> None:
    done = CliRunner().invoke(app, ["top", "--once", "--admin-url", url])
    assert isinstance(done.exception, InvalidRequest)
    assert url in str(done.exception)
    assert why in str(done.exception)


def test_keys_come_one_by_one() -> None:
    assert split_keys("sq") == ["s", "q"]
    assert split_keys("\x1b[Aj\x1b[B") == ["\x1b[A", "j", "\x1b[B"]
