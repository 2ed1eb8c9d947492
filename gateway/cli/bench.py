"""``nearway bench``: run one of the benches of a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.api import ConfigError

BENCHES = {
    "abuse": "bench/abuse/run.py",
    "engine": "bench/engine/run.py",
    "router": "bench/router/run.py",
    "policies": "bench/policies/run.py",
    "live": "bench/policies/live.py",
    "peers": "bench/peers/run.py",
    "hot_path": "bench/hot_path/run.py",
    "frames": "bench/frames/run.py",
    "generation": "bench/generation/run.py",
    "grpc": "bench/grpc/run.py",
    "overload": "bench/overload/run.py",
    "chaos": "bench/chaos/run.py",
    "dashboard": "bench/dashboard/run.py",
    "recording": "bench/recording/run.py",
}
CHECKOUT = Path(__file__).resolve().parents[2]
STOPPED = 130


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help=f"Which: {', '.join(BENCHES)}.")],
) -> int:
    """Run a bench of a checkout; what follows its name are its own options."""
    called = bench_command(name, CHECKOUT)
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path}
    try:
        return subprocess.run([*called, *context.args], env=env, check=False).returncode
    except KeyboardInterrupt:
        return STOPPED  # the bench was interrupted too, and has said what it leaves behind


def bench_command(name: str, checkout: Path) -> list[str]:
    """What to run. Raises ConfigError for an unknown bench, or where there is no checkout."""
    if name not in BENCHES:
        raise ConfigError(f"no bench is called {name!r}; expected one of {', '.join(BENCHES)}")
    script = checkout / BENCHES[name]
    if not script.is_file():
        raise ConfigError(
            f"nearway runs from an installed package, which has no benches: {BENCHES[name]} is "
            "part of the source; get a checkout, install it with pip install -e . and run "
            "nearway bench there"
        )
    if name == "router":
        return [sys.executable, str(script)]
    return [sys.executable, "-m", BENCHES[name].removesuffix(".py").replace("/", ".")]
