"""Every metric of the gateway: name, kind, labels, meaning. docs/metrics.md says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family, as Prometheus names it (counters without ``_total``)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()

    @property
    def exposed_name(self) -> str:
        """The name a query uses."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


REQUESTS = Family(
    "nearway_requests",
    "counter",
    "Inference requests by model and HTTP status; 499 is a client that left.",
    ("model", "code"),
)
DURATION = Family(
    "nearway_request_duration_seconds",
    "histogram",
    "From the request's head to the answer handed to the transport, answered requests.",
)
PARTS = Family(
    "nearway_request_part_seconds",
    "histogram",
    "The four parts of an answered request: gateway, network, queue, service.",
    ("part",),
)
IN_FLIGHT = Family("nearway_requests_in_flight", "gauge", "Inference requests under way.")
ATTEMPTS = Family("nearway_attempts", "counter", "Attempts started at centers.")
RETRIES = Family("nearway_retries", "counter", "Attempts after the first of a request.")
PICKS = Family(
    "nearway_center_picks", "counter", "How often a center was chosen, retries included.",
    ("center",),
)  # fmt: skip
ATTEMPT_ENDINGS = Family(
    "nearway_attempt_endings",
    "counter",
    "How attempts ended: answer, error or cancelled.",
    ("ending",),
)
DECISION = Family(
    "nearway_decision_duration_seconds", "histogram", "Time to decide and to charge the center."
)
PREDICTION_ERROR = Family(
    "nearway_prediction_error_seconds",
    "histogram",
    "Absolute difference of predicted and measured attempt time, answered attempts.",
)
PREDICTION_UNDER = Family(
    "nearway_prediction_under",
    "counter",
    "Answered attempts that took longer than predicted.",
)

CATALOGUE: tuple[Family, ...] = (
    REQUESTS,
    DURATION,
    PARTS,
    IN_FLIGHT,
    ATTEMPTS,
    RETRIES,
    PICKS,
    ATTEMPT_ENDINGS,
    DECISION,
    PREDICTION_ERROR,
    PREDICTION_UNDER,
)
