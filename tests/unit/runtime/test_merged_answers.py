"""One answer out of several: counts add up, the worst is told, nothing is lost."""

from typing import Any

import pytest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from gateway.runtime.merged_answers import (
    merged_decisions,
    merged_fleet,
    merged_metrics,
    merged_state,
)
from gateway.telemetry import Exposition, Metrics


def series(text: bytes) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def texts() -> list[bytes]:
    made = []
    for answers in (3, 4):
        metrics = Metrics(("a", "b"))
        for _ in range(answers):
            metrics.decided(1, 0.01, 1)
            metrics.answered("m", 0.1, 2.0, 0.3, 0.4)
        metrics.refused("m", 500 + answers)
        metrics.in_flight = answers
        made.append(Exposition(metrics).text())
    return made


def test_counters_gauges_and_histograms_add_up() -> None:
    one, two = texts()
    told = series(merged_metrics([one, two]))
    assert told["nearway_requests_total", "code=200", "model=m"] == 7
    assert told["nearway_requests_total", "code=503", "model=m"] == 1
    assert told["nearway_requests_total", "code=504", "model=m"] == 1
    assert told["nearway_requests_in_flight",] == 7
    assert told["nearway_request_duration_seconds_count",] == 7
    assert told["nearway_request_duration_seconds_bucket", "le=+Inf"] == 7
    assert told["nearway_center_picks_total", "center=b"] == 7


def test_one_text_comes_back_as_it_is() -> None:
    one = texts()[0]
    assert series(merged_metrics([one])) == series(one)


def test_a_gauge_of_how_bad_it_is_tells_the_worst() -> None:
    def text(error: float) -> bytes:
        return (
            "# HELP nearway_prediction_error_share x\n"
            f"# TYPE nearway_prediction_error_share gauge\nnearway_prediction_error_share {error}\n"
        ).encode()

    told = series(merged_metrics([text(0.2), text(0.7)]))
    assert told["nearway_prediction_error_share",] == 0.7


def test_the_supervisors_own_figures_are_added() -> None:
    told = series(merged_metrics(texts(), [GaugeMetricFamily("nearway_workers", "x", value=2)]))
    assert told["nearway_workers",] == 2


def row(center: str, answers: int, bias_ms: float | None, age_s: float | None) -> dict[str, Any]:
    prediction = {
        "answers": answers,
        "bias_ms": bias_ms,
        "mae_ms": bias_ms,
        "covered_share": None if bias_ms is None else 0.5,
    }
    return {
        "center": center,
        "in_flight": 5,
        "answers": answers,
        "errors": 1,
        "cancelled": 0,
        "report_age_s": age_s,
        "prediction": prediction,
    }


def test_fleet_rows_add_what_only_each_worker_knows() -> None:
    (merged,) = merged_fleet([[row("a", 30, 1.0, None)], [row("a", 10, 5.0, 0.2)]])
    assert (merged["answers"], merged["errors"], merged["in_flight"]) == (40, 2, 5)
    assert merged["report_age_s"] == 0.2
    assert merged["prediction"]["bias_ms"] == pytest.approx(2.0)
    (nobody,) = merged_fleet([[row("a", 0, None, None)], [row("a", 0, None, None)]])
    assert nobody["prediction"]["bias_ms"] is None
    assert nobody["report_age_s"] is None


def state(answers: int, late_ms: float, ready: bool = True) -> dict[str, Any]:
    sums = {"answers": answers, "late_ms": late_ms, "early_ms": 0.0, "covered": 1}
    return {
        "version": "1",
        "ready": ready,
        "prediction": {"by_model": {"m": sums}, "by_center": {f"c{answers}": sums}},
        "loop": {"beats": 10, "blocked_ms_max": late_ms},
    }


def test_states_become_one_and_stay_readable_each() -> None:
    told = merged_state({0: state(1, 2.0), 1: state(3, 0.5)})
    assert told["prediction"]["by_model"]["m"]["answers"] == 4
    assert told["prediction"]["by_model"]["m"]["late_ms"] == 2.5
    assert sorted(told["prediction"]["by_center"]) == ["c1", "c3"]
    assert told["loop"] == {"beats": 20, "blocked_ms_max": 2.0}
    assert [worker["worker"] for worker in told["workers"]] == [0, 1]
    assert told["ready"]
    assert not merged_state({0: state(1, 0.0), 1: state(1, 0.0, ready=False)})["ready"]


def test_decisions_come_newest_first() -> None:
    told = merged_decisions(
        [
            {"one_in": 200, "decisions": [{"seconds_ago": 1.0}, {"seconds_ago": 9.0}]},
            {"one_in": 200, "decisions": [{"seconds_ago": 4.0}]},
        ]
    )
    assert [one["seconds_ago"] for one in told["decisions"]] == [1.0, 4.0, 9.0]
    assert told["one_in"] == 200
