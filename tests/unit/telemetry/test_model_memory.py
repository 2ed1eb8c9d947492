"""What models take, as a scrape shows it."""

from __future__ import annotations

from gateway.telemetry.metrics import Exposition, Metrics
from gateway.telemetry.model_memory import ModelMemory


def test_a_scrape_asks_for_what_is_there_now() -> None:
    metrics = Metrics(["c"])
    assert b"nearway_model_loads_total 0.0" in Exposition(metrics).text()
    metrics.model_memory = lambda: ModelMemory(3, 5, 2_000_000, 9, 4, 7, 2, 1, 512)
    text = Exposition(metrics).text().decode()
    for line in (
        'nearway_models{state="in_memory"} 3.0',
        'nearway_models{state="on_demand"} 5.0',
        "nearway_models_memory_bytes 2e+06",
        "nearway_model_loads_total 9.0",
        "nearway_model_evictions_total 4.0",
        'nearway_response_cache_total{result="hit"} 7.0',
        'nearway_response_cache_total{result="miss"} 2.0',
        'nearway_response_cache_total{result="coalesced"} 1.0',
        "nearway_response_cache_bytes 512.0",
    ):
        assert line in text
