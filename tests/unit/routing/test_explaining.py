"""The table behind a decision: the same plugins, asked for every center, and nothing moved."""

from __future__ import annotations

import numpy as np


def parts_of(world, **options):
    table = world.standard_table([[4.0, 2.0, 9.0]], [1.0, 1.0, 1.0])
    asked = world.Charges(
        lambda query, centers: np.array([0.0, query.body_bytes, 0.0], np.float32), None
    )
    policy = world.default_policy(
        scorers=[("network", world.network()), ("queue", world.queue()), ("by_size", asked)],
        **options,
    )
    return world.router(table, policy)


def test_plugins_asked_per_request_are_in_the_table_like_the_others(world):
    router = parts_of(world)
    query = world.query(body_bytes=7)
    table = router.explain(query, 0.0)
    assert table.scorers_ms["by_size"].tolist() == [0.0, 7.0, 0.0]
    assert table.center == router.decide(query, 0.0).center == 0
    assert table.total_ms.tolist() == [4.0, 9.0, 9.0]


def test_it_is_a_copy_that_later_decisions_leave_alone(world):
    router = parts_of(world)
    table = router.explain(world.query(body_bytes=7), 0.0)
    told = table.total_ms.tolist()
    router.decide(world.query(body_bytes=100), 0.0)
    router.commit(router.decide(world.query(), 0.0), 0.0)
    assert table.total_ms.tolist() == told


def test_a_picker_that_fails_is_named_with_what_is_done_instead(world):
    def broken(total_ms, candidates, random):
        raise RuntimeError("no idea")

    router = parts_of(world, picker=world.Picks(broken))
    table = router.explain(world.query(), 0.0)
    assert table.center == 1
    assert any("no idea" in note and "smallest sum" in note for note in table.notes)
