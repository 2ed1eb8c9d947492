"""nearway beside its peers: one command, one page.

    nearway bench peers [--quick] [--arm NAME] [--rounds N] [--seconds S] [--connections 1,16,64]

Installs what it can, puts each proxy in front of the same upstream and each server behind the
same model, and writes ``results.md`` and ``results.json``. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench.peers import cpu, report
from bench.peers.arms import ARMS, DEFAULT, Arm, Place
from bench.peers.arms.ours import NEARWAY, PROXY, fleet_toml, write_config
from bench.peers.claims import DIRECT, ENVOY, NGINX, judge
from bench.peers.figures import Figures
from bench.peers.installing import Cache, Unavailable
from bench.peers.measuring import Bench, Failing, Layout, Spin
from bench.peers.model import write_model
from bench.peers.open_loop import Asking, GeneratorFailed, Stream, run_minute
from bench.peers.rounds import Found, Plan, Say, run_rounds
from bench.peers.running import HOST, NotReady, free_ports
from bench.peers.upstream import upstream
from bench.peers.workload import json_request
from gateway.config.fleet_file import load_fleet

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "reports" / "peers"
CACHE = ROOT / ".bench"
UPSTREAMS = 3
OPEN_LOOP_ARMS = (DIRECT, NGINX, ENVOY, PROXY)
COULD_NOT_RUN = 3
STOPPED = 130


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line, with ``--quick`` worked in."""

    arms: tuple[Arm, ...]
    rounds: int
    seconds: float
    connections: tuple[int, ...]
    tries: int
    one_core: bool
    rate_per_s: float
    open_loop_s: float
    cache: Cache
    out: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 0 when the page is written, whatever the claims say."""
    asked = parsed(arguments)
    console = Console(soft_wrap=True, highlight=False)
    words = shlex.join(sys.argv[1:] if arguments is None else arguments)
    command = f"nearway bench peers {words}".strip()
    try:
        return _run(asked, command, console)
    except Unavailable as error:
        console.print(f"[bold red]error[/] {error}")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        console.print("Stopped; nothing is written.")
        return STOPPED


def parsed(arguments: Sequence[str] | None) -> Asked:
    """The command line's meaning."""
    parser = argparse.ArgumentParser(
        prog="nearway bench peers", description="nearway beside its peers."
    )
    add = parser.add_argument
    names = ", ".join(dict.fromkeys(arm.name for arm in ARMS))
    add("--quick", action="store_true", help="2 rounds of 1 s at 16 connections, 10 s open loop")
    add("--arm", action="append", metavar="NAME", help=f"only these; repeatable: {names}")
    add("--rounds", type=int, help="how often each arm is started and measured (5, quick 2)")
    add("--seconds", type=float, help="length of a cell (2, quick 1)")
    add("--connections", help="of the closed loop (1,16,64, quick 16)")
    add("--tries", type=int, default=3, help="at most, of a cell that was disturbed (3)")
    add("--rate", type=float, default=1000.0, help="of the open loop, requests a second (1000)")
    add("--open-loop-s", type=float, help="open loop, seconds an arm; 0: none (60, quick 10)")
    add("--cache", type=Path, default=CACHE, help="where peers are installed (.bench)")
    add("--no-install", action="store_true", help="only what is installed already")
    add("--out", type=Path, default=OUT, help="folder of results.md and results.json")
    read = parser.parse_args(arguments)
    try:
        return _worked_in(read)
    except ValueError as error:
        parser.error(str(error))


def _worked_in(read: argparse.Namespace) -> Asked:
    quick = read.quick
    connections = tuple(
        int(c) for c in (read.connections or ("16" if quick else "1,16,64")).split(",")
    )
    rounds = read.rounds or (2 if quick else 5)
    open_loop_s = (10.0 if quick else 60.0) if read.open_loop_s is None else read.open_loop_s
    if min(connections) < 1 or rounds < 1:
        raise ValueError("connections and rounds are 1 or more")
    return Asked(
        arms=named(read.arm) if read.arm else DEFAULT,
        rounds=rounds,
        seconds=read.seconds or (1.0 if quick else 2.0),
        connections=connections,
        tries=max(1, read.tries),
        one_core=not quick,
        rate_per_s=read.rate,
        open_loop_s=open_loop_s,
        cache=Cache(read.cache.resolve(), may_install=not read.no_install),
        out=read.out,
    )


def named(names: Sequence[str]) -> tuple[Arm, ...]:
    """The arms of these names, whatever the case. Raises ValueError for an unknown one."""
    wanted = {name.lower() for name in names}
    known = {arm.name.lower() for arm in ARMS}
    if wanted - known:
        raise ValueError(
            f"no arm is called {sorted(wanted - known)[0]!r}; expected one of "
            f"{', '.join(dict.fromkeys(arm.name for arm in ARMS))}"
        )
    return tuple(arm for arm in ARMS if arm.name.lower() in wanted)


