"""A gateway in a process of its own, started by its command and gone with its parent.

    async with GatewayProcess(GatewayOptions(sites="core")) as gateway:
        ...                                # gateway.url, gateway.admin_url, gateway.pid

A config file is written to a temporary folder; the gateway announces its addresses in a file
there once it is ready, and what it prints goes to another, whose end becomes part of the
message when it does not come up. On leaving it gets SIGTERM, and SIGKILL when it does not
drain in time. Should this process die first, the kernel ends the gateway (Linux's
parent-death signal), so that no port stays taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from gateway.api import ConfigError, NearwayError

START_WAIT_S = 60.0
STOP_WAIT_S = 15.0
POLL_S = 0.05
TAIL_BYTES = 2000
COMMAND = (sys.executable, "-m", "gateway.cli.main")
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What the gateway's config says; a key a field, sections as in the config file."""

    sites: Literal["all", "core"] = "all"
    fleet: Path | None = None
    models: tuple[Path, ...] = ()
    profile: str = "cloud"
    seed: int = 1
    border_ms: float = 60.0
    last_mile_ms: float = 0.0
    jitter: bool = True
    policy: str = ""
    gateway_delay_ms: float = 0.0

    def toml(self) -> str:
        """The config file: both ports picked by the kernel."""
        return toml_text(self.sections())

    def sections(self) -> dict[str, dict[str, object]]:
        """What the config file says, by section."""
        sections: dict[str, dict[str, object]] = {
            "server": {"port": 0, "admin_port": 0},
            "network": {
                "profile": self.profile,
                "seed": self.seed,
                "border_ms": self.border_ms,
                "last_mile_ms": self.last_mile_ms,
                "jitter": self.jitter,
            },
            "fleet": {"sites": self.sites},
            "planted": {"gateway_delay_ms": self.gateway_delay_ms},
        }
        if self.fleet is not None:
            sections["fleet"]["file"] = str(self.fleet.resolve())
        if self.models:
            sections["models"] = {"dirs": [str(folder.resolve()) for folder in self.models]}
        if self.policy:
            sections["routing"] = {"policy": self.policy}
        return sections


class _Announced(msgspec.Struct, frozen=True):
    """What the gateway writes once it is ready."""

    url: str
    admin_url: str
    pid: int


class GatewayProcess:
    """Starts the gateway on entry, ends it on exit; ``url`` and ``admin_url`` in between.

    Raises ConfigError on entry when the process ends, or is not ready within
    ``start_wait_s``: the message holds what it printed last.
    """

    def __init__(
        self,
        options: GatewayOptions,
        *,
        command: tuple[str, ...] = COMMAND,
        start_wait_s: float = START_WAIT_S,
        stop_wait_s: float = STOP_WAIT_S,
    ) -> None:
        self.url = ""
        self.admin_url = ""
        self.pid = 0
        self._options = options
        self._command = command
        self._start_wait_s = start_wait_s
        self._stop_wait_s = stop_wait_s
        self._process: asyncio.subprocess.Process | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> GatewayProcess:
        self._folder = tempfile.TemporaryDirectory(prefix="nearway-verify-")
        folder = Path(self._folder.name)
        try:
            await self._start(folder)
            told = await self._announced(folder / "announce.json")
        except BaseException:
            await self._end()
            raise
        self.url, self.admin_url, self.pid = told.url, told.admin_url, told.pid
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    def check_alive(self) -> None:
        """Raises GatewayDied, with what it printed last, when the process has ended."""
        if self._process is None or self._process.returncode is not None:
            code = "unknown" if self._process is None else self._process.returncode
            raise GatewayDied(f"the gateway ended with code {code} meanwhile{self._said()}")

    def printed(self) -> str:
        """The end of what the gateway printed."""
        if self._folder is None:
            return ""
        with contextlib.suppress(OSError), Path(self._folder.name, "printed.txt").open("rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - TAIL_BYTES))
            return f.read().decode("utf-8", "replace").strip()
        return ""

    async def _start(self, folder: Path) -> None:
        config = folder / "gateway.toml"
        config.write_text(self._options.toml(), encoding="utf-8")
        arguments = ("serve", "--config", str(config), "--announce", str(folder / "announce.json"))
        with (folder / "printed.txt").open("wb") as printed:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    *arguments,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=printed,
                    stderr=printed,
                    preexec_fn=die_with_parent(),
                )
            except OSError as error:
                raise ConfigError(
                    f"the gateway cannot be started by {self._command[0]!r}: {error.strerror}; "
                    "expected a Python that can run -m gateway.cli.main"
                ) from error

    async def _announced(self, file: Path) -> _Announced:
        """Wait for the announcement; the process may end or stay silent instead."""
        assert self._process is not None
        until_s = time.monotonic() + self._start_wait_s
        while True:
            if file.is_file():
                return msgspec.json.decode(file.read_bytes(), type=_Announced)
            if self._process.returncode is not None:
                code = self._process.returncode
                raise ConfigError(
                    f"the gateway ended with code {code} while starting{self._said()}"
                )
            if time.monotonic() > until_s:
                raise ConfigError(
                    f"the gateway was not ready within {self._start_wait_s:g} s{self._said()}"
                )
            await asyncio.sleep(POLL_S)

    def _said(self) -> str:
        printed = self.printed()
        return f"; it printed:\n{printed}" if printed else "; it printed nothing"

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self._stop_wait_s):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


class GatewayDied(NearwayError):
    """The gateway under test ended while it was measured; there is nothing to judge."""


def toml_text(sections: Mapping[str, Mapping[str, object]]) -> str:
    """A config file of these sections; values are strings, numbers, booleans and lists."""
    return "\n".join(_table(name, keys) for name, keys in sections.items())


def die_with_parent() -> Callable[[], None] | None:
    """What the child runs before it becomes the gateway; None where the kernel can't do it.

    The library is loaded in the parent: between fork and exec only the call itself is made.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def _table(name: str, keys: Mapping[str, object]) -> str:
    # JSON's strings, numbers, booleans and lists of strings are TOML's too.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "\n".join([f"[{name}]", *lines, ""])
