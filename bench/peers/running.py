"""A peer at work: its processes on their cores, until it is told to end.

A process that does not come up is reported with the end of what it printed. Children die with
this process (Linux's parent-death signal), so that a bench that is killed leaves no port taken.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.cpu import family
from gateway.measure.cores import Cores, on

HOST = "127.0.0.1"
READY_WAIT_S = 90.0
STOP_WAIT_S = 10.0
POLL_S = 0.05
TAIL_CHARS = 300
PR_SET_PDEATHSIG = 1


class NotReady(Exception):
    """A peer that could not be started; the message says what it printed last."""


@dataclass(frozen=True, slots=True)
class Running:
    """Processes that serve at ``port``; ``roots`` are those that were started.

    ``headers`` must be sent with every request.
    """

    port: int
    roots: tuple[int, ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    def processes(self) -> tuple[int, ...]:
        """All processes of the peer, as they are now."""
        return tuple(dict.fromkeys(one for root in self.roots for one in family(root)))


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on at the moment, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def process(
    command: Sequence[str | Path],
    folder: Path,
    cores: Cores,
    *,
    env: Mapping[str, str] | None = None,
    ready: Callable[[], bool],
) -> Iterator[int]:
    """Run ``command`` in ``folder`` on ``cores``; yields its id once ``ready()`` is true.

    Raises NotReady when it ends before, or is not ready within ``READY_WAIT_S``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    printed = folder / "printed.txt"
    with printed.open("wb") as out, on(cores):
        started = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
    try:
        until_s = time.monotonic() + READY_WAIT_S
        while not ready():
            if started.poll() is not None:
                raise NotReady(f"ended with code {started.returncode}: {_tail(printed)}")
            if time.monotonic() > until_s:
                raise NotReady(f"not ready after {READY_WAIT_S:g} s: {_tail(printed)}")
            time.sleep(POLL_S)
        yield started.pid
    finally:
        _end(started)


def answers(port: int, path: str, method: str = "GET") -> Callable[[], bool]:
    """A question for ``process``: does it answer ``path`` with 200?"""

    def ask() -> bool:
        try:
            return fetch(port, path, method)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    return ask


def fetch(
    port: int,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """One exchange: the status and the body."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10.0)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _end(started: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the process, SIGKILL to what is left of its family."""
    members = family(started.pid)
    if started.poll() is None:
        started.terminate()
        try:
            started.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
    for member in members[1:]:
        if os.path.exists(f"/proc/{member}") and _is_ours(member, started.pid):
            _kill(member)


def _is_ours(member: int, session: int) -> bool:
    """Still of the session that was started: an id that was given away is not."""
    try:
        return os.getsid(member) == session
    except ProcessLookupError:
        return False


def _kill(member: int) -> None:
    try:
        os.kill(member, signal.SIGKILL)
    except ProcessLookupError:
        return


def _tail(printed: Path) -> str:
    words = printed.read_text(errors="replace").split()
    return " ".join(words)[-TAIL_CHARS:] or "it printed nothing"


def _die_with_parent() -> Callable[[], None]:
    """What the child runs before it becomes the peer; the library is loaded in the parent."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask_kernel
