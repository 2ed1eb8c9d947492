"""wrk, the load generator: a closed loop in C that a fast proxy does not outrun.

What is sent is written to files beforehand (``wrk.lua`` reads them), so a body may be binary.
wrk's own CPU time is told beside its result: a generator that has no time left measures itself.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.peers.running import HOST
from bench.peers.workload import Asked
from gateway.measure.cores import Cores, on

SCRIPT = Path(__file__).with_name("wrk.lua")
TIMEOUT_S = 10
GRACE_S = 30.0


class WrkFailed(Exception):
    """wrk ended without a result."""


class Told(msgspec.Struct, frozen=True):
    """What wrk's script printed; ``refused``: answers that were not 2xx or 3xx."""

    requests: int
    seconds: float
    mean_us: float
    p50_us: float
    p99_us: float
    refused: int
    broken: int


@dataclass(frozen=True, slots=True)
class Driven:
    """One run: the result, and wrk's own CPU time in seconds."""

    told: Told
    own_s: float

    @property
    def failed_share(self) -> float:
        """The share of requests without a good answer."""
        bad = self.told.refused + self.told.broken
        return bad / max(1, self.told.requests + self.told.broken)


def write_request(asked: Asked, folder: Path) -> list[str]:
    """The files of a request, as arguments of the script."""
    folder.mkdir(parents=True, exist_ok=True)
    body, headers, origins = (folder / name for name in ("body", "headers", "origins"))
    body.write_bytes(asked.body)
    headers.write_text("".join(f"{name}: {value}\n" for name, value in asked.headers.items()))
    origins.write_text("".join(f"{origin}\n" for origin in asked.origins))
    return [asked.path, *(str(path.resolve()) for path in (body, headers, origins))]


def command(port: int, connections: int, seconds: float, script: Sequence[str]) -> list[str]:
    """wrk's command line; whole seconds are all it can do."""
    return [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={max(1, round(seconds))}s",
        f"--timeout={TIMEOUT_S}s",
        f"--script={SCRIPT}",
        f"http://{HOST}:{port}",
        "--",
        *script,
    ]


def drive(
    port: int, connections: int, seconds: float, script: Sequence[str], cores: Cores
) -> Driven:
    """Run wrk on ``cores``. Raises WrkFailed with what it printed when it has no result."""
    before_s = _children_s()
    with on(cores):
        ended = subprocess.run(
            command(port, connections, seconds, script),
            capture_output=True,
            text=True,
            timeout=seconds + TIMEOUT_S + GRACE_S,
            check=False,
        )
    return Driven(parse(ended.stdout, ended.stderr), _children_s() - before_s)


def parse(printed: str, complaints: str = "") -> Told:
    """The script's line in what wrk printed."""
    for line in reversed(printed.splitlines()):
        if line.startswith("{"):
            return msgspec.json.decode(line, type=Told)
    raise WrkFailed(f"wrk printed no result: {(complaints or printed).strip()[-400:]}")


def _children_s() -> float:
    """CPU seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
