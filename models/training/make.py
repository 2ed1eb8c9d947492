"""Retrain the models, or measure them anew. The one entry of this folder.

    python models/training/make.py                  # train whatever is stale, two at a time
    python models/training/make.py grid-load        # only this, if it is stale
    python models/training/make.py grid-load --again
    python models/training/make.py --check          # measure all, train nothing

A training runs in a process of its own and writes into a scratch copy of the model's folder. Only
when every target holds there are the files moved to `models/gateway_models`; so an interrupted or
failed training never spoils what is served. A stamp in `build/models` remembers the hash of the
sources and of the model file; what both still match is up to date, which makes the whole resumable.
Comments and docstrings do not count as changes. The long trainings, those of the causal models,
save what they have reached and go on from there if their sources are the same.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import stamps
from stamps import HERE, SERVED

BUILD = HERE.parents[1] / "build" / "models"
TRAININGS_AT_ONCE = 2
PROGRESS_S = 30.0
MISSED = 3  # exit status of a training whose model misses a target
INTERRUPTED = 130
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main() -> int:
    arguments = _arguments()
    if arguments.one:
        return _train_here(arguments.one)
    import registry  # deferred: it imports torch, which a command line error should not wait for

    known = registry.trainings()
    unknown = sorted(set(arguments.names) - known.keys())
    if unknown:
        print(f"no such model: {', '.join(unknown)}; there are {', '.join(known)}")
        return 2
    chosen = [name for name in known if not arguments.names or name in arguments.names]
    if arguments.check:
        return _check(chosen, arguments.seed)
    return _train_all(chosen, again=arguments.again, keep=arguments.keep)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="model folders; none means all")
    parser.add_argument("--check", action="store_true", help="measure, train nothing")
    parser.add_argument("--seed", type=int, help="with --check: samples of another seed")
    parser.add_argument("--again", action="store_true", help="train even what is up to date")
    parser.add_argument(
        "--keep", action="store_true", help="take a served file whose targets hold for up to date"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _check(names: list[str], seed: int | None) -> int:
    import report

    started_s = time.monotonic()
    missed = [name for name in names if not report.check(name, seed)]
    took_s = time.monotonic() - started_s
    print(f"\n{len(names) - len(missed)} of {len(names)} hold, {took_s:.0f} s")
    if missed:
        print("do not hold: " + ", ".join(missed))
    return 1 if missed else 0


def _train_here(name: str) -> int:
    """In the process of one training: train into the scratch folder, measure, say what holds."""
    import registry
    import report

    training = registry.trainings()[name]
    training.train()
    return 0 if report.card(name) else MISSED


def _train_all(names: list[str], *, again: bool, keep: bool) -> int:
    import registry
    import report

    known = registry.trainings()
    stale = []
    for name in names:
        sources = registry.sources(name)
        if keep and report.check(name, None):
            stamps.write(BUILD, name, stamps.of(name, sources), 0.0)
        if not again and stamps.read(BUILD, name) == stamps.of(name, sources):
            print(f"{name}: up to date", flush=True)
        else:
            stale.append(name)
    if keep:
        return 1 if stale else 0
    stale.sort(key=lambda name: -known[name].minutes)
    if stale:
        about = schedule_minutes([known[name].minutes for name in stale], TRAININGS_AT_ONCE)
        print(f"{len(stale)} to train, about {about:.0f} min on idle cores", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or the trainings would go on alone
    try:
        return 1 if sum(not made for made in _made(stale)) else 0
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", flush=True)
        return INTERRUPTED


def schedule_minutes(minutes: Sequence[float], at_once: int) -> float:
    """How long all take when `at_once` run and the next in order begins as soon as one ends."""
    ends = [0.0] * at_once
    for taken in minutes:
        ends[ends.index(min(ends))] += taken
    return max(ends)


class _Run(NamedTuple):
    """A training under way in a process of its own."""

    process: subprocess.Popen[bytes]
    begun_s: float

    def minutes(self) -> float:
        return (time.monotonic() - self.begun_s) / 60


def _made(names: list[str]) -> Iterator[bool]:
    """Train all, `TRAININGS_AT_ONCE` at a time; yields whether each one's targets hold."""
    waiting, running, told_s = list(names), dict[str, _Run](), time.monotonic()
    try:
        while waiting or running:
            while waiting and len(running) < TRAININGS_AT_ONCE:
                name = waiting.pop(0)
                running[name] = _Run(_begin(name), time.monotonic())
                print(f"{name}: training, see {BUILD / name}.log", flush=True)
            time.sleep(0.5)
            for name in [name for name, run in running.items() if run.process.poll() is not None]:
                yield _end(name, running.pop(name))
                print(f"  {len(waiting) + len(running)} of {len(names)} left", flush=True)
            if time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                for name, run in running.items():
                    print(f"  {name}, {run.minutes():.1f} min: {_last_line(name)}", flush=True)
    finally:
        for run in running.values():
            run.process.terminate()


def _end(name: str, run: _Run) -> bool:
    """Publish what was trained if its targets hold, and say so."""
    status = run.process.returncode
    if status in (0, MISSED):
        _checkpoint(name).unlink(missing_ok=True)
    if status == 0:
        _publish(name, 60 * run.minutes())
    print(f"{name}: {_outcome(status)} after {run.minutes():.1f} min", flush=True)
    return status == 0


def _last_line(name: str) -> str:
    lines = (BUILD / f"{name}.log").read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "begun")


def _outcome(status: int) -> str:
    if status == 0:
        return "trained, every target holds"
    return "a target is missed, nothing replaced" if status == MISSED else f"failed, exit {status}"


def _begin(name: str) -> subprocess.Popen[bytes]:
    """Copy the served folder to the scratch folder and start training into it."""
    scratch = BUILD / "scratch"
    stamps.copy(SERVED / name, scratch / name)
    log = (BUILD / f"{name}.log").open("wb")
    with log:
        return subprocess.Popen(
            [sys.executable, str(HERE / "make.py"), "--one", name],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                **ONE_THREAD,
                "NEARWAY_TRAIN_INTO": str(scratch),
                "NEARWAY_CHECKPOINT": str(_checkpoint(name)),
            },
        )


def _checkpoint(name: str) -> Path:
    """Where a training saves what it has reached; older ones, of other sources, are removed."""
    import registry

    digest = stamps.of(name, registry.sources(name))["sources"]
    path = BUILD / f"{name}-{digest[:12]}.checkpoint"
    for other in BUILD.glob(f"{name}-{'[0-9a-f]' * 12}.checkpoint"):
        if other != path:
            other.unlink()
    return path


def _publish(name: str, took_s: float) -> None:
    """Move the trained files to where they are served from, each at one stroke."""
    import registry

    stamps.copy(BUILD / "scratch" / name, SERVED / name)
    stamps.write(BUILD, name, stamps.of(name, registry.sources(name)), took_s)


if __name__ == "__main__":
    sys.exit(main())
