from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def router(world):
    table = world.standard_table([[4.0, 2.0, 9.0, 1.0]], [1.0] * 4)
    table.columns["healthy"][3] = 0
    forbids = world.fixed([0.0, 0.0, np.inf, 0.0])
    policy = world.default_policy(
        scorers=[
            ("network", world.network()),
            ("queue", world.queue()),
            ("service", world.service()),
            ("forbids", forbids),
        ]
    )
    return world.router(table, policy)


def test_it_shows_every_center_every_scorer_and_every_refusal(world, router):
    table = router.explain(world.query(), 0.0)
    assert table.policy == "test"
    assert table.center == 1
    assert table.order == (1, 0)
    assert table.refused_by == ((), (), ("forbids",), ("healthy",))
    assert list(table.scorers_ms) == ["network", "queue", "service", "forbids"]
    assert table.scorers_ms["network"].tolist() == [4.0, 2.0, 9.0, 1.0], "the refused one too"
    assert table.total_ms.tolist() == [5.0, 3.0, np.inf, np.inf]
    assert table.notes == ()


def test_it_agrees_with_decide(world, router):
    table = router.explain(world.query(), 0.0)
    decision = router.decide(world.query(), 0.0)
    assert decision.center == table.center
    assert decision.runner_up == table.order[1]
    assert decision.predicted_ms == table.total_ms[table.center]
    assert decision.parts_ms == tuple(ms[table.center] for ms in table.scorers_ms.values())


def test_what_it_shows_does_not_change_afterwards(world, router):
    table = router.explain(world.query(), 0.0)
    router.table.columns["queue_ms"][:] = 50.0
    router.decide(world.query(), 0.0)
    assert table.scorers_ms["queue"].tolist() == [0.0] * 4
    assert table.total_ms[1] == 3.0


def test_nobody_eligible_is_shown_not_raised(world, router):
    router.table.columns["healthy"][:] = 0
    router.table.epoch += 1
    table = router.explain(world.query(), 0.0)
    assert table.center is None
    assert table.order == ()
    assert table.refused_by[2] == ("healthy", "forbids")
