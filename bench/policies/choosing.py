"""Which cells make a run: policies by condition, tuning first, then the comparison itself."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.policies import grid
from bench.policies.cells import AGED_ORACLE, ORACLE, Arm, Cell, Condition, Stored
from bench.policies.conditions import FIRST_TUNING_SEED, TUNING_SEEDS, Asked
from bench.policies.evidence import Evidence
from bench.policies.gates import BARE_PEAK_EWMA, P2C, P99, RIVALS

FEW = (P2C, "peak_ewma")
STEADY = (("arrivals.crowd", None), ("arrivals.diurnal", None), ("events", ()))
"""What a time line is without its events."""
TUNING_WARM_UP_S = 1.0

SINKHOLE = "s8b"
BARE = Arm(label=BARE_PEAK_EWMA, policy="peak_ewma", without=("healthy",))
"""Shows what ejection does, which all others have from the fleet, whatever their own rule."""

Chosen = dict[str, dict[str, Arm]]
"""Family of scenarios -> label -> the arm that was found best."""


def labels_of(who: str) -> list[str]:
    """Ours and the baselines that ``who`` stands for, in the order of importance."""
    wanted = {
        "all": (*RIVALS, *grid.BASELINES),
        "near": (*RIVALS, "nearest"),
        "rivals": RIVALS,
        "few": FEW,
    }[who]
    return [grid.OURS, *dict.fromkeys(label for label in wanted if grid.points(label))]


def filtered(asked: Iterable[Asked], scenarios: Sequence[str]) -> list[Asked]:
    """Those whose scenario or own name matches one of the patterns; none given: all."""
    if not scenarios:
        return list(asked)
    return [
        one
        for one in asked
        if any(
            fnmatch.fnmatchcase(name.lower(), pattern.lower())
            for pattern in scenarios
            for name in (one.condition.scenario, one.condition.name)
        )
    ]


def tuning_cells(asked: Sequence[Asked], requests: int, labels: Sequence[str] | None) -> list[Cell]:
    """Every point of the grid on the tuning seeds, once for each family of scenarios.

    A family is tuned at its load nearest to .8, without reports' own changes and without the
    events of a time line.
    """
    cells = []
    for family, (condition, who) in _families(asked).items():
        steady = msgspec.structs.replace(
            condition,
            name=f"tuning {family}",
            requests=condition.tuning_requests or requests,
            changes=(
                *condition.changes,
                *(STEADY if condition.series else ()),
                ("warm_up_s", TUNING_WARM_UP_S),
            ),
            series=False,
        )
        for label in labels_of(who):
            if label == grid.OURS or (labels and label not in labels):
                continue
            points = grid.points(label, _widths_ms(condition))
            if len(points) > 1:
                cells += [
                    Cell(condition=steady, arm=point, seed=FIRST_TUNING_SEED + i)
                    for point in points
                    for i in range(TUNING_SEEDS)
                ]
    return cells


def _widths_ms(condition: Condition) -> tuple[float, ...]:
    on_a_map = condition.series or condition.scenario.endswith(("-map", "-west"))
    return grid.FAR_WIDTHS_MS if on_a_map else grid.RING_WIDTHS_MS


def _families(asked: Sequence[Asked]) -> dict[str, tuple[Condition, str]]:
    found: dict[str, tuple[Condition, str]] = {}
    widest = ("few", "rivals", "near", "all")
    for one in asked:
        condition, who = one.condition, one.who
        before = found.get(condition.family)
        if before is None:
            found[condition.family] = (condition, who)
            continue
        nearer = _off(condition) < _off(before[0])
        wider = max(who, before[1], key=widest.index)
        found[condition.family] = (condition if nearer else before[0], wider)
    return found


def _off(condition: Condition) -> float:
    return abs((condition.load or 0.6) - 0.8)


def best_points(stored: Iterable[Stored]) -> tuple[Chosen, list[list[str]], list[list[str]]]:
    """The best arm of each family and label by pooled p99, a row for it, and a row a point."""
    groups: dict[tuple[str, str], dict[Arm, list[Stored]]] = {}
    for one in stored:
        key = (one.cell.condition.family, one.cell.arm.label)
        groups.setdefault(key, {}).setdefault(one.cell.arm, []).append(one)
    chosen: Chosen = {}
    best_rows, rows = [], []
    for (family, label), arms in groups.items():
        ranked = sorted(
            ((_p99(runs), place, arm) for place, (arm, runs) in enumerate(arms.items())),
            key=lambda found: found[:2],
        )
        told = [[family, label, arm.point or "as shipped", _told_ms(p99)] for p99, _, arm in ranked]
        rows += told
        best_rows.append([*told[0], str(len(arms))])
        if math.isfinite(ranked[0][0]):
            chosen.setdefault(family, {})[label] = ranked[0][2]
    return chosen, best_rows, rows


def _told_ms(p99_ms: float) -> str:
    return f"{p99_ms:.2f}" if math.isfinite(p99_ms) else "∞ (not stable)"


def _p99(runs: Sequence[Stored]) -> float:
    label = runs[0].cell.arm.label
    evidence = Evidence.of(runs)
    value = evidence.value(runs[0].cell.condition.name, label, P99)
    return math.inf if math.isnan(value) else value


def main_cells(
    asked: Sequence[Asked], chosen: Chosen, seeds: Sequence[int], labels: Sequence[str] | None
) -> list[list[Cell]]:
    """The comparison, a group a policy under a condition (all its seeds), oracles first."""
    groups = []
    for one in asked:
        condition = one.condition
        arms = [(Arm(label=ORACLE, policy=ORACLE), 0.0)]
        if age_ms := float(dict(condition.changes).get("reports.period_ms", 0.0)):
            arms.append((Arm(label=AGED_ORACLE, policy=AGED_ORACLE), age_ms))
        for label in labels_of(one.who):
            if labels and label not in labels and label != grid.OURS:
                continue
            arms.append((arm_of(label, condition.family, chosen), 0.0))
        if condition.scenario == SINKHOLE:
            arms.append((BARE, 0.0))
        groups += [
            [Cell(condition=condition, arm=arm, seed=seed, age_ms=age) for seed in seeds]
            for arm, age in arms
        ]
    return groups


def shortened(cell: Cell, requests: int) -> Cell:
    """The same cell with fewer requests, to see what one costs."""
    condition = msgspec.structs.replace(
        cell.condition, name="trial", requests=requests, series=False
    )
    return msgspec.structs.replace(cell, condition=condition)


def arm_of(label: str, family: str, chosen: Mapping[str, Mapping[str, Arm]]) -> Arm:
    """The tuned arm; the policy as shipped where nothing was tuned."""
    return chosen.get(family, {}).get(label) or Arm(label=label, policy=label)


def grid_rows() -> list[list[str]]:
    """The whole grid for the report."""
    rows = []
    for label in grid.BASELINES:
        points = grid.points(label)
        if not points:
            continue
        knobs = [
            f"{knob.plugin}.{knob.parameter}: {', '.join(map(str, knob.values))} ({knob.why})"
            for knob in grid.KNOBS.get(label, ())
        ]
        forms = dict.fromkeys(point.policy for point in points)
        if any(parameter == "ring_ms" for point in points for _, parameter, _ in point.parameters):
            widths = ", ".join(map(str, grid.RING_WIDTHS_MS))
            far = ", ".join(map(str, grid.FAR_WIDTHS_MS))
            knobs.append(f"ring_ms: {widths} (maps: {far}) beside the shipped 1, else as shipped")
        rows.append([label, " and ".join(forms), "; ".join(knobs) or "as shipped"])
    return rows


def load_chosen(path: Path) -> Chosen:
    """The points an earlier run chose; none when there is no such file."""
    if not path.is_file():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=Chosen)


def save_chosen(path: Path, chosen: Chosen) -> None:
    """Keep them, readable."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(chosen), indent=1) + b"\n")
