from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gateway.api import NoCenter


def sampler(world, values, sample=2, **options):
    picker = world.Least(sample=sample)
    return world.router(
        world.table(len(values)),
        world.policy(scorers=[("fixed", world.fixed(values))], picker=picker),
        **options,
    )


def test_a_sample_is_of_different_eligible_centers_and_the_better_wins(world):
    router = sampler(world, [5.0, np.inf, 3.0, 1.0, np.inf])
    for _ in range(200):
        decision = router.decide(world.query(), 0.0)
        first, second = decision.looked_at
        assert first != second
        assert {first, second} <= {0, 2, 3}
        assert {decision.center, decision.runner_up} == {first, second}
        assert decision.predicted_ms < decision.runner_up_ms


def test_every_eligible_center_is_drawn_equally_often(world):
    router = sampler(world, [1.0] * 10)
    drawn = Counter()
    for _ in range(4000):
        drawn.update(router.decide(world.query(), 0.0).looked_at)
    assert max(drawn.values()) < 1.15 * min(drawn.values())


def test_few_eligible_centers_among_many_are_found(world):
    values = [np.inf] * 500
    values[17] = values[399] = 4.0
    looked_at = {tuple(sorted(sampler(world, values).decide(world.query(), 0.0).looked_at))}
    assert looked_at == {(17, 399)}


def test_one_eligible_center_is_a_sample_of_one(world):
    decision = sampler(world, [np.inf, 2.0, np.inf]).decide(world.query(), 0.0)
    assert (decision.center, decision.looked_at, decision.runner_up) == (1, (1,), -1)


def test_no_eligible_center_is_no_center(world):
    with pytest.raises(NoCenter, match="fixed refuses 2"):
        sampler(world, [np.inf, np.inf]).decide(world.query(), 0.0)


def test_the_seed_decides_the_draws(world):
    def centers(seed):
        router = sampler(world, list(range(40)), seed=seed)
        return [router.decide(world.query(), 0.0).center for _ in range(50)]

    assert centers(1) == centers(1)
    assert centers(1) != centers(2)


def test_a_called_picker_decides_and_gets_what_the_contract_says(world):
    seen = []

    def second_best(total_ms, candidates, random):
        seen.append((total_ms.dtype, candidates, total_ms.flags.writeable))
        return int(np.argsort(total_ms)[1])

    policy = world.policy(
        scorers=[("fixed", world.fixed([3.0, 1.0, 2.0]))], picker=world.Picks(second_best)
    )
    decision = world.router(world.table(3), policy).decide(world.query(), 0.0)
    assert (decision.center, decision.predicted_ms, decision.runner_up) == (2, 2.0, 1)
    assert seen == [(np.dtype(np.float32), None, False)]


def test_a_called_sampler_gets_sums_and_candidates(world):
    seen = []

    def last(total_ms, candidates, random):
        seen.append((total_ms.tolist(), candidates.tolist()))
        return len(total_ms) - 1

    policy = world.policy(
        scorers=[("fixed", world.fixed([3.0, 1.0, 2.0]))], picker=world.Picks(last, sample=2)
    )
    decision = world.router(world.table(3), policy).decide(world.query(), 0.0)
    sums, candidates = seen[0]
    assert decision.center == candidates[1]
    assert [[3.0, 1.0, 2.0][row] for row in candidates] == sums


@pytest.mark.parametrize("bad", [7, -1, "x", None, 2])
def test_an_unusable_pick_is_the_smallest_sum_instead(world, bad):
    """Position 2 is forbidden, the others are out of range or no position at all."""
    policy = world.policy(
        scorers=[("fixed", world.fixed([3.0, 1.0, np.inf]))],
        picker=world.Picks(lambda total_ms, candidates, random: bad),
    )
    router = world.router(world.table(3), policy)
    assert router.decide(world.query(), 0.0).center == 1
    assert any("picker picker" in note for note in router.explain(world.query(), 0.0).notes)
    assert router.plugin_state()[-1]["errors"] == 2


def test_explain_foretells_a_random_pick_and_leaves_the_draws_alone(world):
    router = sampler(world, list(range(40)))
    for _ in range(20):
        foretold = router.explain(world.query(), 0.0).center
        assert router.decide(world.query(), 0.0).center == foretold
