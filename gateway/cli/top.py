"""``nearway top``: a running gateway in a terminal, told by the frames of its dashboard."""

from __future__ import annotations

import json
import os
import select
import sys
import termios
import threading
import tty
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from gateway.api import InvalidRequest, Overloaded
from gateway.cli.options import ConfigFile, effective
from gateway.cli.top_view import View, pressed, shown

ANSWER_WITHIN_S = 5.0
SILENT_S = 60.0
"""A frame of a very large fleet may be this late."""
AGAIN_S = 1.0
LOOK_S = 0.1
FRAME_BYTES_MAX = 64 * 1024 * 1024


def command(
    admin_url: Annotated[
        str | None,
        typer.Option(help="The admin door of the gateway (default: the config's admin port)."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    config: ConfigFile = None,
) -> None:
    """Centers, traffic, health and latency of a running gateway, live."""
    server = effective(config).settings.server
    url = (admin_url or f"http://{server.admin_host}:{server.admin_port}").rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise InvalidRequest(f"--admin-url: found {url!r}; expected http://HOST:PORT")
    facts = _facts(url)
    console = Console()
    if once or not (console.is_terminal and sys.stdin.isatty()):
        frame = next(frames(url))
        console.print(shown(facts, frame, View(), console.width, 0))
        return
    _watch(console, facts, Reader(url))


def _facts(url: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(  # noqa: S310 - the scheme is checked above
            f"{url}/dashboard/facts", timeout=ANSWER_WITHIN_S
        ) as answer:
            facts: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"--admin-url: {url} does not answer as the admin door of a gateway: {error}"
        ) from None
    return facts


def frames(url: str) -> Iterator[dict[str, Any]]:
    """Frames as they come. Raises OSError when the connection ends, Overloaded when too many
    watch.
    """
    try:
        answer = urllib.request.urlopen(f"{url}/dashboard/events", timeout=SILENT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error:
            told = error.read(1000).decode(errors="replace")
        raise Overloaded(f"{url} sends no frames: {told}") from None
    with answer:
        while line := answer.readline(FRAME_BYTES_MAX):
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    raise ConnectionError("the gateway ended the connection")


class Reader:
    """Reads frames in a thread of its own; keeps the latest. Connects again when it must."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.latest: dict[str, Any] | None = None
        self.note = ""
        self._ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name="frames of the gateway", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                for frame in frames(self._url):
                    self.latest, self.note = frame, ""
                    if self._ended.is_set():
                        return
            except (OSError, ValueError, Overloaded) as error:
                self.note = f"connection lost, trying again: {error}"
                self._ended.wait(AGAIN_S)

    def end(self) -> None:
        """Connect no more."""
        self._ended.set()


def _watch(console: Console, facts: dict[str, Any], reader: Reader) -> None:
    view, drawn = View(), None
    frame = None
    with _keys() as descriptor, Live(console=console, screen=True, auto_refresh=False) as live:
        while not view.ended:
            if not view.paused or frame is None:
                frame = reader.latest
            now = (id(frame), view, console.size, reader.note)
            if frame is not None and now != drawn:
                size, drawn = console.size, now
                live.update(
                    shown(facts, frame, view, size.width, size.height, reader.note), refresh=True
                )
            if select.select([descriptor], [], [], LOOK_S)[0]:
                for key in split_keys(os.read(descriptor, 64).decode(errors="ignore")):
                    view = pressed(view, key)
    reader.end()


def split_keys(text: str) -> list[str]:
    """What was typed, a key each; an arrow is three characters."""
    keys: list[str] = []
    while text:
        size = 3 if text.startswith("\x1b[") else 1
        keys.append(text[:size])
        text = text[size:]
    return keys


@contextmanager
def _keys() -> Iterator[int]:
    """Keys come at once and unechoed; the terminal is afterwards as it was."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    except KeyboardInterrupt:
        return
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
