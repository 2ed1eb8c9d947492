"""Which copy is sent, asked directly; the exchange's tests see it at work."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Query
from gateway.serving.hedges import hedge_of
from gateway.serving.tries import Try


def asked(world: Any, left_s: float = 1.0, *, late: bool = True) -> Any:
    """The copy of a try that begins now; 5 ms are predicted for either."""
    now = world.clock()
    this = Try(None, world.router.decide(Query(0, "mlp"), 0.0), now)  # type: ignore[arg-type]  # no exchange is asked
    return hedge_of(world.collaborators(), this, now + left_s, now, late=late)


def world_of(make_world: Any, share: float = 0.5, requests: int = 4) -> Any:
    world = make_world(attempts={"hedge_share": share})
    for _ in range(requests):
        world.metrics.decided(0, 0.1, 1)
    return world


@pytest.mark.parametrize(
    ("crowded", "share", "left_s", "sent"),
    [(False, 0.5, 1.0, True), (True, 0.5, 1.0, False), (False, 0.0, 1.0, False),
     (False, 0.5, 0.004, False)],
)  # fmt: skip
def test_a_copy_needs_a_slot_a_payer_and_time(
    make_world: Any, crowded: bool, share: float, left_s: float, sent: bool
) -> None:
    world = world_of(make_world, share)
    world.router.crowded = crowded
    assert (asked(world, left_s) is not None) == sent


def test_what_cannot_help_costs_nothing(make_world: Any) -> None:
    world = world_of(make_world, requests=2)
    assert asked(world, 0.001) is None
    assert asked(world) is not None


@pytest.mark.parametrize(("last_ms", "early"), [(40.0, True), (4.0, False)])
def test_an_early_copy_must_be_back_before_nearly_all(
    make_world: Any, last_ms: float, early: bool
) -> None:
    world = world_of(make_world, requests=20)
    world.router.quantiles = {0.999: last_ms}
    assert (asked(world, late=False) is not None) == early
    assert asked(world, late=True) is not None


def test_the_last_of_what_is_earned_is_for_those_that_are_late(make_world: Any) -> None:
    world = world_of(make_world, requests=4)
    assert asked(world, late=False) is None
    assert asked(world, late=True) is not None
