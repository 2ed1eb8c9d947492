"""Processes that are asked: a gateway with one center, an upstream, nginx; and what is claimed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.generation.upstream import MODEL

START_WITHIN_S = 60.0
HERE = """
[[center]]
id = "here"
city = "Wuhu"
country = "CN"
lat = 31.33
lon = 118.38
"""
OWN: Final = f'{HERE}emulate = "none"\nmodels = ["industry-chat"]\n'
NGINX = """\
daemon off;
pid nginx.pid;
error_log stderr error;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    access_log off;
    upstream served {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://served;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure beside what was promised: at most, or at least, ``bound``."""

    what: str
    found: float
    bound: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Is it on the right side?"""
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    @property
    def word(self) -> str:
        """For the table."""
        return "yes" if self.kept else "NO"

    @property
    def promised(self) -> str:
        """For the table."""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"

    def told(self) -> dict[str, Any]:
        """For a file."""
        return {"what": self.what, "found": self.found, "bound": self.bound, "kept": self.kept}


@dataclass(frozen=True, slots=True)
class Running:
    """A process and where it listens."""

    pid: int
    port: int


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def gateway(fleet: str) -> Iterator[Running]:
    """A gateway before the centers of ``fleet``, a fleet file."""
    with tempfile.TemporaryDirectory(prefix="nearway-bench-") as name:
        folder = Path(name)
        said, config = folder / "said", folder / "nearway.toml"
        (folder / "fleet.toml").write_text(fleet)
        config.write_text("[remote]\nindex_s = 1.0\n[server]\nready_centers_min = 0.1\n")
        command = [sys.executable, "-m", "gateway.cli.main", "serve", "--port", "0"]
        command += ["--admin-port", "0", "--config", str(config), "--announce", str(said)]
        command += ["--fleet", str(folder / "fleet.toml")]
        with process(command, folder, said.exists) as pid:
            url = json.loads(said.read_text())["url"]
            yield Running(pid, int(url.rpartition(":")[2]))


@contextmanager
def upstream(pace_ms: float) -> Iterator[Running]:
    """The server that costs nothing."""
    port = free_port()
    command = [sys.executable, "-m", "bench.generation.upstream", str(port), str(pace_ms)]
    with process(command, Path.cwd(), lambda: listens(port)) as pid:
        yield Running(pid, port)


@contextmanager
def nginx(behind: int) -> Iterator[Running | None]:
    """nginx before a port; None where it is not installed. The pid is its worker's."""
    if shutil.which("nginx") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="nearway-bench-") as name:
        folder, port = Path(name), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(port=port, upstream=behind))
        command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with process(command, folder, lambda: listens(port)) as pid:
            (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            yield Running(int(worker), port)


def before(upstream: int) -> str:
    """The fleet file of a gateway before an upstream."""
    return f'{HERE}url = "http://127.0.0.1:{upstream}"\nmodels = ["{MODEL}"]\n'


def listens(port: int) -> bool:
    """Does somebody?"""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def process(command: list[str], folder: Path, ready: Callable[[], bool]) -> Iterator[int]:
    """Its pid, once it is ready; killed in the end. Exits when it does not start."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until_s = time.monotonic() + START_WITHIN_S
        while not ready():
            if child.poll() is not None or time.monotonic() > until_s:
                child.kill()
                told = child.communicate()[1].decode(errors="replace")
                sys.exit(f"{' '.join(command)} in {folder} did not start: {told}")
            time.sleep(0.05)
        yield child.pid
    finally:
        child.terminate()
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
