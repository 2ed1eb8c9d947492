"""Refused, degraded or tried; the exchange's tests see it at work."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import DeadlineExceeded
from gateway.serving.in_time import TRIED_EVERY, in_time


def test_the_largest_smaller_model_in_time_is_taken(world: Any) -> None:
    world.router.predicted_by_model = {"mlp": 50.0, "mlp-m": 15.0, "mlp-s": 5.0}
    world.smaller.update({"mlp": "mlp-m", "mlp-m": "mlp-s"})
    arrival = world.arrival(20.0)
    decision = world.router.decide(arrival.query, world.clock())
    found = in_time(world.collaborators(), arrival, decision, world.clock())
    assert found.query.model == "mlp-m"
    assert arrival.model == "mlp-m"
    assert arrival.query.model == "mlp"


def test_a_ring_of_smaller_models_ends(world: Any) -> None:
    world.router.predicted_ms = 50.0
    world.smaller.update({"mlp": "mlp-s", "mlp-s": "mlp"})
    arrival = world.arrival(20.0)
    decision = world.router.decide(arrival.query, world.clock())
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        in_time(world.collaborators(), arrival, decision, world.clock())
    assert arrival.model == "mlp"


def test_now_and_then_a_hopeless_one_is_tried(world: Any) -> None:
    world.router.predicted_ms = 50.0
    tried = 0
    for _ in range(4 * TRIED_EVERY):
        arrival = world.arrival(20.0)
        decision = world.router.decide(arrival.query, world.clock())
        try:
            tried += in_time(world.collaborators(), arrival, decision, world.clock()) is decision
        except DeadlineExceeded:
            continue
    assert tried == 4
