"""Counters add up and have Triton's form."""

from __future__ import annotations

from gateway.engine.model_statistics import BATCH_SIZES_MAX, ModelStatistics


def recorded(statistics: ModelStatistics, batch: int) -> None:
    statistics.record(queue_s=1e-6, input_s=2e-6, infer_s=3e-6, output_s=4e-6, batch=batch)


def test_nothing_yet() -> None:
    entry = ModelStatistics().as_triton("m", "3")
    assert (entry["name"], entry["version"], entry["last_inference"]) == ("m", "3", 0)
    assert entry["inference_stats"]["success"] == {"count": 0, "ns": 0}
    assert entry["batch_stats"] == []


def test_sums() -> None:
    statistics = ModelStatistics(lambda: 1234.5678)
    recorded(statistics, 1)
    recorded(statistics, 8)
    recorded(statistics, 8)
    statistics.record_failure(total_s=5e-6)
    entry = statistics.as_triton("m", "1")
    assert entry["last_inference"] == 1234568
    assert entry["inference_count"] == 17
    assert entry["execution_count"] == 3
    stats = entry["inference_stats"]
    assert stats["success"] == {"count": 3, "ns": 30_000}
    assert stats["fail"] == {"count": 1, "ns": 5_000}
    assert stats["queue"] == {"count": 3, "ns": 3_000}
    assert stats["compute_input"] == {"count": 3, "ns": 6_000}
    assert stats["compute_infer"] == {"count": 3, "ns": 9_000}
    assert stats["compute_output"] == {"count": 3, "ns": 12_000}
    assert [(b["batch_size"], b["compute_infer"]) for b in entry["batch_stats"]] == [
        (1, {"count": 1, "ns": 3_000}),
        (8, {"count": 2, "ns": 6_000}),
    ]


def test_a_run_that_answered_several_requests_is_one_execution() -> None:
    statistics = ModelStatistics()
    statistics.record(queue_s=1e-6, input_s=6e-6, infer_s=3e-6, output_s=4e-6, batch=5, requests=3)
    entry = statistics.as_triton("m", "1")
    assert (entry["inference_count"], entry["execution_count"]) == (5, 1)
    stats = entry["inference_stats"]
    assert stats["success"] == {"count": 3, "ns": 20_000}
    assert stats["compute_infer"] == {"count": 3, "ns": 9_000}
    [batch] = entry["batch_stats"]
    assert (batch["batch_size"], batch["compute_infer"]) == (5, {"count": 1, "ns": 3_000})


def test_batch_sizes_counted_apart_are_bounded() -> None:
    statistics = ModelStatistics()
    for batch in range(1, BATCH_SIZES_MAX + 50):
        recorded(statistics, batch)
    entry = statistics.as_triton("m", "1")
    assert len(entry["batch_stats"]) == BATCH_SIZES_MAX
    assert entry["execution_count"] == BATCH_SIZES_MAX + 49
