"""What the gateway counts, request by request, and how Prometheus reads it.

The serving room calls ``decided``, ``attempt_ended`` and ``answered`` (or ``refused``) in its
hot path: plain list and dict increments, no label objects, about 1.3 us a request together.
Label cardinality is bounded: a model gets a label of its own at its first successful answer,
and only the first ``MODELS_MAX`` models do; all others are counted as ``other``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from gateway.telemetry import catalogue
from gateway.telemetry.accountability import PolicyFigures, policy_families
from gateway.telemetry.answers import RecentAnswers
from gateway.telemetry.exemplars import Exemplars
from gateway.telemetry.histogram import BOUNDS_MS, Histogram, empty_cells
from gateway.telemetry.model_memory import ModelMemory, memory_families

EXPOSITION_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"
OPENMETRICS_CONTENT_TYPE = f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
MODELS_MAX = 1000
OTHER = "other"
PART_NAMES = ("gateway", "network", "queue", "service")
Ending = Literal["answer", "error", "cancelled"]
ProbeEnding = Literal["answered", "silent", "dropped"]


class Metrics:
    """The counters of one gateway process. ``in_flight`` and ``bodies_bytes`` are written by
    admission, ``connections_refused`` by the door.

    ``policy_figures`` and ``model_memory`` are asked at every scrape for what is kept elsewhere;
    ``recent`` are the last answers, for who wants to look closer.
    """

    __slots__ = (
        "_cells",
        "_centers",
        "_decision",
        "_degraded",
        "_endings",
        "_exemplars",
        "_first_token",
        "_former_picks",
        "_hedge_endings",
        "_hedges",
        "_hopeless",
        "_next_tokens",
        "_picks",
        "_prediction_error",
        "_prediction_under",
        "_probes",
        "_requests",
        "_retries",
        "_retries_refused",
        "_shed",
        "_sums_ms",
        "bodies_bytes",
        "connections_refused",
        "in_flight",
        "model_memory",
        "policy_figures",
        "recent",
    )

    def __init__(self, centers: Sequence[str]) -> None:
        self.in_flight = 0
        self.recent = RecentAnswers()
        self.policy_figures: Callable[[], PolicyFigures] = PolicyFigures
        self.model_memory: Callable[[], ModelMemory] = ModelMemory
        self._centers = tuple(centers)
        self._picks = [0] * len(self._centers)
        self._former_picks: dict[str, int] = {}
        self._retries = 0
        self._retries_refused = 0
        self._hedges = 0
        self._hedge_endings = {"won": 0, "lost": 0}
        self._degraded = 0
        self._hopeless = 0
        self._shed: dict[tuple[str, str], int] = {}
        self.bodies_bytes = 0
        self.connections_refused = 0
        self._probes: dict[str, int] = {"answered": 0, "silent": 0, "dropped": 0}
        self._endings: dict[str, int] = {"answer": 0, "error": 0, "cancelled": 0}
        self._requests: dict[str, dict[int, int]] = {OTHER: {}}
        self._cells = [empty_cells() for _ in (*PART_NAMES, "in all")]
        self._sums_ms = [0.0] * len(PART_NAMES)
        self._exemplars = Exemplars(len(self._cells))
        self._decision = Histogram()
        self._first_token = Histogram()
        self._next_tokens = Histogram()
        self._prediction_error = Histogram()
        self._prediction_under = 0

    def take_centers(self, centers: Sequence[str]) -> None:
        """Other centers stand in the rows from now on; what was counted by id stays.

        An attempt of a request begun before is counted for whoever stands in its row now.
        """
        if tuple(centers) == self._centers:
            return
        counts = self._former_picks | dict(zip(self._centers, self._picks, strict=False))
        rows = max(len(centers), len(self._picks))  # requests begun before still have theirs
        self._former_picks = {name: n for name, n in counts.items() if name not in set(centers)}
        self._former_picks[""] = counts.get("", 0) + sum(self._picks[len(self._centers) :])
        self._centers = tuple(centers)
        self._picks = [counts.get(name, 0) for name in centers]
        self._picks += [0] * (rows - len(self._picks))

    def decided(self, center: int, decision_ms: float, tries: int) -> None:
        """A center was chosen and charged; the ``tries``-th attempt of a request starts."""
        self._picks[center] += 1
        if tries > 1:
            self._retries += 1
        self._decision.record(decision_ms)

    def _attempts(self) -> int:
        return sum(self._picks) + sum(self._former_picks.values())

    @property
    def requests_begun(self) -> int:
        """Requests for which a center was chosen: all attempts but retries and hedges."""
        return self._attempts() - self._retries - self._hedges

    def hedged(self, center: int) -> None:
        """A second copy of a request was sent to ``center``."""
        self._picks[center] += 1
        self._hedges += 1

    def hedge_ended(self, *, won: bool) -> None:
        """A second copy brought the answer, or did not."""
        self._hedge_endings["won" if won else "lost"] += 1

    def degraded(self) -> None:
        """A smaller model answers in place of the one asked for."""
        self._degraded += 1

    def hopeless(self) -> int:
        """A request came too late for any center; returns how many did so far."""
        self._hopeless += 1
        return self._hopeless

    def shed(self, reason: str, number: str) -> None:
        """A request was refused for want of room; ``number``: its class, empty when unread."""
        self._shed[reason, number] = self._shed.get((reason, number), 0) + 1

    def shed_counts(self) -> dict[str, dict[str, int]]:
        """By reason and class, how many were refused."""
        counts: dict[str, dict[str, int]] = {}
        for (reason, number), count in sorted(self._shed.items()):
            counts.setdefault(reason, {})[number] = count
        return counts

    def first_token(self, waited_ms: float) -> None:
        """A streamed text began."""
        self._first_token.record(waited_ms)

    def next_tokens(self, mean_ms: float) -> None:
        """A streamed text is whole; its tokens came so far apart."""
        self._next_tokens.record(mean_ms)

    def retry_refused(self) -> None:
        """The budget did not allow a retry."""
        self._retries_refused += 1

    def probe_ended(self, ending: ProbeEnding) -> None:
        """A probe was answered, was not, or was never sent."""
        self._probes[ending] += 1

    def attempt_ended(self, ending: Ending, predicted_ms: float, attempt_ms: float) -> None:
        """An attempt ended; an answered one says how good the prediction was."""
        self._endings[ending] += 1
        if ending == "answer":
            short_ms = attempt_ms - predicted_ms
            if short_ms > 0.0:
                self._prediction_under += 1
                self._prediction_error.record(short_ms)
            else:
                self._prediction_error.record(-short_ms)

    def answered(
        self, model: str, gateway_ms: float, network_ms: float, queue_ms: float, service_ms: float
    ) -> None:
        """A request was answered with 200 and its four parts, in ms."""
        self._count(model, 200)
        # ``Histogram.record`` five times over: half the cost of five calls.
        gateway, network, queue, service, duration = self._cells
        place = bisect_left
        gateway[place(BOUNDS_MS, gateway_ms)] += 1
        network[place(BOUNDS_MS, network_ms)] += 1
        queue[place(BOUNDS_MS, queue_ms)] += 1
        service[place(BOUNDS_MS, service_ms)] += 1
        total_ms = gateway_ms + network_ms + queue_ms + service_ms
        duration[place(BOUNDS_MS, total_ms)] += 1
        sums_ms = self._sums_ms
        sums_ms[0] += gateway_ms
        sums_ms[1] += network_ms
        sums_ms[2] += queue_ms
        sums_ms[3] += service_ms

    def traced(self, trace_id: int, parts_ms: tuple[float, float, float, float]) -> None:
        """An answer that was counted is part of a trace: an example of its buckets."""
        self._exemplars.note(trace_id, (*parts_ms, sum(parts_ms)))

    def refused(self, model: str, code: int) -> None:
        """A request ended in any other way than ``answered`` tells; ``code`` is its status."""
        self._count(model, code)

    def _count(self, model: str, code: int) -> None:
        codes = self._requests.get(model)
        if codes is None:
            codes = self._codes_of_new(model, code)
        codes[code] = codes.get(code, 0) + 1

    def _codes_of_new(self, model: str, code: int) -> dict[int, int]:
        if code != 200 or len(self._requests) > MODELS_MAX:
            return self._requests[OTHER]
        return self._requests.setdefault(model, {})

    def _refused_family(self) -> CounterMetricFamily:
        refused = _counter(catalogue.REFUSED)
        for (reason, number), count in sorted(self._shed.items()):
            refused.add_metric([reason, number], count)
        return refused

    def families(self) -> Iterable[Metric]:
        """Everything counted, as Prometheus families in the catalogue's order."""
        requests = _counter(catalogue.REQUESTS)
        for model, codes in sorted(self._requests.items()):
            for code, count in sorted(codes.items()):
                requests.add_metric([model, str(code)], count)
        yield requests
        *parts, duration = self._cells
        whole = Histogram(duration, sum(self._sums_ms))
        examples = [self._exemplars.of(series) for series in range(len(self._cells))]
        yield _histogram(catalogue.DURATION, {"": whole}, {"": examples[-1]})
        by_name = map(Histogram, parts, self._sums_ms)
        yield _histogram(
            catalogue.PARTS,
            dict(zip(PART_NAMES, by_name, strict=True)),
            dict(zip(PART_NAMES, examples, strict=False)),
        )
        yield _histogram(catalogue.FIRST_TOKEN, {"": self._first_token})
        yield _histogram(catalogue.NEXT_TOKENS, {"": self._next_tokens})
        yield _gauge(catalogue.IN_FLIGHT, self.in_flight)
        yield _counter(catalogue.ATTEMPTS, self._attempts())
        yield _counter(catalogue.RETRIES, self._retries)
        yield _counter(catalogue.RETRIES_REFUSED, self._retries_refused)
        hedges = _counter(catalogue.HEDGES)
        for hedge_ending, count in self._hedge_endings.items():
            hedges.add_metric([hedge_ending], count)
        yield hedges
        yield _counter(catalogue.DEGRADED, self._degraded)
        yield _counter(catalogue.HOPELESS, self._hopeless)
        yield self._refused_family()
        yield _gauge(catalogue.BODIES_BYTES, self.bodies_bytes)
        yield _counter(catalogue.CONNECTIONS_REFUSED, self.connections_refused)
        probes = _counter(catalogue.PROBES)
        for probe_ending, count in self._probes.items():
            probes.add_metric([probe_ending], count)
        yield probes
        picks = _counter(catalogue.PICKS)
        for center, count in zip(self._centers, self._picks, strict=False):
            picks.add_metric([center], count)
        for center, count in self._former_picks.items():
            if center:
                picks.add_metric([center], count)
        yield picks
        endings = _counter(catalogue.ATTEMPT_ENDINGS)
        for ending, count in self._endings.items():
            endings.add_metric([ending], count)
        yield endings
        yield _histogram(catalogue.DECISION, {"": self._decision})
        yield _histogram(catalogue.PREDICTION_ERROR, {"": self._prediction_error})
        yield _counter(catalogue.PREDICTION_UNDER, self._prediction_under)
        yield from policy_families(self.policy_figures(), self._centers)
        yield from memory_families(self.model_memory())


