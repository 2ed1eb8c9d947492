"""Whom the gateway believes, and what it remembers of origins."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.api import ConfigError, InvalidRequest, NotFound
from gateway.config.settings import Settings
from gateway.serving.intake import Intake


def intake(find: Any = lambda name: 0, **settings: Any) -> Intake:
    return Intake(msgspec.convert(settings, Settings), find)


@pytest.mark.parametrize(
    ("trusted", "peer", "believed"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "::ffff:127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8"], "10.9.8.7", True),
        (["10.0.0.1/8"], "10.9.8.7", True),
        (["::1"], "::1", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["0.0.0.0/0"], "::1", False),
        ([], "127.0.0.1", False),
        (["127.0.0.1"], None, False),
        (["127.0.0.1"], "", False),
    ],
)
def test_trust_is_by_address_and_network(
    trusted: list[str], peer: str | None, believed: bool
) -> None:
    assert intake(server={"trusted_proxies": trusted}).trusts(peer) is believed


def test_an_origin_is_looked_up_once() -> None:
    asked = []

    def find(name: str) -> int:
        asked.append(name)
        return 7

    reader = intake(find)
    for _ in range(3):
        arrival = reader.arrival(
            {"x-nearway-origin": "Beijing"}, "127.0.0.1", "r", "m", "", b"{}", 0.0
        )
        assert arrival.query.vantage == 7
    assert asked == ["Shanghai", "Beijing"]


def test_whatever_the_lookup_says_is_the_clients_400() -> None:
    def find(name: str) -> int:
        if name != "Shanghai":
            raise NotFound(f"no place {name}")
        return 0

    with pytest.raises(InvalidRequest, match="header x-nearway-origin: no place Mars"):
        intake(find).arrival({"x-nearway-origin": "Mars"}, "127.0.0.1", "r", "m", "", b"", 0.0)


def test_a_session_is_believed_of_anybody() -> None:
    arrival = intake().arrival({"x-nearway-session": "s"}, "8.8.8.8", "r", "m", "", b"{}", 0.0)
    assert arrival.query.session == "s"
    with pytest.raises(InvalidRequest, match="x-nearway-session has 129 characters"):
        intake().arrival({"x-nearway-session": "s" * 129}, None, "r", "m", "", b"", 0.0)


SPAN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("traces", "peer", "given", "told"),
    [
        ("http://127.0.0.1:4318", "127.0.0.1", SPAN, SPAN),
        ("http://127.0.0.1:4318", "127.0.0.1", SPAN.replace("00-", "cc-", 1) + "-x", SPAN),
        ("http://127.0.0.1:4318", "127.0.0.1", "nonsense", ""),
        ("http://127.0.0.1:4318", "8.8.8.8", SPAN, ""),
        ("", "127.0.0.1", SPAN, ""),
    ],
)
def test_a_span_is_read_of_who_is_trusted_while_something_is_traced(
    traces: str, peer: str, given: str, told: str
) -> None:
    made = intake(telemetry={"traces": traces})
    arrival = made.arrival({"traceparent": given}, peer, "r", "m", "", b"{}", 0.0)
    assert arrival.traceparent == told


def test_a_tenant_name_has_a_bound() -> None:
    with pytest.raises(InvalidRequest, match="129 characters"):
        intake().arrival({"x-nearway-tenant": "t" * 129}, "127.0.0.1", "r", "m", "", b"", 0.0)


def test_the_deadline_counts_from_the_arrival() -> None:
    arrival = intake().arrival({"x-request-timeout-ms": "250"}, None, "r", "m", "", b"", 10.0)
    assert arrival.deadline_s == pytest.approx(10.25)
    assert arrival.query.body_bytes == 0


@pytest.mark.parametrize(
    "given", ["", "0", "-1", "nan", "inf", "1_000", "\uff11\uff10", "soon", "0x10"]
)
def test_a_budget_is_a_plain_number_above_0(given: str) -> None:
    with pytest.raises(InvalidRequest, match="x-request-timeout-ms"):
        intake().arrival({"x-request-timeout-ms": given}, None, "r", "m", "", b"", 0.0)


@pytest.mark.parametrize(
    ("headers", "budget_ms"),
    [
        ({"x-envoy-expected-rq-timeout-ms": "120"}, 120.0),
        ({"grpc-timeout": "250m"}, 250.0),
        ({"grpc-timeout": "2S"}, 2000.0),
        ({"grpc-timeout": "1500u"}, 1.5),
        ({"grpc-timeout": "1H"}, 30_000.0),  # at most attempts.deadline_ms
        ({"grpc-timeout": "2S", "x-request-timeout-ms": "40"}, 40.0),
    ],
)
def test_whoever_says_first_how_long_is_waited_is_believed(
    headers: dict[str, str], budget_ms: float
) -> None:
    arrival = intake().arrival(headers, None, "r", "m", "", b"", 10.0)
    assert arrival.query.deadline_ms == pytest.approx(budget_ms)


@pytest.mark.parametrize(
    "given", ["", "m", "5", "0m", "-1m", "1.5S", "123456789m", "5s", "\u0665m"]
)
def test_a_grpc_timeout_is_digits_and_a_unit(given: str) -> None:
    with pytest.raises(InvalidRequest, match="grpc-timeout"):
        intake().arrival({"grpc-timeout": given}, None, "r", "m", "", b"", 0.0)


@pytest.mark.parametrize("key", ["trusted_proxies", "admin_peers"])
def test_a_wrong_network_is_refused_by_its_key(key: str) -> None:
    settings = msgspec.convert({"server": {key: ["10.0.0.0/99"]}}, Settings)
    with pytest.raises(ConfigError, match=f"server.{key}: .*10.0.0.0/99"):
        Intake(settings, lambda _: 0)
