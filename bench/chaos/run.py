"""Chaos on real processes: what a fault does to requests, and how soon it is over.

    python -m bench.chaos.run [--quick] [--only KIND] [--into FOLDER]

Real center processes, a real gateway over them, 500 requests a second in an open loop, each with
an input whose right answer is known; one fault an episode. See README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import msgspec
import uvloop

from bench.chaos.hedging import HedgingResult, hedging_section, hedging_words, measure_hedging
from bench.chaos.rounds import Judged, enough, judged
from bench.chaos.rounds import words as rounds_words
from bench.chaos.scene import MODEL, NEAR, ORIGIN, OTHER_MODEL, RATE, REGIONS, Scene, scene
from gateway.api import ConfigError
from gateway.measure.chaos.episode import Episode, Load, play
from gateway.measure.chaos.plan import ChaosPlan, load_plan
from gateway.measure.chaos.report import COLUMNS, cells, curve, markdown, section
from gateway.measure.chaos.stage import Stage, stage_plan
from gateway.measure.charts import Svg, page

PLANS = Path(__file__).with_name("plans")
INTO = Path("reports/chaos")
WARMUP_S = 3.0
AFTER_S = 4.0
QUICK_AT_S, QUICK_FOR_S, QUICK_AFTER_S, QUICK_RATE = 2.0, 2.0, 1.5, 400.0
DISTURBED = 0.5


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes on one stage; names of files in ``plans``."""

    names: tuple[str, ...]
    regions: tuple[str, ...] = NEAR
    workers: int = 1


GROUPS = (
    Group(("kill", "stop", "error", "slow", "gray", "models", "reload")),
    Group(("black_hole", "half_open", "reset", "garbage")),
    Group(("region_kill", "region_black_hole"), tuple(REGIONS)),
    Group(("kill_worker",), workers=2),
    Group(("restart",)),
)
QUICK = (Group(("kill", "black_hole")),)
HEDGING = "hedging"


@dataclass(slots=True)
class Found:
    """All that came of a run."""

    episodes: list[Episode] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    curves: list[Svg] = field(default_factory=list)
    hedging: HedgingResult | None = None
    not_run: list[str] = field(default_factory=list)


def main() -> None:
    """Run, print, write; exit code 1 when a promise is broken."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="two faults, half a minute")
    names = [name for group in GROUPS for name in group.names]
    options.add_argument("--only", choices=[*names, HEDGING], help="one of the episodes")
    options.add_argument("--into", type=Path, default=INTO, help="folder of the reports")
    told = options.parse_args()
    found = Found()
    began_s = monotonic()
    with suppress(KeyboardInterrupt):
        uvloop.run(run_all(found, quick=told.quick, only=told.only))
    words = as_markdown(found, monotonic() - began_s)
    write(found, words, told.into)
    print(words)
    sys.exit(exit_code(found))


async def run_all(found: Found, *, quick: bool, only: str | None) -> None:
    """Every group on a stage of its own; one that cannot be staged is told of, not fatal."""
    for group in QUICK if quick else GROUPS:
        names = tuple(name for name in group.names if only in (None, name))
        if not names:
            continue
        try:
            await run_group(replace(group, names=names), found, quick=quick)
        except ConfigError as error:
            found.not_run.append(f"{', '.join(names)}: {error}")
            say(found.not_run[-1])
    if only == HEDGING or (only is None and not quick):
        try:
            found.hedging = await measure_hedging(say)
        except ConfigError as error:
            found.not_run.append(f"{HEDGING}: {error}")
            say(found.not_run[-1])


async def run_group(group: Group, found: Found, *, quick: bool) -> None:
    """Episodes one after another, each from a fleet that is whole again."""
    plans = [load_plan(PLANS / f"{name}.toml") for name in group.names]
    plans = [hurried(plan) for plan in plans] if quick else plans
    with tempfile.TemporaryDirectory(prefix="nearway-chaos-models-") as folder:
        made = scene(Path(folder), group.regions)
        staged = stage_plan(plans, made.centers, made.sections(), workers=group.workers)
        say(f"stage: {len(made.centers)} centers, {len(staged.proxied)} of them behind the proxy")
        async with Stage(staged) as stage:
            for plan in plans:
                load = load_of(plan, made, quick=quick)
                rounds: list[Episode] = []
                while not rounds or not (quick or enough(rounds)):
                    episode, samples = await play(stage, plan, load)
                    rounds.append(episode)
                    found.curves.append(curve(episode, samples, load.duration_s))
                    tell(episode)
                    await stage.until_whole()
                found.episodes += rounds
                found.judged += judged(rounds)


def load_of(plan: ChaosPlan, made: Scene, *, quick: bool) -> Load:
    """500 requests a second, or fewer in a hurry, until some seconds after the last fault."""
    return Load(
        MODEL,
        made.known,
        QUICK_RATE if quick else RATE,
        WARMUP_S,
        plan.until_s + (QUICK_AFTER_S if quick else AFTER_S),
        ORIGIN,
        OTHER_MODEL,
    )


def hurried(plan: ChaosPlan) -> ChaosPlan:
    """The same faults, sooner and shorter."""
    faults = tuple(replace(f, at_s=QUICK_AT_S, for_s=QUICK_FOR_S) for f in plan.faults)
    return replace(plan, faults=faults)


def tell(episode: Episode) -> None:
    """One line while the bench runs."""
    for row in episode.rows:
        told = zip(COLUMNS[1:], cells(row)[1:], strict=True)
        say(f"{row.title}: " + ", ".join(f"{name} {value}" for name, value in told))
    say(f"  CPU {100 * episode.own_cpu:.0f} % ours, {100 * episode.cpu:.0f} % in all")


def as_markdown(found: Found, took_s: float) -> str:
    """The whole result."""
    when = datetime.now(UTC).isoformat(timespec="minutes")
    parts = [
        f"{when}; {took_s:.0f} s; {RATE:g} requests/s unless quick.",
        "",
        markdown(found.episodes),
        rounds_words(found.judged),
        "",
    ]
    if found.hedging is not None:
        parts += [hedging_words(found.hedging), ""]
    parts += [f"Not run: {words}" for words in found.not_run]
    others = [e.cpu - e.own_cpu for e in found.episodes]
    if others and max(others) > DISTURBED / 2:
        parts.append(
            "**Other work took more than a quarter of this machine meanwhile: times are not to be "
            "judged by this run.**"
        )
    return "\n".join(parts)


def write(found: Found, words: str, folder: Path) -> None:
    """Markdown, JSON and a page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.md").write_text(words, encoding="utf-8")
    plain = {
        "episodes": found.episodes,
        "judged": [(it, it.ruling) for it in found.judged],
        "hedging": found.hedging,
        "not_run": found.not_run,
    }
    (folder / "chaos.json").write_bytes(msgspec.json.format(msgspec.json.encode(plain)))
    sections = [section(found.episodes, found.curves)]
    if found.hedging is not None:
        sections.append(hedging_section(found.hedging))
    lead = "Real processes under open-loop load, one fault an episode."
    (folder / "chaos.html").write_text(page("Chaos", sections, lead=lead), encoding="utf-8")


def exit_code(found: Found) -> int:
    """1 when something does not hold, or was not run."""
    rulings = [it.ruling for it in found.judged]
    if found.hedging is not None:
        rulings += [floor.ruling for floor in found.hedging.floors]
    return int("does not" in rulings or bool(found.not_run) or not rulings)


def say(words: str) -> None:
    """Progress, on the error stream."""
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
