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


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the config file; every key has a default."""


class Server(Section, frozen=True):
    """The doors. Loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: Port = 8080
    admin_host: str = "127.0.0.1"
    admin_port: Port = 8081
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    body_bytes_max: Count = 16 * 1024 * 1024
    head_bytes_max: Count = 16 * 1024
    tensor_elements_max: Count = 4_000_000
    in_flight_max: Count = 1024
    drain_s: NonNegative = 10.0


class Origins(Section, frozen=True):
    """Where a request comes from: the first header present and believed wins."""

    header: str = "x-nearway-origin"
    geo_headers: tuple[tuple[str, str], ...] = (
        ("cloudfront-viewer-latitude", "cloudfront-viewer-longitude"),
        ("cf-iplatitude", "cf-iplongitude"),
    )
    tenant_header: str = "x-nearway-tenant"
    default: str = "Shanghai"


class Gateway(Section, frozen=True):
    """Where the gateway stands: at the edge of every origin, or at one named place."""

    location: str = "origin"


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


class FleetChoice(Section, frozen=True):
    """Which centers there are. ``file`` empty: the shipped fleet."""

    file: str = ""
    sites: Literal["all", "core"] = "all"


class Models(Section, frozen=True):
    """Model repositories, in order; the shipped one comes first unless ``shipped`` is false."""

    dirs: tuple[str, ...] = ()
    shipped: bool = True
    inline_below_ms: NonNegative = 0.1
    threads_max: Annotated[int, Meta(ge=0)] = 0


class Attempts(Section, frozen=True):
    """How often and how long a center is tried for one request."""

    max: Count = 3
    timeout_ms: Positive = 1000.0
    deadline_ms: Positive = 30_000.0


class Policy(Section, frozen=True):
    """A named list of filters and scorers, one picker, and who watches."""

    filters: tuple[str | dict[str, Any], ...] = ("healthy", "serves_model")
    scorers: tuple[str | dict[str, Any], ...] = ("network", "queue", "service")
    picker: str | dict[str, Any] = "least"
    observers: tuple[str | dict[str, Any], ...] = ()
    sources: tuple[str | dict[str, Any], ...] = ()


class Routing(Section, frozen=True):
    """Which policy is in force, and how much time a plugin may take."""

    policy: str = "predicted_latency"
    seed: int = 1
    plugin_budget_ms: Positive = 0.25
    plugin_limit_ms: Positive = 5.0
    explain_every: Count = 200


class Telemetry(Section, frozen=True):
    """What is written where."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"


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
    fleet: FleetChoice = FleetChoice()
    models: Models = Models()
    attempts: Attempts = Attempts()
    routing: Routing = Routing()
    policies: dict[str, Policy] = {}
    telemetry: Telemetry = Telemetry()
    planted: Planted = Planted()


SHIPPED_POLICIES: dict[str, Policy] = {
    "predicted_latency": Policy(),
    "two_choices": Policy(picker="two_choices"),
    "nearest": Policy(scorers=("network",)),
}
