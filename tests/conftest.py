"""A real gateway in a process of its own, started by its command; shared where it can be."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_WITHIN_S = 60.0


@dataclass
class Served:
    """A running gateway: its doors, and the admin calls tests make. ``grpc``: empty for none."""

    url: str
    admin_url: str
    process: subprocess.Popen[bytes]
    grpc: str = ""

    @property
    def address(self) -> str:
        """host:port, as tritonclient wants it."""
        return self.url.removeprefix("http://")

    def admin(self, method: str, path: str, document: Any = None) -> Any:
        """One admin call; raises on an error status."""
        request = urllib.request.Request(
            f"{self.admin_url}{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def infer(
        self, model: str, body: bytes, origin: str, headers: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """One JSON inference; returns (answer, headers in lower case)."""
        request = urllib.request.Request(
            f"{self.url}/v2/models/{model}/infer",
            data=body,
            headers={
                "content-type": "application/json",
                "x-nearway-origin": origin,
                **(headers or {}),
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer), {k.lower(): v for k, v in answer.headers.items()}


@contextmanager
def running(folder: Path, *flags: str) -> Iterator[Served]:
    """Start ``nearway serve`` on free ports, stop it with SIGTERM."""
    announce = folder / "announce.json"
    announce.unlink(missing_ok=True)
    log = (folder / "stderr.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gateway.cli.main", "serve", "--port", "0"),
            *("--admin-port", "0", "--announce", str(announce), *flags),
        ],
        stderr=log,
        stdout=log,
    )
    try:
        until_s = time.monotonic() + START_WITHIN_S
        while not announce.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise AssertionError((folder / "stderr.log").read_text())
            time.sleep(0.05)
        said = json.loads(announce.read_text())
        yield Served(said["url"], said["admin_url"], process, said.get("grpc", ""))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        log.close()


@pytest.fixture(scope="session")
def start_gateway(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """A function: flags -> context manager of a running gateway."""
    return lambda *flags: running(tmp_path_factory.mktemp("served"), *flags)


@pytest.fixture(scope="session")
def served(start_gateway: Callable[..., Any]) -> Iterator[Served]:
    """The shipped fleet and models, shared by tests that leave it as they found it."""
    with start_gateway() as gateway:
        yield gateway
