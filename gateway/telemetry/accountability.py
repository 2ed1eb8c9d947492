"""What predictions were worth, what a shadow would have done, which policy decides: as metrics.

The figures are kept where they arise (the fleet, the router, the decision log) and read here
at a scrape; a request pays nothing for them. Sums, not means, so that a query may take rates:
bias = (late - early) / answers, mean absolute error = (late + early) / answers, coverage =
covered / answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.telemetry import catalogue
from gateway.telemetry.catalogue import Family


class Sums(Protocol):
    """Sums over answers, ms: see ``gateway.fleet.residuals.Account``."""

    @property
    def answers(self) -> int:
        """How many."""

    @property
    def late_ms(self) -> float:
        """By how much those that took longer than predicted did."""

    @property
    def early_ms(self) -> float:
        """By how much the others took less."""

    @property
    def covered(self) -> int:
        """How many took what their interval said."""


@dataclass(slots=True)
class Recorded:
    """What became of traces and of the access log."""

    spans_exported: int = 0
    spans_dropped: int = 0
    traces_skipped: int = 0
    access_log_dropped: int = 0


@dataclass(frozen=True, slots=True)
class PolicyFigures:
    """Everything at one instant; ``by_center`` and ``health`` in row order."""

    by_model: Mapping[str, Sums] = field(default_factory=dict)
    by_center: Sequence[Sums] = ()
    health: Sequence[str] = ()
    error_share: float = 0.0
    doubted: bool = False
    fallbacks: int = 0
    shadow_compared: int = 0
    shadow_agreed: int = 0
    shadow_skipped: int = 0
    shadow_regret_ms: float = 0.0
    log_records: int = 0
    log_dropped: int = 0
    recorded: Recorded = field(default_factory=Recorded)


def policy_families(figures: PolicyFigures, centers: Sequence[str]) -> Iterable[Metric]:
    """The families of ``figures`` in the catalogue's order."""
    models = [(model, sums) for model, sums in sorted(figures.by_model.items())]
    yield from _accounts(catalogue.MODEL_PREDICTIONS, models)
    yield from _accounts(
        catalogue.CENTER_PREDICTIONS, list(zip(centers, figures.by_center, strict=False))
    )
    health = GaugeMetricFamily(
        catalogue.CENTER_HEALTH.name,
        catalogue.CENTER_HEALTH.help,
        labels=catalogue.CENTER_HEALTH.labels,
    )
    for center, stage in zip(centers, figures.health, strict=False):
        health.add_metric([center, stage], 1.0)
    yield health
    yield _gauge(catalogue.ERROR_SHARE, figures.error_share)
    yield _gauge(catalogue.IN_DOUBT, float(figures.doubted))
    yield _counter(catalogue.FALLBACKS, figures.fallbacks)
    yield _counter(catalogue.SHADOW_COMPARED, figures.shadow_compared)
    yield _counter(catalogue.SHADOW_AGREED, figures.shadow_agreed)
    yield _counter(catalogue.SHADOW_SKIPPED, figures.shadow_skipped)
    yield _gauge(catalogue.SHADOW_REGRET, figures.shadow_regret_ms / 1e3)
    yield _counter(catalogue.LOG_RECORDS, figures.log_records)
    yield _counter(catalogue.LOG_DROPPED, figures.log_dropped)
    recorded = figures.recorded
    spans = CounterMetricFamily(
        catalogue.TRACE_SPANS.name, catalogue.TRACE_SPANS.help, labels=catalogue.TRACE_SPANS.labels
    )
    spans.add_metric(["exported"], recorded.spans_exported)
    spans.add_metric(["dropped"], recorded.spans_dropped)
    yield spans
    yield _counter(catalogue.TRACES_SKIPPED, recorded.traces_skipped)
    yield _counter(catalogue.ACCESS_LOG_DROPPED, recorded.access_log_dropped)


def _accounts(families: Sequence[Family], rows: Sequence[tuple[str, Sums]]) -> Iterable[Metric]:
    answers, late, early, covered = (
        CounterMetricFamily(family.name, family.help, labels=family.labels) for family in families
    )
    for label, sums in rows:
        if sums.answers:
            answers.add_metric([label], sums.answers)
            late.add_metric([label], sums.late_ms / 1e3)
            early.add_metric([label], sums.early_ms / 1e3)
            covered.add_metric([label], sums.covered)
    return (answers, late, early, covered)


def _counter(family: Family, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(family.name, family.help, value=value)


def _gauge(family: Family, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, value=value)
