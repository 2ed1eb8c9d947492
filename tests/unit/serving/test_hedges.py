"""Which copy is sent, asked directly; the exchange's tests see it at work."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Query
from gateway.serving.hedges import hedge_of
from gateway.serving.tries import Try


def tried(world: Any) -> Try:
    return Try(None, world.router.decide(Query(0, "mlp"), 0.0), world.clock())  # type: ignore[arg-type]  # no exchange is asked


@pytest.mark.parametrize(
    ("crowded", "share", "left_s", "sent"),
    [(False, 0.5, 1.0, True), (True, 0.5, 1.0, False), (False, 0.0, 1.0, False),
     (False, 0.5, 0.004, False)],
)  # fmt: skip
def test_a_copy_needs_a_slot_a_payer_and_time(
    make_world: Any, crowded: bool, share: float, left_s: float, sent: bool
) -> None:
    world = make_world(attempts={"hedge_share": share})
    world.router.crowded = crowded
    for _ in range(4):
        world.metrics.decided(0, 0.1, 1)
    this = tried(world)
    decision = hedge_of(world.collaborators(), this, world.clock() + left_s, world.clock())
    assert (decision is not None) == sent


def test_what_cannot_help_costs_nothing(make_world: Any) -> None:
    world = make_world(attempts={"hedge_share": 0.5})
    for _ in range(2):
        world.metrics.decided(0, 0.1, 1)
    this = tried(world)
    assert hedge_of(world.collaborators(), this, world.clock() + 0.001, world.clock()) is None
    assert hedge_of(world.collaborators(), this, world.clock() + 1.0, world.clock()) is not None
