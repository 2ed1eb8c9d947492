"""Does the simulator tell what the gateway does? The same fleet, network and load in both.

    nearway bench live [--minutes 3] [--block-s 30] [--policy NAME] [--out DIR]

Eight centers of two slots behind a real gateway process, driven open loop over HTTP; a shipped
model is really run and held until a declared log-normal service time (mean 15 ms) is over. The
emulated network has the same seed in both. Three conditions, each with a gateway of its own,
take turns in blocks, so that what the machine does besides meets all alike:

* *S0*: every center as declared, load .6;
* *S1*: two of the eight take twice as long and nobody tells the gateway, load .68;
* *down*: one center refuses, load .68 of what the seven can do.

The simulator runs the same conditions with ten seeds. The answer is p99 live / p99 simulated
with a 95 % interval: blocks of one second for the live figure, seeds for the simulated one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop
from gateway_models import repository
from numpy.typing import NDArray
from rich.console import Console

from bench.policies import paired
from bench.policies.agreement import (
    DISAGREES,
    TOO_BUSY,
    Agreement,
    Live,
    agreement,
    joined,
    table,
)
from bench.policies.latency_histogram import counted
from gateway.config.settings import SHIPPED_POLICIES
from gateway.measure.cores import give_way, on, share_out
from gateway.measure.gateway_process import GatewayOptions, GatewayProcess
from gateway.measure.load import LoadPlan, run_plan, with_body
from gateway.measure.open_loop import drive
from gateway.measure.samples import F64
from gateway.simulation import load_scenario, simulate
from gateway.wan import Tier, is_in_tier, load_cities

HERE = Path(__file__).parent
SCENARIO = HERE / "live.toml"
FLEET = HERE / "live_fleet.toml"
SHIPPED_MODEL, MODEL = "grid-load", "stretched"
MEAN_MS, SIGMA = 15.0, 0.35
WARM_UP_S = 6.0
RATE_MAX = 650.0
SEEDS = range(1, 11)
WORKERS = 2
ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "reports" / "policies"
ORIGINS: Tier = "mainland"
"""As the scenario has it. Far cities would set the p99, and no queue would show in it."""
SLOW = ("nanjing", "xian")
DOWN = "wuhan"
FOREVER_S = 1e9
Q = 0.99
DIFFERS, CANNOT_TELL = 1, 2


@dataclass(frozen=True, slots=True)
class Setting:
    """A condition: faults at the live gateway, events in the simulator, and the rate."""

    name: str
    faults: tuple[tuple[str, str, float], ...]
    slots_left: float
    load: float

    @property
    def rate_per_s(self) -> float:
        """Requests a second: the load times what the fleet can do."""
        return self.load * self.slots_left / (MEAN_MS / 1e3)

    def events(self) -> tuple[dict[str, Any], ...]:
        """The same for the simulator."""
        kinds = {"down": "refuse", "slow": "slow"}
        return tuple(
            {
                "kind": kinds[kind],
                "at_s": 0.0,
                "until_s": FOREVER_S,
                "center": center,
                **({"value": value} if kind == "slow" else {}),
            }
            for center, kind, value in self.faults
        )


SETTINGS = (
    Setting("S0", (), 16.0, 0.6),
    Setting("S1", tuple((center, "slow", 2.0) for center in SLOW), 14.0, 0.68),
    Setting("down", ((DOWN, "down", 1.0),), 14.0, 0.68),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when all agree, 1 when one does not, 2 when one can't be told."""
    asked = _arguments(arguments)
    console = Console(highlight=False, soft_wrap=True)
    blocks = max(1, math.ceil(asked.minutes * 60 / asked.block_s))
    started_s = time.monotonic()
    # First, and with both cores: the generator lowers this process's priority for good.
    simulated = _simulated(asked.policy, minutes=blocks * asked.block_s / 60)
    with _model_folder() as models, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        live = runner.run(_live(models, asked.policy, blocks, asked.block_s, console))
    found = []
    for setting in SETTINGS:
        measured, arm = live[setting.name], simulated[setting.name]
        found.append(agreement(setting.name, setting.rate_per_s, measured, arm, Q))
    _tell(console, found, asked, time.monotonic() - started_s)
    rulings = {one.ruling for one in found}
    return CANNOT_TELL if TOO_BUSY in rulings else DIFFERS if DISAGREES in rulings else 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nearway bench live", description="The gateway beside the simulator."
    )
    default = "predicted_completion"
    parser.add_argument("--minutes", type=float, default=3.0, help="measured, a condition (3)")
    parser.add_argument("--block-s", type=float, default=30.0, help="length of a turn (30)")
    parser.add_argument("--policy", default=default, help=f"the policy in force ({default})")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of live.md and live.json")
    return parser.parse_args(arguments)


