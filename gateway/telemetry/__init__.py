"""The metric catalogue, what is counted, and how Prometheus reads it."""

from gateway.telemetry.accountability import PolicyFigures, Recorded
from gateway.telemetry.catalogue import CATALOGUE, Family
from gateway.telemetry.histogram import BOUNDS_MS, Histogram
from gateway.telemetry.metrics import (
    EXPOSITION_CONTENT_TYPE,
    OPENMETRICS,
    OPENMETRICS_CONTENT_TYPE,
    Exposition,
    Metrics,
)

__all__ = [
    "BOUNDS_MS",
    "CATALOGUE",
    "EXPOSITION_CONTENT_TYPE",
    "OPENMETRICS",
    "OPENMETRICS_CONTENT_TYPE",
    "Exposition",
    "Family",
    "Histogram",
    "Metrics",
    "PolicyFigures",
    "Recorded",
]
