from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.telemetry import Metrics
from gateway.telemetry.exemplars import Exemplars
from gateway.telemetry.histogram import BOUNDS_MS
from gateway.telemetry.metrics import Exposition

TRACE, OTHER = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xABC


def test_the_last_of_a_bucket_is_kept() -> None:
    exemplars = Exemplars(2, lambda: 7.0)
    for trace_id in (OTHER, TRACE):
        exemplars.note(trace_id, (5.0, 0.2))
    ((bucket, exemplar),) = exemplars.of(0).items()
    assert BOUNDS_MS[bucket] == 5.0
    assert (exemplar.labels, exemplar.value, exemplar.timestamp) == (
        {"trace_id": f"{TRACE:032x}"},
        0.005,
        7.0,
    )


def test_there_are_never_more_than_buckets() -> None:
    exemplars = Exemplars(1)
    for number in range(5000):
        exemplars.note(TRACE, (number * 0.1,))
    assert len(exemplars.of(0)) <= len(BOUNDS_MS) + 1


def test_prometheus_reads_them_and_each_lies_in_its_bucket() -> None:
    metrics = Metrics(("a",))
    metrics.answered("mlp", 0.5, 7.0, 1.0, 2.0)
    metrics.traced(TRACE, (0.5, 7.0, 1.0, 2.0))
    text = Exposition(metrics).text(openmetrics=True).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        before = 0.0
        for sample in family.samples:
            if sample.exemplar is not None:
                assert before < sample.exemplar.value <= float(sample.labels["le"])
                assert sample.exemplar.labels == {"trace_id": f"{TRACE:032x}"}
                found[family.name, sample.labels.get("part", "")] = sample.exemplar.value
            if sample.name.endswith("_bucket"):
                before = float(sample.labels["le"])
    assert found == {
        ("nearway_request_duration_seconds", ""): 0.0105,
        ("nearway_request_part_seconds", "gateway"): 0.0005,
        ("nearway_request_part_seconds", "network"): 0.007,
        ("nearway_request_part_seconds", "queue"): 0.001,
        ("nearway_request_part_seconds", "service"): 0.002,
    }


def test_the_plain_text_has_none_and_the_same_series() -> None:
    metrics = Metrics(("a",))
    metrics.traced(TRACE, (0.5, 7.0, 1.0, 2.0))
    exposition = Exposition(metrics)
    plain, rich = exposition.text().decode(), exposition.text(openmetrics=True).decode()
    assert "trace_id" not in plain
    assert "trace_id" in rich

    def series(text: str) -> set[str]:
        lines = (line.partition(" # ")[0] for line in text.splitlines() if line[:1] != "#")
        return {line.rpartition(" ")[0] for line in lines if line.startswith("nearway_")}

    assert series(plain) == series(rich)