def _run(asked: Asked, command: str, console: Console) -> int:
    started_s, started_at = time.monotonic(), datetime.now(UTC)

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - started_s:6.0f} s  {line}", style="dim")

    for package, program in (("nginx", "nginx"), ("wrk", "wrk")):
        asked.cache.debian(package, program)
    versions, skipped = _obtained(asked, say)
    work = asked.cache.folder / "work"
    models = asked.cache.folder / "models"
    write_model(models)
    arms = [arm for arm in asked.arms if arm.name in versions]
    found, streams = _measured(asked, arms, work, models, say)
    figures = Figures(found.cells, streams)
    claims = judge(figures)
    told = report.Told(
        command=command,
        machine=machine(),
        started_at=started_at.strftime("%Y-%m-%d %H:%M UTC"),
        wall_s=time.monotonic() - started_s,
        rounds=asked.rounds,
        seconds=asked.seconds,
        rate_per_s=asked.rate_per_s,
        open_loop_s=asked.open_loop_s,
        versions=versions,
        features=_features(work / "features"),
        skipped={name: _relative(why) for name, why in {**skipped, **found.dropped()}.items()},
        failures=[
            f"{name}: {_relative(why)}"
            for name, reasons in found.failures.items()
            for why in reasons
        ],
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    page = asked.out / "results.md"
    page.write_text(report.text(figures, claims, asked.arms, told), encoding="utf-8")
    page.with_suffix(".json").write_text(report.document(figures, claims, told))
    console.print(report.text(figures, claims, asked.arms, told), markup=False)
    console.print(str(page))
    return 0


def _obtained(asked: Asked, say: Say) -> tuple[dict[str, str], dict[str, str]]:
    """Arm -> version, and arm -> why it cannot be had."""
    versions, skipped = {}, {}
    for arm in asked.arms:
        try:
            versions[arm.name] = arm.obtain(asked.cache)
            say(f"{arm.name} {versions[arm.name]}")
        except Unavailable as error:
            skipped[arm.name] = str(error)
            say(f"{arm.name} is left out: {error}")
    return versions, skipped


def _measured(
    asked: Asked, arms: Sequence[Arm], work: Path, models: Path, say: Say
) -> tuple[Found, dict[str, Stream]]:
    layout = Layout.of_this_machine()
    ports = tuple(free_ports(UPSTREAMS))
    place = Place(work, layout.peer, ports, models)
    plan = Plan(arms, asked.connections, asked.rounds, asked.tries, asked.one_core)
    about_s = plan.about_s(asked.seconds) + len(OPEN_LOOP_ARMS) * asked.open_loop_s
    say(f"{plan.cells()} cells and the open loop: about {about_s / 60:.0f} minutes, undisturbed")
    with upstream(ports, work / "upstream", layout.others) as behind:
        found = run_rounds(Bench(layout, behind, asked.seconds, Spin()), plan, place, say)
        cpu.move(behind.processes(), layout.others)
        minute = [
            arm for arm in arms if arm.name in OPEN_LOOP_ARMS and arm.name not in found.dropped()
        ]
        streams: dict[str, Stream] = {}
        if minute and asked.open_loop_s > 0:
            asking = Asking(asked.rate_per_s, asked.open_loop_s, json_request())
            try:
                streams = run_minute(minute, asking, place, layout, say)
            except (NotReady, Failing, GeneratorFailed) as error:
                found.failures["open loop"] = [str(error)]
                say(f"the open loop is given up: {error}")
    return found, streams


def machine() -> str:
    """Processor, cores, kernel, Python."""
    name = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    return f"{name}, {cores} cores, Linux {platform.release()}, Python {platform.python_version()}"


def _relative(words: str) -> str:
    """Without the place of this checkout, which is nobody's business."""
    return words.replace(f"{ROOT}/", "")


def _features(folder: Path) -> list[str]:
    """``nearway config show`` of the config that the proxy arm is run with."""
    ports = range(9001, 9001 + UPSTREAMS)
    urls = [f"http://{HOST}:{port}" for port in ports]
    config = write_config(folder.resolve(), fleet_toml(load_fleet(None, "all"), urls), None)
    ended = subprocess.run(
        [*NEARWAY, "config", "show", "--config", config, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        return [f"nearway config show ended with code {ended.returncode}: {ended.stderr.strip()}"]
    rows = json.loads(ended.stdout)
    in_force = f"policies.{rows['routing.policy']['value']}"
    return [
        f"{key} = {json.dumps(row['value'], ensure_ascii=False)}"
        for key, row in rows.items()
        if key != "fleet.file" and (not key.startswith("policies.") or key.startswith(in_force))
    ]


if __name__ == "__main__":
    sys.exit(main())
