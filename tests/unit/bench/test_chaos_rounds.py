"""Time is judged by the majority of rounds, everything else by the worst of them."""

from __future__ import annotations

from math import inf

import pytest

from bench.chaos.rounds import ROUNDS_MAX, enough, judged, words
from gateway.measure.chaos.episode import Episode, Row
from gateway.measure.chaos.plan import Fault
from gateway.measure.chaos.windows import Counts, FaultFigures


def round_of(recovered_s: float, *, lost: int = 0, unsteady: float = 0.0) -> Episode:
    """A center is killed."""
    counts = Counts(1000, 1000 - lost, 0, lost, 0)
    figures = FaultFigures(
        counts, counts, counts, 10.0, 20.0, 21.0, 20.0, 60.0, recovered_s, 0.0, unsteady, 0, 0.0
    )
    fault = Fault(3.0, 4.0, "kill", "near-a")
    row = Row("killed", fault, figures, 0.04, 1.0, ("near-a",), 0.0, 0)
    return Episode("one is killed", (row,), 0.5, 0.3, ())


def ruling_of(rounds: list[Episode], name: str) -> str:
    return next(it.ruling for it in judged(rounds) if it.name.startswith(name))


@pytest.mark.parametrize(
    ("recoveries", "played", "ruling"),
    [
        ([0.1, 0.2, inf], 2, "holds"),
        ([inf, 0.1, 0.2], 3, "holds"),
        ([inf, 2.0, 0.1], 2, "does not"),
        ([0.1, inf, 2.0], 3, "does not"),
    ],
)
def test_rounds_are_played_until_two_agree(
    recoveries: list[float], played: int, ruling: str
) -> None:
    rounds: list[Episode] = []
    while not rounds or not enough(rounds):
        rounds.append(round_of(recoveries[len(rounds)]))
    assert len(rounds) == played
    assert ruling_of(rounds, "recovery") == ruling


def test_a_restless_machine_has_no_vote() -> None:
    rounds = [round_of(inf, unsteady=0.5), round_of(0.1)]
    assert not enough(rounds)
    rounds.append(round_of(inf, unsteady=0.5))
    assert enough(rounds)
    assert len(rounds) == ROUNDS_MAX
    assert ruling_of(rounds, "recovery") == "holds"


def test_one_lost_request_in_any_round_is_a_broken_promise() -> None:
    assert ruling_of([round_of(0.1), round_of(0.1, lost=1), round_of(0.1)], "lost") == "does not"


def test_every_round_is_told_of() -> None:
    assert "| killed | recovery, s | 0.10, ∞ | cannot tell |" in words(
        judged([round_of(0.1), round_of(inf)])
    )
