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
FIRST_TOKEN = Family(
    "nearway_first_token_seconds",
    "histogram",
    "From the request's head to the first bytes of a streamed text.",
)
NEXT_TOKENS = Family(
    "nearway_next_tokens_seconds",
    "histogram",
    "Time between the tokens of a streamed text, the mean of each stream.",
)
IN_FLIGHT = Family("nearway_requests_in_flight", "gauge", "Inference requests under way.")
ATTEMPTS = Family("nearway_attempts", "counter", "Attempts started at centers.")
RETRIES = Family("nearway_retries", "counter", "Attempts after the first of a request.")
RETRIES_REFUSED = Family(
    "nearway_retries_refused",
    "counter",
    "Retries that the retry budget did not allow; the attempt was waited for, or its error told.",
)
HEDGES = Family(
    "nearway_hedges",
    "counter",
    "Second copies of slow requests, by whether they brought the answer: won or lost.",
    ("result",),
)
DEGRADED = Family(
    "nearway_requests_degraded",
    "counter",
    "Requests answered by a smaller model because the one asked for would have been late.",
)
HOPELESS = Family(
    "nearway_requests_hopeless",
    "counter",
    "Requests that no center was predicted to answer in time; all but 1 in 32 are refused at once.",
)
REFUSED = Family(
    "nearway_refused",
    "counter",
    "Requests refused for want of room, by the reason their clients were told and their class.",
    ("reason", "class"),
)
BODIES_BYTES = Family(
    "nearway_bodies_bytes", "gauge", "Bytes of request bodies held by requests under way."
)
CONNECTIONS_REFUSED = Family(
    "nearway_connections_refused", "counter", "Connections turned away at the bound of them."
)
PROBES = Family(
    "nearway_probes",
    "counter",
    "Probes of centers by how they ended: answered, silent, or dropped because too many were out.",
    ("ending",),
)
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


def _predictions(of: str) -> tuple[Family, Family, Family, Family]:
    """The four sums of a model or a center."""
    return (
        Family(
            f"nearway_{of}_predictions",
            "counter",
            f"Answered attempts whose time had been predicted, by {of}.",
            (of,),
        ),
        Family(
            f"nearway_{of}_prediction_late_seconds",
            "counter",
            "By how much attempts that took longer than predicted did, summed.",
            (of,),
        ),
        Family(
            f"nearway_{of}_prediction_early_seconds",
            "counter",
            "By how much attempts that took less than predicted did, summed.",
            (of,),
        ),
        Family(
            f"nearway_{of}_predictions_covered",
            "counter",
            "Answered attempts that took what the 90 % interval of their prediction said.",
            (of,),
        ),
    )


MODEL_PREDICTIONS = _predictions("model")
CENTER_PREDICTIONS = _predictions("center")
CENTER_HEALTH = Family(
    "nearway_center_health",
    "gauge",
    "1 at the health a center has: ok, slow, ejected, half_open, returning or draining.",
    ("center", "health"),
)
ERROR_SHARE = Family(
    "nearway_prediction_error_share",
    "gauge",
    "Typical error of the last seconds: exp(mean |ln(actual / predicted)|) - 1.",
)
IN_DOUBT = Family(
    "nearway_policy_in_doubt",
    "gauge",
    "1 while the fallback decides because predictions are off, else 0.",
)
FALLBACKS = Family(
    "nearway_policy_fallbacks", "counter", "How often the fallback took over from the policy."
)
SHADOW_COMPARED = Family(
    "nearway_shadow_decisions", "counter", "Live queries that the shadow policy decided as well."
)
SHADOW_AGREED = Family(
    "nearway_shadow_agreements", "counter", "Of these, how many it decided as the live policy did."
)
SHADOW_SKIPPED = Family(
    "nearway_shadow_skipped", "counter", "Live queries the shadow had no time left for."
)
SHADOW_REGRET = Family(
    "nearway_shadow_predicted_regret_seconds",
    "gauge",
    "Sum of what the shadow's choices would cost more, as the live policy predicts it.",
)
LOG_RECORDS = Family("nearway_decision_log_records", "counter", "Decisions written to the log.")
LOG_DROPPED = Family(
    "nearway_decision_log_dropped",
    "counter",
    "Choices and endings the decision log had no room for, or could not write.",
)
TRACE_SPANS = Family(
    "nearway_trace_spans",
    "counter",
    "Spans of traced requests: exported, or dropped because the destination took none.",
    ("result",),
)
TRACES_SKIPPED = Family(
    "nearway_traces_skipped",
    "counter",
    "Requests that were to be traced and were not: too many a second, or too many kept.",
)
ACCESS_LOG_DROPPED = Family(
    "nearway_access_log_dropped",
    "counter",
    "Lines the access log had no room for, or could not write.",
)
MODELS = Family(
    "nearway_models",
    "gauge",
    "Models that centers of this process serve: in_memory, or on_demand, loaded when asked for.",
    ("state",),
)
MODEL_BYTES = Family(
    "nearway_models_memory_bytes", "gauge", "What models in memory take, measured at their loads."
)
MODEL_LOADS = Family("nearway_model_loads", "counter", "Loads of models, first ones and later.")
MODEL_EVICTIONS = Family(
    "nearway_model_evictions", "counter", "Models given up for room, to be loaded again on demand."
)
CACHED = Family(
    "nearway_response_cache",
    "counter",
    "Requests to models that keep answers: hit, miss, or coalesced, answered by another's run.",
    ("result",),
)
CACHED_BYTES = Family(
    "nearway_response_cache_bytes", "gauge", "What kept answers take, of all models."
)
WORKERS = Family(
    "nearway_workers", "gauge", "Worker processes that serve; where there are several."
)
WORKER_RESTARTS = Family(
    "nearway_worker_restarts", "counter", "Workers started again because they ended unasked."
)

CATALOGUE: tuple[Family, ...] = (
    REQUESTS,
    DURATION,
    PARTS,
    FIRST_TOKEN,
    NEXT_TOKENS,
    IN_FLIGHT,
    ATTEMPTS,
    RETRIES,
    RETRIES_REFUSED,
    HEDGES,
    DEGRADED,
    HOPELESS,
    REFUSED,
    BODIES_BYTES,
    CONNECTIONS_REFUSED,
    PROBES,
    PICKS,
    ATTEMPT_ENDINGS,
    DECISION,
    PREDICTION_ERROR,
    PREDICTION_UNDER,
    *MODEL_PREDICTIONS,
    *CENTER_PREDICTIONS,
    CENTER_HEALTH,
    ERROR_SHARE,
    IN_DOUBT,
    FALLBACKS,
    SHADOW_COMPARED,
    SHADOW_AGREED,
    SHADOW_SKIPPED,
    SHADOW_REGRET,
    LOG_RECORDS,
    LOG_DROPPED,
    TRACE_SPANS,
    TRACES_SKIPPED,
    ACCESS_LOG_DROPPED,
    MODELS,
    MODEL_BYTES,
    MODEL_LOADS,
    MODEL_EVICTIONS,
    CACHED,
    CACHED_BYTES,
)

OF_WORKERS: tuple[Family, ...] = (WORKERS, WORKER_RESTARTS)
"""What the supervisor of several workers adds."""
