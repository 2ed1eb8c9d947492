"""Every setting, its type, its default and its bound: the effective config is one of these.

A struct a section; unknown keys are refused. Docstrings of fields stand in docs/config.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
WebOrigin = Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^/\s*]+)$")]
"""``scheme://host`` or ``scheme://host:port``, or * for any."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the config file; every key has a default."""


class Server(Section, frozen=True):
    """The doors. Loopback unless told otherwise.

    ``head_timeout_s``: from a head's first byte to its last. ``body_timeout_s``: from the head's
    end to the body's; a shorter deadline counts before it. ``idle_timeout_s``: without a request.
    ``unread_timeout_s``: how long a client may leave its answer unread. Each is seen up to a
    quarter of a second late.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    reuse_port: bool = False
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8081
    admin_peers: tuple[str, ...] = ("127.0.0.0/8", "::1")
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    lane: Literal["hot", "aiohttp"] = "hot"
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    cors_origins: tuple[WebOrigin, ...] = ()
    compress_bytes_min: Annotated[int, Meta(ge=0)] = 0
    tls_cert: str = ""
    tls_key: str = ""
    body_bytes_max: Count = 16 * 1024 * 1024
    head_bytes_max: Count = 16 * 1024
    head_timeout_s: Positive = 10.0
    body_timeout_s: Positive = 30.0
    idle_timeout_s: Positive = 75.0
    unread_timeout_s: Positive = 30.0
    tensor_elements_max: Count = 4_000_000
    in_flight_max: Count = 1024
    batch_requests_max: Annotated[int, Meta(ge=1, le=4096)] = 64
    websocket_in_flight_max: Annotated[int, Meta(ge=1, le=1024)] = 32
    websocket_ping_s: Positive = 20.0
    connections_max: Count = 16_384
    bodies_bytes_max: Count = 256 * 1024 * 1024
    drain_s: NonNegative = 10.0
    watch_s: NonNegative = 0.0
    restarts_max: Annotated[int, Meta(ge=0)] = 5
    restarts_window_s: Positive = 60.0
    hung_s: NonNegative = 5.0
    ready_centers_min: Share = 0.5
    grpc_port: Annotated[int, Meta(ge=-1, le=65535)] = -1
    grpc_calls_max: Annotated[int, Meta(ge=2, le=4096)] = 256


class Origins(Section, frozen=True):
    """Where a request comes from: the first header present and believed wins."""

    header: str = "x-nearway-origin"
    geo_headers: tuple[tuple[str, str], ...] = (
        ("cloudfront-viewer-latitude", "cloudfront-viewer-longitude"),
        ("cf-iplatitude", "cf-iplongitude"),
    )
    tenant_header: str = "x-nearway-tenant"
    session_header: str = "x-nearway-session"
    default: str = "Shanghai"


class Gateway(Section, frozen=True):
    """Where the gateway stands: at the edge of every origin, or at one named place.

    ``auto``: at ``origins.default`` when a center lies at the end of a real path, else
    ``origin``.
    """

    location: str = "auto"


class Network(Section, frozen=True):
    """The emulated network: the path model's profile, its seed and the extra terms, in ms."""

    profile: Literal["premium", "cloud", "internet"] = "cloud"
    seed: int = 1
    border_ms: NonNegative = 60.0
    last_mile_ms: NonNegative = 0.0
    jitter: bool = True


class Emulation(Section, frozen=True):
    """The centers that run in this process."""

    queue_max: Count = 1024


class Remote(Section, frozen=True):
    """Centers that are any Open Inference Protocol server, by URL; bounds are for each one."""

    connections_min: Annotated[int, Meta(ge=0)] = 1
    connections_max: Count = 128
    queue_max: Annotated[int, Meta(ge=0)] = 1024
    connect_timeout_ms: Positive = 1000.0
    idle_s: Positive = 30.0
    head_bytes_max: Count = 16 * 1024
    answer_bytes_max: Count = 64 * 1024 * 1024
    index_s: Positive = 5.0
    ca_file: str = ""


