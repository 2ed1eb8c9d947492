"""Knowing: the standard columns, their estimators, health, and work in flight."""

from gateway.fleet.fleet import Fleet
from gateway.fleet.tuning import (
    FleetTuning,
    HealthTuning,
    NetworkTuning,
    ServiceTuning,
    WorkTuning,
)

__all__ = [
    "Fleet",
    "FleetTuning",
    "HealthTuning",
    "NetworkTuning",
    "ServiceTuning",
    "WorkTuning",
]
