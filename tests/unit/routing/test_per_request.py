from __future__ import annotations

import numpy as np
import pytest

from gateway.api import NoCenter


def test_it_is_asked_for_every_query_and_sees_all_of_it(world):
    seen = []

    def by_size(query, centers):
        seen.append(query.tenant)
        return np.array([query.body_bytes, 10.0], np.float32)

    scorers = [("size", world.Charges(by_size, None))]
    router = world.router(world.table(2), world.policy(scorers=scorers))
    query = world.query()
    assert router.decide(query, 0.0).center == 0
    query.body_bytes = 20
    assert router.decide(query, 0.0).center == 1
    assert seen == ["t", "t"]


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [-5.0, 1.0], [1.0], "text"])
def test_an_unusable_answer_is_skipped(world, bad):
    answer = np.array(bad, np.float32) if isinstance(bad, list) else bad
    scorers = [
        ("fixed", world.fixed([3.0, 2.0])),
        ("bad", world.Charges(lambda q, c: answer, None)),
    ]
    router = world.router(world.table(2), world.policy(scorers=scorers))
    decision = router.decide(world.query(), 0.0)
    assert (decision.center, decision.parts_ms) == (1, (2.0, 0.0))
    assert any("scorer bad" in note for note in router.explain(world.query(), 0.0).notes)


def test_a_filter_narrows(world):
    keep = world.Narrows(lambda q, c: np.array([False, True]), None)
    policy = world.policy([("only", keep)], [("fixed", world.fixed([1.0, 2.0]))])
    router = world.router(world.table(2), policy)
    assert router.decide(world.query(), 0.0).center == 1
    assert router.explain(world.query(), 0.0).refused_by == (("only",), ())


def test_a_broken_mandatory_filter_refuses_everybody(world):
    keep = world.Narrows(lambda q, c: None, None)
    policy = world.policy([("law", keep)], [("fixed", world.fixed([1.0, 2.0]))])
    router = world.router(world.table(2), policy)
    with pytest.raises(NoCenter, match=r"law refuses 2.*filter law: .*mandatory"):
        router.decide(world.query(), 0.0)


def test_a_broken_advisory_filter_is_skipped(world):
    keep = world.Narrows(lambda q, c: None, None, advisory=True)
    policy = world.policy([("hint", keep)], [("fixed", world.fixed([1.0, 2.0]))])
    assert world.router(world.table(2), policy).decide(world.query(), 0.0).center == 0


def test_one_call_in_64_is_timed_and_an_overrun_quarantines(world):
    time_s = [0.0]

    def slow(query, centers):
        time_s[0] += 0.006
        return np.array([9.0, 0.0], np.float32)

    scorers = [("fixed", world.fixed([1.0, 2.0])), ("slow", world.Charges(slow, None))]
    router = world.router(
        world.table(2), world.policy(scorers=scorers), budget_clock=lambda: time_s[0]
    )
    assert router.decide(world.query(), 0.0).center == 1
    assert router.decide(world.query(), 0.1).center == 0, "quarantined after the timed call"
    state = router.plugin_state()[1]
    assert (state["timed"], state["calls"], state["quarantined"]) == (1, 1, True)
    assert router.decide(world.query(), 2.0).center == 1