class FleetChoice(Section, frozen=True):
    """Which centers there are. ``file`` empty: the shipped fleet."""

    file: str = ""
    sites: Literal["all", "core"] = "all"


class Models(Section, frozen=True):
    """Model repositories, in order; the shipped one comes first unless ``shipped`` is false.

    ``smaller``: by model, the one that answers instead when the deadline is too near for it;
    a model's own ``config.toml`` may name one, too. ``load``: all at the start, or each at its
    first request; then what is in memory may be bounded by ``memory_mb_max``, 0: no bound.
    ``aliases``: names more, by alias: a model, or MODEL/VERSION. ``custom_ops``: libraries of
    operators that models may need and onnxruntime does not have: native code, run in this process.
    """

    dirs: tuple[str, ...] = ()
    shipped: bool = True
    smaller: dict[str, str] = {}
    aliases: dict[str, str] = {}
    custom_ops: tuple[str, ...] = ()
    load: Literal["all", "on_demand"] = "all"
    memory_mb_max: NonNegative = 0.0
    inline_below_ms: NonNegative = 0.1
    threads_max: Annotated[int, Meta(ge=0)] = 0


class Attempts(Section, frozen=True):
    """How often and how long a center is tried for one request.

    ``timeout_ms``: the least time an attempt may be silent before another center is tried; a
    slower prediction gives more. ``silence_ms``: the same for an answer that has begun.
    ``retry_budget``: share of the requests in flight that may be retries, ``retries_min``
    always. ``hedge_share``: second copies for each request, at most; one is sent when an attempt
    has taken longer than ``hedge_quantile`` of such attempts do.
    """

    max: Count = 3
    timeout_ms: Positive = 20.0
    silence_ms: Positive = 1000.0
    deadline_ms: Positive = 30_000.0
    retry_budget: Annotated[float, Meta(ge=0, le=1)] = 0.2
    retries_min: Annotated[int, Meta(ge=0)] = 10
    hedge_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.02
    hedge_quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95


class OpenAi(Section, frozen=True):
    """Requests at ``/v1`` that are answered with text.

    ``deadline_ms``: of one whose head says nothing. ``first_byte_ms``: how long an attempt at a
    stream may be silent before another center is tried; ``silence_ms``: how long once it began.
    """

    deadline_ms: Positive = 120_000.0
    first_byte_ms: Positive = 10_000.0
    silence_ms: Positive = 10_000.0


class Admission(Section, frozen=True):
    """Who is refused first when there is no room for all.

    Classes are numbered from 1, the highest; ``default_class`` is that of a request that names
    none. ``wait_ms_max``: the longest predicted wait for a slot at which a request is begun;
    a model that runs for longer may be waited for as long as four answers take. While a higher
    class, or another tenant, is about, the lower class, or the tenant over its fair share, only
    keeps slots busy: it may wait ``yield_share`` of a service longer than that takes.
    ``presence_s``: how long
    after its last request a class is about. ``adaptive``: a limit of what is under way at each
    center, learned from its latency, from ``limit_min`` up.
    """

    classes: Annotated[int, Meta(ge=1, le=16)] = 3
    default_class: Annotated[int, Meta(ge=1, le=16)] = 2
    priority_header: str = "x-nearway-priority"
    wait_ms_max: Positive = 1000.0
    yield_share: Share = 0.1
    presence_s: Positive = 60.0
    tenants_max: Annotated[int, Meta(ge=1, le=65_536)] = 1024
    adaptive: bool = False
    limit_min: Count = 4


class Policy(Section, frozen=True):
    """A named list of filters and scorers, one picker, and who watches."""

    filters: tuple[str | dict[str, Any], ...] = ("healthy", "serves_model")
    scorers: tuple[str | dict[str, Any], ...] = ("network", "queue", "service", "risk")
    picker: str | dict[str, Any] = "least"
    observers: tuple[str | dict[str, Any], ...] = ()
    sources: tuple[str | dict[str, Any], ...] = ()


