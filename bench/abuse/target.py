"""What is attacked, and how it does: a real gateway process, looked at from outside."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import gateway_models

MB = 1024 * 1024
START_WITHIN_S = 60.0
MODEL = "blast-furnace"


@dataclass(frozen=True)
class Target:
    """A gateway: its two doors, its process, and how many of everything an attack uses.

    ``models``: its repository, into which an attacker may have got something.
    ``scale``: 1.0 is the whole attack, a small portion is enough to see that the bounds hold.
    """

    url: str
    admin_url: str
    pid: int
    scale: float = 1.0
    models: Path = Path()

    @property
    def address(self) -> tuple[str, int]:
        """Of the public door."""
        return address_of(self.url)

    def times(self, whole: int) -> int:
        """``whole`` at this scale, at least 1."""
        return max(1, int(whole * self.scale))


def address_of(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def descriptors_of(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def rss_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory now, or its peak since the last ``forget_peak``."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} says nothing of {wanted}")


def forget_peak(pid: int) -> None:
    """The peak begins anew (Documentation/filesystems/proc.rst, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextmanager
def serving(
    folder: Path, config: str, *, scale: float = 1.0, files_max: int = 0
) -> Iterator[Target]:
    """A gateway by its command, with ``config`` (TOML), on free ports; stopped in the end.

    ``files_max``: how many files it may open, 0: as many as this process. One shipped model lies
    in ``folder/models``.
    """
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / MODEL).symlink_to(Path(gateway_models.__file__).parent / MODEL)
    announce, file, log = folder / "announce.json", folder / "abuse.toml", folder / "log.txt"
    announce.unlink(missing_ok=True)
    file.write_text(config)
    limited = ["sh", "-c", f'ulimit -n {files_max}; exec "$@"', "sh"] if files_max else []
    with log.open("wb") as told:
        process = subprocess.Popen(
            [
                *limited,
                *(sys.executable, "-m", "gateway.cli.main", "serve", "--config", str(file)),
                *("--port", "0", "--admin-port", "0", "--announce", str(announce)),
            ],
            stdout=told,
            stderr=told,
        )
        try:
            until_s = time.monotonic() + START_WITHIN_S
            while not announce.exists():
                if process.poll() is not None or time.monotonic() > until_s:
                    raise AssertionError(log.read_text())
                time.sleep(0.05)
            said = json.loads(announce.read_text())
            yield Target(said["url"], said["admin_url"], process.pid, scale, models)
            assert process.poll() is None, log.read_text()[-2000:]
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


@dataclass
class Health:
    """What a client saw that asked for health all the time, on a new connection each time."""

    ms: list[float]
    failures: list[str]

    def quantile(self, share: float) -> float:
        """In ms; nan without an answer."""
        ordered = sorted(self.ms)
        return (
            ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
        )


class Watch:
    """Filled in when ``watching`` ends."""

    def __init__(self) -> None:
        self.health = Health([], [])
        self.growth_mb = 0.0
        self.kept_mb = 0.0
        self.descriptors_left = 0


@contextmanager
def watching(target: Target, *, settle_s: float = 15.0) -> Iterator[Watch]:
    """Watch memory, descriptors and health; then wait until every descriptor is given back."""
    watch = Watch()
    before = rss_mb(target.pid)
    open_before = descriptors_of(target.pid)
    forget_peak(target.pid)
    host, port = target.address
    asking = subprocess.Popen(
        [sys.executable, "-S", str(Path(__file__).with_name("asking.py")), host, str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert asking.stdout is not None
    asking.stdout.readline()  # it has had its first answer
    try:
        yield watch
    finally:
        asking.send_signal(signal.SIGTERM)
        told, _ = asking.communicate(timeout=30)
    watch.health = Health(**json.loads(told))
    watch.growth_mb = rss_mb(target.pid, peak=True) - before
    until_s = time.monotonic() + settle_s
    while descriptors_of(target.pid) > open_before and time.monotonic() < until_s:
        time.sleep(0.05)
    watch.descriptors_left = descriptors_of(target.pid) - open_before
    watch.kept_mb = rss_mb(target.pid) - before


def raise_own_limit() -> int:
    """As many descriptors for the attacker as the system gives; returns how many."""
    import resource  # a Linux bench

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def is_alive(target: Target) -> bool:
    """A last question, on a connection of its own."""
    with socket.create_connection(target.address, timeout=10) as raw:
        raw.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return raw.recv(64).startswith(b"HTTP/1.1 200")
