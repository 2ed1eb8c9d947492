from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gateway.engine.generation.sampling import Chooser, Sampling, choose, log_likelihoods

LOGITS = np.log(np.array([[0.5, 0.3, 0.15, 0.05]], np.float32))


def drawn(sampling: Sampling, times: int = 4000) -> Counter[int]:
    chooser = Chooser(sampling)
    return Counter(choose(LOGITS, [chooser])[0] for _ in range(times))


def test_without_temperature_the_likeliest() -> None:
    assert drawn(Sampling(0.0), 20) == {0: 20}
    assert drawn(Sampling(1e-6), 20) == {0: 20}


def test_tokens_come_as_often_as_they_are_likely() -> None:
    counts = drawn(Sampling(1.0, 1.0, 1))
    assert [counts[t] / 4000 for t in range(4)] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_heat_evens_them_out() -> None:
    assert drawn(Sampling(2.0, 1.0, 1))[3] > 2 * drawn(Sampling(1.0, 1.0, 1))[3]


@pytest.mark.parametrize(("top_p", "kept"), [(0.3, 1), (0.5, 1), (0.51, 2), (0.8, 2), (0.9, 3)])
def test_top_p_keeps_the_fewest_that_have_the_share(top_p: float, kept: int) -> None:
    assert set(drawn(Sampling(1.0, top_p, 1), 1000)) == set(range(kept))


def test_a_seed_repeats_and_none_does_not() -> None:
    def draws(seed: int | None) -> list[int]:
        chooser = Chooser(Sampling(1.0, 1.0, seed))
        return [choose(LOGITS, [chooser])[0] for _ in range(64)]

    assert draws(4) == draws(4)
    assert draws(4) != draws(5)
    assert draws(None) != draws(None)


def test_each_row_goes_by_its_own_wish() -> None:
    both = np.concatenate([LOGITS, LOGITS[:, ::-1]])
    choosers = [Chooser(Sampling(0.0)), Chooser(Sampling(1.0, 0.2, 1))]
    assert choose(both, choosers) == [0, 3]


def test_likelihoods_are_logarithms_of_shares() -> None:
    told, top = log_likelihoods(LOGITS[0] + 7.0, 2, 3)
    assert np.exp(told) == pytest.approx(0.15, abs=1e-6)
    assert [token for token, _ in top] == [0, 1, 2]
    assert np.exp([log for _, log in top]) == pytest.approx([0.5, 0.3, 0.15], abs=1e-6)
    assert log_likelihoods(LOGITS[0], 0, 0)[1] == ()
    assert len(log_likelihoods(LOGITS[0], 0, 20)[1]) == 4


def test_what_a_row_draws_does_not_depend_on_the_others() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (6, 500)).astype(np.float32)
    wishes = [
        Sampling(1.0, 1.0, 1),
        Sampling(0.0),
        Sampling(1.7, 1.0, 2),
        Sampling(0.7, 0.5, 3),
        Sampling(0.3, 1.0, 4),
        Sampling(2.0, 1.0, 5),
    ]
    together = [Chooser(wish) for wish in wishes]
    alone = [Chooser(wish) for wish in wishes]
    for _ in range(40):
        found = choose(logits, together)
        assert found == [
            choose(logits[row : row + 1], [chooser])[0] for row, chooser in enumerate(alone)
        ]


def test_the_last_token_can_be_drawn_and_none_beyond_it() -> None:
    chooser = Chooser(Sampling(1.0, 1.0, 1))

    class Highest:
        def random(self) -> float:
            return float(np.nextafter(1.0, 0.0))

    chooser.random = Highest()  # type: ignore[assignment]
    assert choose(LOGITS, [chooser]) == [3]
