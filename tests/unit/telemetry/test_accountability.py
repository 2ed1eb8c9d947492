"""What predictions were worth, as Prometheus reads it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.telemetry import Exposition, Metrics, PolicyFigures, Recorded


@dataclass
class Account:
    answers: int = 0
    late_ms: float = 0.0
    early_ms: float = 0.0
    covered: int = 0


def told(metrics: Metrics) -> dict[str, float]:
    lines = Exposition(metrics).text().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def test_figures_are_read_at_each_scrape() -> None:
    metrics = Metrics(("a", "b"))
    account = Account(10, 5.0, 2.0, 9)
    metrics.policy_figures = lambda: PolicyFigures({"mlp": account}, (account, Account()))
    first = told(metrics)
    assert first['nearway_model_predictions_total{model="mlp"}'] == 10
    assert first['nearway_model_prediction_late_seconds_total{model="mlp"}'] == 0.005
    assert first['nearway_center_prediction_early_seconds_total{center="a"}'] == 0.002
    assert first['nearway_center_predictions_covered_total{center="a"}'] == 9
    assert 'nearway_center_predictions_total{center="b"}' not in first
    account.answers = 11
    assert told(metrics)['nearway_model_predictions_total{model="mlp"}'] == 11


def test_doubt_and_shadow_and_log() -> None:
    metrics = Metrics(("a",))
    metrics.policy_figures = lambda: PolicyFigures(
        error_share=1.5,
        doubted=True,
        fallbacks=2,
        shadow_compared=8,
        shadow_agreed=7,
        shadow_skipped=3,
        shadow_regret_ms=-4.0,
        log_records=100,
        log_dropped=1,
        recorded=Recorded(20, 3, 4, 5),
    )
    found = told(metrics)
    assert found["nearway_prediction_error_share"] == 1.5
    assert found["nearway_policy_in_doubt"] == 1
    assert found["nearway_policy_fallbacks_total"] == 2
    assert found["nearway_shadow_decisions_total"] == 8
    assert found["nearway_shadow_agreements_total"] == 7
    assert found["nearway_shadow_skipped_total"] == 3
    assert found["nearway_shadow_predicted_regret_seconds"] == -0.004
    assert found["nearway_decision_log_records_total"] == 100
    assert found["nearway_decision_log_dropped_total"] == 1
    assert found['nearway_trace_spans_total{result="exported"}'] == 20
    assert found['nearway_trace_spans_total{result="dropped"}'] == 3
    assert found["nearway_traces_skipped_total"] == 4
    assert found["nearway_access_log_dropped_total"] == 5
