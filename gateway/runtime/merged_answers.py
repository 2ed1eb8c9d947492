"""One answer out of what several workers said: metrics, fleet, state, decisions.

Counts add up. What each worker believes for itself (a policy in doubt, a typical error) is
told as the worst of them; what is the same for all is taken from the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

WORST = frozenset(
    {"nearway_prediction_error_share", "nearway_policy_in_doubt", "nearway_center_health"}
)
"""Gauges that say how bad it is, or are the same everywhere: the largest counts."""
LEAST = frozenset({"process_start_time_seconds", "process_max_fds"})

Row = dict[str, Any]


class _Told(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return ()


def merged_metrics(texts: Sequence[bytes], more: Sequence[Metric] = ()) -> bytes:
    """Prometheus text: the families of all texts, same series added up, and ``more``."""
    families: dict[str, Metric] = {}
    sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text.decode()):
            families.setdefault(family.name, family)
            series = sums.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                series[key] = _joined(family.name, series.get(key), sample.value)
    for name, series in sums.items():
        families[name].samples = [
            Sample(sample, dict(labels), value) for (sample, labels), value in series.items()
        ]
    registry = CollectorRegistry()
    registry.register(_Told([*families.values(), *more]))
    return generate_latest(registry)


def _joined(family: str, so_far: float | None, value: float) -> float:
    if so_far is None:
        return value
    if family in WORST:
        return max(so_far, value)
    if family in LEAST:
        return min(so_far, value)
    return so_far + value


def merged_fleet(tables: Sequence[Sequence[Row]]) -> list[Row]:
    """Rows of all workers as one table: a row a center, counts added up.

    In flight, work and health are the same for all workers; what a worker cannot know of the
    others (answers, errors, how good predictions were) is added.
    """
    rows = []
    for same in zip(*tables, strict=True):
        row = dict(same[0])
        for name in ("answers", "errors", "cancelled"):
            row[name] = sum(one[name] for one in same)
        ages = [one["report_age_s"] for one in same if one["report_age_s"] is not None]
        row["report_age_s"] = min(ages, default=None)
        row["prediction"] = _prediction([one["prediction"] for one in same])
        rows.append(row)
    return rows


def _prediction(figures: Sequence[Row]) -> Row:
    """Means over answers, joined by how many answers each is of."""
    told = [one for one in figures if one["answers"]]
    answers = sum(one["answers"] for one in told)
    joined: Row = {"answers": answers}
    for name in ("bias_ms", "mae_ms", "covered_share"):
        total = sum(one[name] * one["answers"] for one in told)
        joined[name] = total / answers if answers else None
    return joined


def merged_state(states: Mapping[int, Row]) -> Row:
    """The first worker's state with all sums over workers, and each by itself at ``workers``."""
    first = dict(states[min(states)])
    sums = [state["prediction"] for state in states.values()]
    first["prediction"] = {
        kind: _added_up([one[kind] for one in sums]) for kind in ("by_model", "by_center")
    }
    first["ready"] = all(state["ready"] for state in states.values())
    first["unready"] = next((s["unready"] for s in states.values() if s.get("unready")), "")
    first["loop"] = _loops([state["loop"] for state in states.values()])
    first["workers"] = [{"worker": slot, **state} for slot, state in sorted(states.items())]
    return first


def _added_up(tables: Sequence[Mapping[str, Row]]) -> dict[str, Row]:
    total: dict[str, Row] = {}
    for table in tables:
        for key, sums in table.items():
            so_far = total.setdefault(key, dict.fromkeys(sums, 0))
            for name, value in sums.items():
                so_far[name] += value
    return total


def _loops(loops: Sequence[Row]) -> Row:
    """Counts added up, times the worst."""
    joined: Row = {}
    for name in loops[0]:
        values = [loop[name] for loop in loops if name in loop]
        joined[name] = max(values) if "_ms" in name else sum(values)
    return joined


def merged_decisions(told: Sequence[Row]) -> Row:
    """Kept decisions of all workers, newest first."""
    kept = [one for answer in told for one in answer["decisions"]]
    kept.sort(key=lambda one: one["seconds_ago"])
    return {"one_in": told[0]["one_in"], "decisions": kept}
