"""``nearway top`` in a real terminal before a real gateway: keys work, nothing is left behind."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from typing import Any

import pytest

TOP = [sys.executable, "-m", "gateway.cli.main", "top", "--admin-url"]


def test_one_picture_where_there_is_no_terminal(served: Any) -> None:
    done = subprocess.run(
        [*TOP, served.admin_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert "88 centers" in done.stdout
    assert len(done.stdout.splitlines()) >= 88
    assert "\x1b" not in done.stdout


@pytest.mark.timeout(120)
def test_keys_and_the_terminal_afterwards(served: Any) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 90))
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        [*TOP, served.admin_url],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    told = b""

    def until(wanted: bytes) -> None:
        nonlocal told
        begun_s = time.monotonic()
        while wanted not in told:
            assert process.poll() is None, told
            assert time.monotonic() - begun_s < 60, told
            if select.select([ours], [], [], 0.2)[0]:
                told += os.read(ours, 65536)

    try:
        until("answers▼".encode())
        told = b""
        os.write(ours, b"ssssss")
        until("center▼".encode())
        told = b""
        os.write(ours, b"r")
        until("center▲".encode())
        os.write(ours, b"q")
        until(b"\x1b[?1049l")  # back to the screen there was
        assert process.wait(20) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait(5)
        os.close(ours)
        os.close(theirs)
