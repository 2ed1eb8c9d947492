"""Reading a request's head: what it is, from where, by whom, by when. No I/O; any lane.

A header is any mapping that finds names whatever their case. Who may say where a request comes
from and for whom: only a peer in ``server.trusted_proxies``; from anybody else these headers
are passed over, and the default origin and the anonymous tenant stand.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import count
from math import isfinite
from typing import Protocol

from gateway.api import (
    ConfigError,
    InvalidRequest,
    NearwayError,
    Query,
    RequestError,
    TooLarge,
    UnsupportedMedia,
)
from gateway.config.settings import Settings
from gateway.serving.aliases import resolved
from gateway.serving.arrival import Arrival
from gateway.wire import find_limits
from gateway.wire.traceparent import HEADER, parse_traceparent

REQUEST_ID_CHARS_MAX = 128
PEERS_REMEMBERED_MAX = 4096
ORIGINS_REMEMBERED_MAX = 4096
NAME_CHARS_MAX = 128
MEDIA_TYPES = ("application/json", "application/octet-stream", "application/msgpack")


class Headers(Protocol):
    """The one thing asked of a request's headers."""

    def get(self, name: str, /) -> str | None:
        """The first value of ``name``, or None."""


class SlowBody(RequestError):
    """The body did not come before the deadline."""

    http_status = 408


@dataclass(frozen=True, slots=True)
class Said:
    """What a head says of its request, as far as it is believed.

    ``budget_ms``: None when the body may say it. ``json_bytes``: the length of the JSON head as
    it is written, to be held against the body; None when no binary tensors follow.
    ``priority``: the class, 1 is the highest; None when the body may say it. ``trusted``: what
    the body says of its priority is believed also where it is a high one. ``session``: empty
    when none is named. ``traceparent``: the client's span, as ``gateway.wire.traceparent`` writes
    it; empty when none is named, when it is not believed and while nothing is traced.
    """

    vantage: int
    tenant: str
    budget_ms: float | None
    json_bytes: str | None
    priority: int | None = None
    trusted: bool = False
    session: str = ""
    traceparent: str = ""