@contextmanager
def _model_folder() -> Iterator[Path]:
    """A repository with a shipped model under another name, stretched."""
    with tempfile.TemporaryDirectory(prefix="nearway-live-") as name:
        folder = Path(name) / MODEL
        folder.mkdir()
        (folder / "1").symlink_to(repository() / SHIPPED_MODEL / "1", target_is_directory=True)
        example = (repository() / SHIPPED_MODEL / "example.json").read_bytes()
        (folder / "example.json").write_bytes(example)
        median_ms = MEAN_MS / math.exp(SIGMA**2 / 2)
        (folder / "config.toml").write_text(
            f'description = "stretched"\n[service]\nmedian_ms = {median_ms!r}\nsigma = {SIGMA}\n'
        )
        yield Path(name)


async def _live(
    models: Path, policy: str, blocks: int, block_s: float, console: Console
) -> dict[str, Live]:
    """Setting -> what was measured, all blocks after their warm-ups."""
    options = GatewayOptions(fleet=FLEET, models=(models,), policy=policy)
    mine, others = share_out()
    gathered: dict[str, list[Live]] = {setting.name: [] for setting in SETTINGS}
    async with AsyncExitStack() as stack:
        plans = {}
        for setting in SETTINGS:
            with on(others):
                gateway = await stack.enter_async_context(GatewayProcess(options))
            await _set_faults(gateway.admin_url, setting)
            plans[setting.name] = await with_body(_plan(gateway.url, setting, block_s, models))
        with on(mine):
            give_way()
            for block in range(blocks):
                for setting in SETTINGS:
                    plan = replace(plans[setting.name], seed=1 + block)
                    samples = await drive(run_plan(plan, setting.rate_per_s))
                    samples = samples.after(WARM_UP_S)
                    part = Live(
                        np.where(samples.answered, samples.client_total_ms, np.inf),
                        samples.intended_s + block * math.ceil(WARM_UP_S + block_s),
                        samples.late_send_ms,
                        samples.gateway_ms + samples.client_ms,
                    )
                    gathered[setting.name].append(part)
                    console.print(_block_words(setting, block, blocks, part.latency_ms))
    return {name: joined(parts) for name, parts in gathered.items()}


def _plan(url: str, setting: Setting, block_s: float, models: Path) -> LoadPlan:
    assert setting.rate_per_s <= RATE_MAX
    return LoadPlan(
        url=url,
        model=MODEL,
        models_dir=models,
        rates=(setting.rate_per_s,),
        duration_s=max(1.0, block_s),
        warmup_s=WARM_UP_S,
        origins={
            city.name: float(city.population) for city in load_cities() if is_in_tier(city, ORIGINS)
        },
    )


def _block_words(setting: Setting, block: int, blocks: int, latency: F64) -> str:
    p50, p99 = np.quantile(latency, [0.5, Q], method="inverted_cdf")
    return (
        f"{setting.name}, block {block + 1} of {blocks}: {latency.size} requests, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )


async def _set_faults(admin_url: str, setting: Setting) -> None:
    async with aiohttp.ClientSession() as session:
        for center, kind, value in setting.faults:
            body = {"center": center, "kind": kind, "value": value}
            async with session.post(f"{admin_url}/faults", json=body) as answer:
                answer.raise_for_status()


def _simulated(policy: str, *, minutes: float) -> dict[str, paired.Arm]:
    """Ten seeds of the simulator a condition, as many requests as the gateway will meet."""
    jobs = [(setting, policy, minutes, seed) for setting in SETTINGS for seed in SEEDS]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        latencies = list(pool.map(_one_run, *zip(*jobs, strict=True)))
    target_ms = load_scenario(str(SCENARIO)).target_ms
    arms = {}
    for place, setting in enumerate(SETTINGS):
        runs = latencies[place * len(SEEDS) : (place + 1) * len(SEEDS)]
        arms[setting.name] = paired.arm(
            SEEDS,
            [counted(latency) for latency in runs],
            [float(latency[np.isfinite(latency)].sum()) for latency in runs],
            [int((latency <= target_ms).sum()) for latency in runs],
        )
    return arms


def _one_run(setting: Setting, policy: str, minutes: float, seed: int) -> NDArray[np.float64]:
    """Latencies in ms, infinite where the request failed."""
    scenario = load_scenario(str(SCENARIO)).with_(events=setting.events())
    run = simulate(
        scenario,
        policy,
        SHIPPED_POLICIES[policy],
        seed=seed,
        requests=max(5_000, int(setting.rate_per_s * minutes * 60)),
        load=setting.rate_per_s / (16.0 / (MEAN_MS / 1e3)),
    )
    return np.where(run.ok, run.latency_ms, np.inf).astype(np.float64)


def _tell(
    console: Console, found: list[Agreement], asked: argparse.Namespace, took_s: float
) -> None:
    words = table(found)
    command = f"nearway bench live --minutes {asked.minutes:g} --block-s {asked.block_s:g}"
    note = f"`{command}`, policy {asked.policy}, {took_s / 60:.1f} minutes\n"
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "live.md").write_text(f"# The gateway beside the simulator\n\n{note}\n{words}")
    document = {"command": command, "policy": asked.policy, "found": [asdict(f) for f in found]}
    (asked.out / "live.json").write_text(json.dumps(document, indent=1, default=str) + "\n")
    console.print(f"\n{note}\n{words}\n{asked.out / 'live.md'}")


if __name__ == "__main__":
    sys.exit(main())