class ShadowChoice(Section, frozen=True):
    """A policy that decides beside the live one, for nobody. ``policy`` empty: none.

    ``budget``: share of one core's time it may take; ``sample``: share of queries looked at.
    """

    policy: str = ""
    budget: Share = 0.05
    sample: Share = 1.0


class Routing(Section, frozen=True):
    """Which policy is in force, and how much time a plugin may take.

    ``fallback`` decides while the predictions of ``policy`` are off by more than
    ``error_share_max`` (empty: nobody does). It looks at none of what may be wrong.
    """

    policy: str = "predicted_completion"
    fallback: str = "two_choices_least_request_ring"
    error_share_max: Positive = 2.0
    shadow: ShadowChoice = ShadowChoice()
    seed: int = 1
    plugin_budget_ms: Positive = 0.25
    plugin_limit_ms: Positive = 5.0
    explain_every: Count = 200


class Telemetry(Section, frozen=True):
    """What is written where.

    ``traces``: where spans go, the URL of an OTLP receiver or a file; empty: nothing is traced.
    ``traces_share``: of the requests whose client says nothing of a trace. ``access_log``: a file
    that gets a line a request; ``access_log_share``: of the answers, errors are always written.
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    target_ms: Positive = 10.0
    decision_log: str = ""
    decision_log_mb_max: Positive = 64.0
    traces: str = ""
    traces_share: Share = 0.01
    traces_per_s_max: Positive = 100.0
    access_log: str = ""
    access_log_share: Share = 1.0


class Planted(Section, frozen=True):
    """Deliberate damage, to see that the verdict can fail. Zero in any real service."""

    gateway_delay_ms: NonNegative = 0.0


class Settings(Section, frozen=True):
    """The effective config."""

    server: Server = Server()
    gateway: Gateway = Gateway()
    origins: Origins = Origins()
    network: Network = Network()
    emulation: Emulation = Emulation()
    remote: Remote = Remote()
    fleet: FleetChoice = FleetChoice()
    models: Models = Models()
    attempts: Attempts = Attempts()
    openai: OpenAi = OpenAi()
    admission: Admission = Admission()
    routing: Routing = Routing()
    policies: dict[str, Policy] = {}
    telemetry: Telemetry = Telemetry()
    planted: Planted = Planted()


# All shipped policies have the same filters, so each chooses among the same centers. A baseline
# is named after its rule, whose source stands in the picker's file and in docs/plugins.md. As
# published it does not look at the sums, which still tell what is predicted. The one named
# `..._ring` applies the rule in the nearest ring; its sums are the network alone, or it would
# borrow our prediction of queues.
NETWORK = ("network",)
RING_MS = 1.0
_BASELINES: dict[str, str] = {
    "random": "uniform",
    "round_robin": "round_robin",
    "two_choices_least_request": "two_choices_least_request",
    "peak_ewma": "peak_ewma",
    "nginx_ewma": "nginx_ewma",
    "prequal": "prequal",
    "c3": "c3",
    "weighted_round_robin": "weighted_round_robin",
    "join_idle_queue": "join_idle_queue",
    "stale_jsq": "stale_jsq",
}


def _in_ring(picker: str) -> Policy:
    return Policy(scorers=NETWORK, picker={"name": picker, "ring_ms": RING_MS})


SHIPPED_POLICIES: dict[str, Policy] = {
    "predicted_completion": Policy(),
    "two_choices": Policy(picker="two_choices"),
    "nearest": Policy(scorers=NETWORK),
    "nearest_least_request": _in_ring("least_request"),
    "locality_two_choices": Policy(scorers=NETWORK, picker="locality_two_choices"),
    "least_request": Policy(picker="least_request"),
    **{name: Policy(picker=picker) for name, picker in _BASELINES.items()},
    **{f"{name}_ring": _in_ring(picker) for name, picker in _BASELINES.items()},
}