def _gauge(family: catalogue.Family, value: int) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, value=value)


def _counter(family: catalogue.Family, value: int | None = None) -> CounterMetricFamily:
    if value is None:
        return CounterMetricFamily(family.name, family.help, labels=family.labels)
    return CounterMetricFamily(family.name, family.help, value=value)


def _histogram(
    family: catalogue.Family,
    series: dict[str, Histogram],
    examples: Mapping[str, Mapping[int, Exemplar]] = MappingProxyType({}),
) -> HistogramMetricFamily:
    exposed = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for label, histogram in series.items():
        labels = [label] if family.labels else []
        buckets = histogram.buckets_s(examples.get(label))
        exposed.add_metric(labels, buckets, histogram.sum_ms / 1000.0)
    return exposed


class _Reader(Collector):
    """Prometheus asks it at every scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()

    def describe(self) -> Iterable[Metric]:
        return ()


class Exposition:
    """The text of ``/metrics``: the catalogue and the process's own figures."""

    __slots__ = ("_registry",)

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Reader(metrics))
        ProcessCollector(registry=self._registry)

    def text(self, *, openmetrics: bool = False) -> bytes:
        """Prometheus text format, version 0.0.4, or OpenMetrics, which has exemplars."""
        return (openmetrics_text if openmetrics else generate_latest)(self._registry)
