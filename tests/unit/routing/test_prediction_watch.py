"""The watch: when predictions are doubted, and when they are trusted again."""

from math import log

import pytest

from gateway.routing.prediction_watch import ANSWERS_MIN, LASTING_S, PredictionWatch


class Answers:
    """Answers at ``rate`` a second that are all off by ``factor``, looked at each half second."""

    def __init__(self, watch: PredictionWatch) -> None:
        self.watch = watch
        self.answers = 0
        self.log_sum = 0.0
        self.now = 100.0

    def go_on(self, seconds: float, factor: float, rate: int = 100) -> list[float]:
        """Seconds from the start of this stretch at which the ruling changed."""
        began, changes = self.now, []
        while self.now < began + seconds:
            self.now += 0.5
            self.answers += rate // 2
            self.log_sum += rate // 2 * abs(log(factor))
            if self.watch.look(self.answers, self.log_sum, self.now):
                changes.append(self.now - began)
        return changes


@pytest.fixture
def answers() -> Answers:
    return Answers(PredictionWatch(1.0))


def test_good_predictions_are_trusted(answers: Answers) -> None:
    assert answers.go_on(60, 1.2) == []
    assert not answers.watch.doubted
    assert answers.watch.error_share == pytest.approx(0.2, rel=1e-6)


@pytest.mark.parametrize("factor", [3.0, 1 / 3.0])
def test_a_lasting_error_either_way_is_doubted(answers: Answers, factor: float) -> None:
    (at,) = answers.go_on(60, factor)
    assert answers.watch.doubted
    assert LASTING_S <= at < LASTING_S + 2
    assert answers.watch.error_share == pytest.approx(2.0, rel=1e-6)


def test_a_short_error_is_not(answers: Answers) -> None:
    answers.go_on(20, 1.1)
    assert answers.go_on(6, 5.0) == []
    assert answers.go_on(60, 1.1) == []


def test_trust_returns_only_below_half_the_bound(answers: Answers) -> None:
    answers.go_on(20, 3.0)
    assert answers.go_on(60, 1.8) == []
    assert answers.watch.doubted
    assert len(answers.go_on(60, 1.3)) == 1
    assert not answers.watch.doubted


def test_few_answers_rule_nothing(answers: Answers) -> None:
    assert answers.go_on(15, 9.0, rate=ANSWERS_MIN // 20) == []
    assert len(answers.go_on(60, 9.0, rate=ANSWERS_MIN // 20)) == 1


def test_silence_rules_nothing(answers: Answers) -> None:
    answers.go_on(5, 9.0)
    assert answers.go_on(600, 1.0, rate=0) == []


def test_looking_too_often_changes_nothing() -> None:
    watch = PredictionWatch(1.0)
    watch.look(10, 0.0, 1.0)
    assert not watch.look(10_000, 1e9, 1.0001)
    assert watch.error_share == 0.0


def test_an_absurd_error_is_a_number() -> None:
    watch = PredictionWatch(1.0)
    watch.look(0, 0.0, 1.0)
    watch.look(10, 1e12, 2.0)
    assert 1e20 < watch.error_share < float("inf")
