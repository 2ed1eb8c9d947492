"""Where each plugin of a policy ends up, and in which order parts are told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.routing.compiling import compiled_policy
from gateway.routing.guard import Budget


@pytest.fixture
def compiled(world):
    table = world.standard_table([[2.0, 9.0]], [1.0, 1.0])

    def make(**changes):
        budget = Budget(lambda: 0.0, 0.05, 5.0, None).for_centers(len(table))
        return compiled_policy(table, world.default_policy(**changes), budget, seed=1)

    return make


def test_plugins_go_by_what_they_vary_by(world, compiled):
    each_time = world.fixed([0.0, 0.0], varies_by=None)
    scorers = [
        ("each_time", each_time),
        ("network", world.network()),
        ("queue", world.queue()),
        ("service", world.service()),
    ]
    made = compiled(scorers=scorers)
    assert [component.key_fields for component in made.components] == [("vantage",), ("model",)]
    assert len(made.live.columns) == 1
    assert len(made.per_request) == 1


def test_parts_are_put_back_into_the_policys_order(world, compiled):
    # Summed: queue (live), network, service.
    assert compiled().in_policy_order(["queue", "network", "service"]) == (
        "network",
        "queue",
        "service",
    )
    first = [("queue", world.queue()), ("network", world.network()), ("service", world.service())]
    assert compiled(scorers=first).in_policy_order([1, 2, 3]) == (1, 2, 3)


def test_a_cost_that_is_no_time_is_told_apart(world, compiled):
    class Price(world.Charges):
        is_time = False

    dear = Price(lambda _query, _centers: None)
    made = compiled(scorers=[("network", world.network()), ("price", dear)])
    assert made.time_places == (0,)
    assert compiled().time_places == (0, 1, 2)


def test_observers_are_guarded_and_told(compiled):
    watching = SimpleNamespace(ended=lambda *_: None)
    made = compiled(observers=[("watching", watching)])
    assert (made.guards[-1].kind, made.guards[-1].name) == ("observer", "watching")
    assert [watcher.guard.name for watcher in made.watchers] == ["watching"]