class Intake:
    """Turns heads and bodies into arrivals, by the settings of this gateway."""

    __slots__ = (
        "_aliases",
        "_attempts",
        "_classes",
        "_default_class",
        "_default_vantage",
        "_geo_headers",
        "_id_prefix",
        "_ids",
        "_origin_header",
        "_priority_header",
        "_session_header",
        "_tenant_header",
        "_traces",
        "_vantage_of",
        "body_bytes_max",
        "deadline_ms",
        "head_bytes_max",
        "may_administer",
        "trusts",
    )

    def __init__(self, settings: Settings, find_vantage: Callable[[str], int]) -> None:
        origins = settings.origins
        self._aliases = settings.models.aliases
        self._attempts = settings.attempts
        self.deadline_ms = settings.attempts.deadline_ms
        self.body_bytes_max = settings.server.body_bytes_max
        self.head_bytes_max = settings.server.head_bytes_max
        self._origin_header = origins.header
        self._geo_headers = origins.geo_headers
        self._tenant_header = origins.tenant_header
        self._session_header = origins.session_header
        self._traces = bool(settings.telemetry.traces)
        self._priority_header = settings.admission.priority_header
        self._classes = settings.admission.classes
        self._default_class = settings.admission.default_class
        self._vantage_of = lru_cache(ORIGINS_REMEMBERED_MAX)(find_vantage)
        self._default_vantage = find_vantage(origins.default)
        self._id_prefix = os.urandom(6).hex()
        self._ids = count(1)
        server = settings.server
        self.trusts = lru_cache(PEERS_REMEMBERED_MAX)(
            _Trust("server.trusted_proxies", server.trusted_proxies)
        )
        self.may_administer = _Trust("server.admin_peers", server.admin_peers)

    def request_id(self, headers: Headers) -> str:
        """The client's own when it is 1 to 128 visible ASCII characters, else a new one."""
        return self.given_id(headers) or self.new_id()

    def given_id(self, headers: Headers) -> str | None:
        """The client's own, None when it has none that can be used."""
        given = headers.get("x-request-id")
        if given and len(given) <= REQUEST_ID_CHARS_MAX and _visible_ascii(given):
            return given
        return None

    def new_id(self) -> str:
        """One that this process has not given before."""
        return f"{self._id_prefix}-{next(self._ids):x}"

    def check_media(self, headers: Headers) -> None:
        """Raises UnsupportedMedia unless the body is JSON, JSON with binary tensors, or unnamed."""
        given = headers.get("Content-Type")
        if given is None or given in MEDIA_TYPES:
            return
        if given.partition(";")[0].strip().lower() not in MEDIA_TYPES:
            raise UnsupportedMedia(
                f"content-type {given!r} is not read here; "
                f"send {' or '.join(MEDIA_TYPES)} (curl: -H 'content-type: application/json')"
            )

    def check_length(self, headers: Headers) -> None:
        """Raises TooLarge before a byte of a body too large is read."""
        given = headers.get("Content-Length")
        if given is not None and int(given) > self.body_bytes_max:
            raise TooLarge(self.too_large(f"{given} bytes"))

    def too_large(self, found: str) -> str:
        """The message for a body over its bound."""
        return (
            f"the body has {found}, at most {self.body_bytes_max} are read; "
            "send less or raise server.body_bytes_max"
        )

    def arrival(
        self,
        headers: Headers,
        peer: str | None,
        request_id: str,
        model: str,
        version: str,
        body: bytes,
        arrived_s: float,
    ) -> Arrival:
        """The request, understood; ``body`` is plain. Raises InvalidRequest naming the field."""
        said = self.said(headers, trusted=self.trusts(peer))
        return self.arrival_of(said, request_id, model, version, body, arrived_s)

    def said(self, headers: Headers, *, trusted: bool) -> Said:
        """What the head says by itself. Raises InvalidRequest naming the header."""
        budget_ms = self._budget_ms(headers)
        vantage, tenant, priority = self._default_vantage, "anonymous", None
        traceparent = ""
        if trusted:
            vantage = self._vantage(headers)
            tenant = self._named(headers, self._tenant_header) or "anonymous"
            priority = self._priority(headers)
            if self._traces:
                traceparent = self.traceparent(headers.get(HEADER))
        json_bytes = headers.get("Inference-Header-Content-Length")
        session = self._named(headers, self._session_header)
        return Said(vantage, tenant, budget_ms, json_bytes, priority, trusted, session, traceparent)

    def traceparent(self, given: str | None) -> str:
        """A client's span in one spelling; empty for none, and for what is no ``traceparent``."""
        parent = None if given is None else parse_traceparent(given)
        return "" if parent is None else str(parent)

    def arrival_of(
        self, said: Said, request_id: str, model: str, version: str, body: bytes, arrived_s: float
    ) -> Arrival:
        """The request of a head that was read. Raises InvalidRequest naming the field."""
        if self._aliases:
            model, version = resolved(self._aliases, model, version)
        head_bytes, budget_ms, priority = None, said.budget_ms, said.priority
        if said.json_bytes is not None:
            head_bytes = _json_bytes(said.json_bytes, body)
        if budget_ms is None or priority is None:
            timeout_us, asked = find_limits(body if head_bytes is None else body[:head_bytes])
            if budget_ms is None:
                budget_ms = self._attempts.deadline_ms
                if timeout_us is not None:
                    budget_ms = min(timeout_us / 1e3, budget_ms)
            if priority is None:
                priority = 0 if asked is None else self._class_in_body(asked, trusted=said.trusted)
        query = Query(
            said.vantage, model, said.tenant, budget_ms, len(body), said.session, priority
        )
        arrival = Arrival(
            query, body, head_bytes, version, request_id, arrived_s, arrived_s + budget_ms / 1e3
        )
        arrival.traceparent = said.traceparent
        return arrival

    def _budget_ms(self, headers: Headers) -> float | None:
        """The first of the headers that say how long the caller waits; None when none does."""
        for name, read in BUDGET_HEADERS:
            given = headers.get(name)
            if given is not None:
                return min(read(name, given), self._attempts.deadline_ms)
        return None

    def _vantage(self, headers: Headers) -> int:
        origin = headers.get(self._origin_header)
        if origin is not None:
            return self.vantage_of(origin, f"header {self._origin_header}")
        for lat_header, lon_header in self._geo_headers:
            lat, lon = headers.get(lat_header), headers.get(lon_header)
            if lat is not None and lon is not None:
                return self.vantage_of(f"{lat},{lon}", f"headers {lat_header}, {lon_header}")
        return self._default_vantage

    def vantage_of(self, origin: str, field: str) -> int:
        """The vantage of a named origin or ``lat,lon``. Raises InvalidRequest naming ``field``."""
        try:
            return self._vantage_of(origin)
        except NearwayError as error:
            raise InvalidRequest(f"{field}: {error}") from error

    def _priority(self, headers: Headers) -> int | None:
        given = headers.get(self._priority_header)
        if given is None:
            return None
        if not (given.isascii() and given.isdigit() and len(given) < 20):
            raise InvalidRequest(
                f"header {self._priority_header} is {given[:60]!r}, expected a number: 1 is the "
                f"highest class, {self._classes} the lowest, 0 the default"
            )
        return min(int(given), self._classes)

    def _class_in_body(self, asked: int, *, trusted: bool) -> int:
        """The class a body asks for; of whom we do not trust, it can only be a lower one."""
        return min(asked if trusted else max(asked, self._default_class), self._classes)

    def _named(self, headers: Headers, header: str) -> str:
        """A name the client gives, empty when it gives none."""
        given = headers.get(header) or ""
        if len(given) > NAME_CHARS_MAX:
            raise InvalidRequest(
                f"header {header} has {len(given)} characters, at most {NAME_CHARS_MAX} are taken"
            )
        return given


