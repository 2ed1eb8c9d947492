"""Models in memory and what came and went, as metrics: read at a scrape where they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.telemetry import catalogue


@dataclass(frozen=True, slots=True)
class ModelMemory:
    """``on_demand``: models served without being in memory. ``loads``, ``evictions``: so far, as
    are the counts of requests to models that keep answers.
    """

    in_memory: int = 0
    on_demand: int = 0
    memory_bytes: int = 0
    loads: int = 0
    evictions: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_coalesced: int = 0
    cache_bytes: int = 0


def memory_families(memory: ModelMemory) -> Iterable[Metric]:
    """The families of ``memory`` in the catalogue's order."""
    models = GaugeMetricFamily(
        catalogue.MODELS.name, catalogue.MODELS.help, labels=catalogue.MODELS.labels
    )
    models.add_metric(["in_memory"], memory.in_memory)
    models.add_metric(["on_demand"], memory.on_demand)
    yield models
    size, loads, evictions = catalogue.MODEL_BYTES, catalogue.MODEL_LOADS, catalogue.MODEL_EVICTIONS
    yield GaugeMetricFamily(size.name, size.help, value=memory.memory_bytes)
    yield CounterMetricFamily(loads.name, loads.help, value=memory.loads)
    yield CounterMetricFamily(evictions.name, evictions.help, value=memory.evictions)
    cached, kept = catalogue.CACHED, catalogue.CACHED_BYTES
    asked = CounterMetricFamily(cached.name, cached.help, labels=cached.labels)
    asked.add_metric(["hit"], memory.cache_hits)
    asked.add_metric(["miss"], memory.cache_misses)
    asked.add_metric(["coalesced"], memory.cache_coalesced)
    yield asked
    yield GaugeMetricFamily(kept.name, kept.help, value=memory.cache_bytes)
