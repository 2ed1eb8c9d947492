"""The route table: odd paths, odd methods, and how the application wants to be run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.serving import runner_options

Door = Callable[..., Awaitable[Any]]


async def test_an_unknown_route_names_the_close_ones(door: Door) -> None:
    response = await (await door()).get("/v2/health/redy")
    assert response.status == 404
    assert "/v2/health/ready" in (await response.json())["error"]
    assert response.headers["x-request-id"]


async def test_a_route_unlike_any_points_to_the_document(door: Door) -> None:
    response = await (await door()).get("/")
    assert response.status == 404
    assert "/openapi.json" in (await response.json())["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v2/models/mlp/infer", {"POST"}),
        ("DELETE", "/v2/models/mlp", {"GET", "HEAD"}),
        ("PUT", "/v2/repository/index", {"POST"}),
    ],
)
async def test_a_wrong_method_is_405_with_the_right_ones(
    door: Door, method: str, path: str, allowed: set[str]
) -> None:
    response = await (await door()).request(method, path)
    assert response.status == 405
    assert set(response.headers["Allow"].split(", ")) == allowed
    assert method in (await response.json())["error"]


async def test_head_is_answered_where_get_is(door: Door) -> None:
    response = await (await door()).head("/v2/health/live")
    assert response.status == 200
    assert await response.read() == b""


async def test_metrics_are_prometheus_text(door: Door) -> None:
    response = await (await door()).get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "nearway_requests_in_flight 0.0" in await response.text()


async def test_the_runner_is_told_what_the_application_relies_on(make_front: Any) -> None:
    options = runner_options(make_front(server={"head_bytes_max": 4096, "idle_timeout_s": 7.0}))
    assert options["handler_cancellation"] is True
    assert options["auto_decompress"] is False
    assert options["max_field_size"] == 4096
    assert options["keepalive_timeout"] == 7.0
