"""What the front works out for the doors."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import InvalidRequest, NoCapacity


async def test_declaring_follows_the_patterns_healthy_first(make_front: Any) -> None:
    front = make_front()
    front.healthy = lambda row: row != 0
    assert front.declaring("embed-small") == [1, 2, 0]
    assert front.declaring("other") == []


async def test_enter_has_a_bound_and_leave_makes_room(make_front: Any) -> None:
    front = make_front(server={"in_flight_max": 2})
    front.enter()
    front.enter()
    with pytest.raises(NoCapacity, match="2 requests"):
        front.enter()
    front.leave()
    front.enter()
    assert front.metrics.in_flight == 2


async def test_a_default_origin_that_does_not_exist_is_found_at_once(make_front: Any) -> None:
    with pytest.raises(InvalidRequest, match="Atlantis"):
        make_front(origins={"default": "Atlantis"})


async def test_the_retry_budget_is_the_one_configured(make_front: Any) -> None:
    front = make_front(attempts={"retry_budget": 0.5, "retries_min": 3})
    retries = front.collaborators.retries
    assert (retries.allowed(0), retries.allowed(100)) == (3, 50)


async def test_the_planted_delay_reaches_the_exchange(make_front: Any) -> None:
    front = make_front(planted={"gateway_delay_ms": 25.0})
    assert front.collaborators.planted_delay_s == 0.025
