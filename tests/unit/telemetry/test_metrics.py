"""What is counted, and that labels stay bounded."""

from __future__ import annotations

from gateway.telemetry import Exposition, Metrics
from gateway.telemetry.metrics import MODELS_MAX


def samples(metrics: Metrics) -> dict[str, float]:
    lines = Exposition(metrics).text().decode().splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs}


def test_an_answered_request_is_counted_with_its_parts() -> None:
    metrics = Metrics(("a", "b"))
    metrics.answered("mlp", 0.5, 8.0, 0.25, 0.25)
    told = samples(metrics)
    assert told['nearway_requests_total{code="200",model="mlp"}'] == 1
    assert told["nearway_request_duration_seconds_sum"] == 0.009
    assert told["nearway_request_duration_seconds_count"] == 1
    assert told['nearway_request_part_seconds_sum{part="network"}'] == 0.008
    assert told['nearway_request_duration_seconds_bucket{le="0.01"}'] == 1
    assert told['nearway_request_duration_seconds_bucket{le="0.005"}'] == 0


def test_attempts_retries_and_picks() -> None:
    metrics = Metrics(("a", "b"))
    metrics.decided(0, 0.003, 1)
    metrics.decided(1, 0.003, 2)
    told = samples(metrics)
    assert told["nearway_attempts_total"] == 2
    assert told["nearway_retries_total"] == 1
    assert told['nearway_center_picks_total{center="b"}'] == 1
    assert told["nearway_decision_duration_seconds_count"] == 2


def test_the_prediction_is_judged_on_answers_only() -> None:
    metrics = Metrics(("a",))
    metrics.attempt_ended("answer", 8.0, 10.0)
    metrics.attempt_ended("answer", 8.0, 7.0)
    metrics.attempt_ended("error", 8.0, 1000.0)
    metrics.attempt_ended("cancelled", 8.0, 1.0)
    told = samples(metrics)
    assert told["nearway_prediction_error_seconds_sum"] == 0.003
    assert told["nearway_prediction_under_total"] == 1
    assert told['nearway_attempt_endings_total{ending="answer"}'] == 2
    assert told['nearway_attempt_endings_total{ending="error"}'] == 1


def test_names_that_were_never_answered_get_no_label() -> None:
    metrics = Metrics(("a",))
    for number in range(5000):
        metrics.refused(f"guess-{number}", 404)
    told = samples(metrics)
    assert told['nearway_requests_total{code="404",model="other"}'] == 5000
    assert sum("nearway_requests_total" in name for name in told) == 1


def test_only_so_many_models_get_a_label() -> None:
    metrics = Metrics(("a",))
    for number in range(MODELS_MAX + 50):
        metrics.answered(f"m{number}", 0.0, 0.0, 0.0, 0.0)
    told = samples(metrics)
    labelled = [name for name in told if name.startswith("nearway_requests_total")]
    assert len(labelled) == MODELS_MAX + 1
    assert told['nearway_requests_total{code="200",model="other"}'] == 50


def test_a_model_once_answered_keeps_its_label_for_errors() -> None:
    metrics = Metrics(("a",))
    metrics.answered("mlp", 0.0, 0.0, 0.0, 0.0)
    metrics.refused("mlp", 504)
    assert samples(metrics)['nearway_requests_total{code="504",model="mlp"}'] == 1


def test_in_flight_is_read_at_the_scrape() -> None:
    metrics = Metrics(("a",))
    metrics.in_flight = 3
    assert samples(metrics)["nearway_requests_in_flight"] == 3


def test_refusals_by_reason_and_class() -> None:
    metrics = Metrics(("a",))
    for reason, number in (("waiting", "3"), ("waiting", "3"), ("fair_share", "2")):
        metrics.shed(reason, number)
    metrics.bodies_bytes, metrics.connections_refused = 77, 2
    told = samples(metrics)
    assert told['nearway_refused_total{class="3",reason="waiting"}'] == 2
    assert told['nearway_refused_total{class="2",reason="fair_share"}'] == 1
    assert told["nearway_bodies_bytes"] == 77
    assert told["nearway_connections_refused_total"] == 2
    assert metrics.shed_counts() == {"fair_share": {"2": 1}, "waiting": {"3": 2}}


def test_other_centers_in_the_rows_keep_every_count() -> None:
    metrics = Metrics(["a", "b", "c"])
    for row in (0, 1, 1, 2):
        metrics.decided(row, 0.1, 1)
    metrics.take_centers(["c", "new"])
    metrics.decided(1, 0.1, 1)
    metrics.decided(2, 0.1, 2)  # a retry of a request that began before
    picks = picks_of(metrics)
    assert picks == {"a": 1, "b": 2, "c": 1, "new": 1}
    assert metrics.requests_begun == 5
    metrics.take_centers(["b", "c", "new", "a"])
    assert picks_of(metrics) == picks
    metrics.decided(0, 0.1, 1)
    assert picks_of(metrics)["b"] == 3


def picks_of(metrics: Metrics) -> dict[str, int]:
    family = next(f for f in metrics.families() if f.name == "nearway_center_picks")
    return {s.labels["center"]: int(s.value) for s in family.samples if s.name.endswith("_total")}