class _Trust:
    """Is a peer's address in one of the networks?"""

    def __init__(self, key: str, trusted: tuple[str, ...]) -> None:
        """Raises ConfigError naming ``key``."""
        try:
            self._networks = tuple(ip_network(entry, strict=False) for entry in trusted)
        except ValueError as error:
            raise ConfigError(
                f"{key}: {error}; expected addresses or networks, as in 10.0.0.0/8"
            ) from None

    def __call__(self, peer: str | None) -> bool:
        if peer is None:
            return False
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _json_bytes(given: str, body: bytes) -> int:
    """Length of the JSON head when binary tensors follow it."""
    length = int(given) if given.isascii() and given.isdigit() and len(given) < 20 else -1
    if not 0 < length <= len(body):
        raise InvalidRequest(
            f"Inference-Header-Content-Length is {given!r}, expected an integer from 1 to "
            f"the body's length, {len(body)}"
        )
    return length


def _visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _positive_ms(header: str, given: str) -> float:
    try:
        # float() also reads 1_000 and the digits of other scripts.
        value_ms = float(given) if given.isascii() and "_" not in given else -1.0
    except ValueError:
        value_ms = -1.0
    if not isfinite(value_ms) or value_ms <= 0.0:
        raise InvalidRequest(f"header {header} is {given!r}, expected milliseconds above 0")
    return value_ms


def _grpc_timeout_ms(header: str, given: str) -> float:
    """gRPC over HTTP/2: at most eight digits and a unit, H M S m u n."""
    unit_ms = GRPC_UNIT_MS.get(given[-1:])
    digits = given[:-1]
    if unit_ms is None or not (digits.isascii() and digits.isdigit() and len(digits) <= 8):
        raise InvalidRequest(
            f"header {header} is {given[:60]!r}, expected up to 8 digits and one of the units "
            f"{' '.join(GRPC_UNIT_MS)}: 100m is 100 ms"
        )
    if not int(digits):
        raise InvalidRequest(f"header {header} is {given!r}, expected more than nothing")
    return int(digits) * unit_ms


GRPC_UNIT_MS = {"H": 3.6e6, "M": 6e4, "S": 1e3, "m": 1.0, "u": 1e-3, "n": 1e-6}
BUDGET_HEADERS = (
    ("x-request-timeout-ms", _positive_ms),
    ("x-envoy-expected-rq-timeout-ms", _positive_ms),
    ("grpc-timeout", _grpc_timeout_ms),
)
"""Who says first how long the caller waits is believed: ours, Envoy's, gRPC's."""
