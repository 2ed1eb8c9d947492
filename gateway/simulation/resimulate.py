"""Resimulate: the arrivals of a decision log, run through the simulator under another policy.

Unlike a replay this lets the policy's own choices fill the queues. From the log come the
centers, and when, where and for which model each request arrived; how long a model runs is
drawn from a log-normal fitted to its service times there, at a center of speed 1. The
network is the path model's, not the log's: what the paths really drew, nobody wrote down.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gateway.api import Center, ConfigError
from gateway.config.settings import Policy
from gateway.loading import Registry
from gateway.simulation.event_mode import Progress, simulate
from gateway.simulation.recorded import read_log
from gateway.simulation.run import Run
from gateway.simulation.scenario import ModelPlan, NetworkPlan, Scenario, scenario_of
from gateway.wire.decision_frames import ANSWER, LoggedDecisions

TRACE, FLEET = "arrivals.csv", "fleet.toml"
SERVICE_MS_MIN = 1e-3
SIGMA_MAX = 2.0


def resimulate(
    path: Path,
    policy_name: str,
    policy: Policy,
    *,
    seed: int,
    network: NetworkPlan | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> Run:
    """Simulate the log's arrivals under ``policy``. Raises ConfigError for a wrong log or one
    with fewer than two first choices or no answer.
    """
    with recorded_scenario(path, network) as scenario:
        return simulate(
            scenario, policy_name, policy, seed=seed, registry=registry, progress=progress
        )


@contextmanager
def recorded_scenario(path: Path, network: NetworkPlan | None = None) -> Iterator[Scenario]:
    """The log as a scenario, to be simulated while the context lasts. Raises ConfigError."""
    logged = read_log(path)
    with TemporaryDirectory(prefix="nearway-") as folder:
        yield scenario_from(logged, path, Path(folder), network or NetworkPlan())


def scenario_from(
    logged: LoggedDecisions, path: Path, folder: Path, network: NetworkPlan
) -> Scenario:
    """Write the log's fleet and arrivals into ``folder``; the scenario that names them."""
    arrivals = write_trace(logged, folder / TRACE)
    if arrivals < 2:
        raise ConfigError(f"{path}: found {arrivals} first choices; expected at least two")
    write_fleet(logged.header.centers, folder / FLEET)
    models = [
        {"name": model.name, "mean_ms": model.mean_ms, "sigma": model.sigma}
        for model in models_of(logged, path)
    ]
    document = {
        "name": path.name[:60],
        "description": f"The arrivals of {path.name}",
        "requests": arrivals,
        "warm_up_s": 0.0,
        "folder": str(folder),
        "fleet": {"file": FLEET},
        "network": network,
        "models": models,
        "arrivals": {"process": "trace", "trace": {"file": TRACE, "keep_rate": True}},
    }
    return scenario_of(document, str(path))


def write_trace(logged: LoggedDecisions, file: Path) -> int:
    """``t_ms,origin,model`` of every first choice; returns how many."""
    records = logged.records
    first = np.flatnonzero(records["tried"][:, 0] < 0)
    begins_s = float(records["at"][first[0]]) if first.size else 0.0
    with file.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(("t_ms", "origin", "model"))
        for record in records[first]:
            t_ms = (float(record["at"]) - begins_s) * 1e3
            origin = logged.header.vantages[record["vantage"]]
            rows.writerow((f"{t_ms:.6f}", origin, logged.names[record["model"]]))
    return int(first.size)


def write_fleet(centers: tuple[Center, ...], file: Path) -> None:
    """A fleet file of the log's centers."""
    tables = [_center_table(center) for center in centers]
    file.write_text("\n\n".join(tables) + "\n", encoding="utf-8")


def models_of(logged: LoggedDecisions, path: Path) -> list[ModelPlan]:
    """Every model's run time at a center of speed 1, log-normal as its answers were."""
    records = logged.records
    speed = np.array([center.speed_factor for center in logged.header.centers])
    run_ms = records["service_ms"].astype(np.float64) / speed[records["center"]]
    answered = (records["ending"] == ANSWER) & (run_ms > SERVICE_MS_MIN)
    if not answered.any():
        raise ConfigError(
            f"{path}: no answer tells its service time; a simulation needs some to draw from"
        )
    plans = []
    for number in np.unique(records["model"]):
        mine = run_ms[answered & (records["model"] == number)]
        mine = mine if mine.size else run_ms[answered]
        sigma = float(np.log(mine).std()) if mine.size > 1 else 0.0
        plans.append(
            ModelPlan(
                name=logged.names[number],
                mean_ms=float(mine.mean()),
                sigma=min(sigma, SIGMA_MAX),
            )
        )
    return plans


def _center_table(center: Center) -> str:
    keys: dict[str, str | float | int | bool] = {
        "id": center.id,
        "region": center.region,
        "zone": center.zone,
        "city": center.city,
        "country": center.country,
        "lat": center.location.lat,
        "lon": center.location.lon,
        "core": center.core,
        "slots": center.slots,
        "speed_factor": center.speed_factor,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    return "\n".join(["[[center]]", *lines])
