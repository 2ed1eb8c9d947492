from __future__ import annotations

import pytest

from gateway.simulation.agenda import Agenda
from gateway.simulation.attempt_watch import AttemptWatch


def run(patience_s: float, began_s: float = 0.0012, ended: bool = False) -> list[float]:
    """When an attempt begun at ``began_s`` is called late."""
    agenda, current, late = Agenda(), [0], []
    watch = AttemptWatch(
        agenda, current, lambda event: late.append(event[0]), lambda *_: patience_s
    )
    watch.first.append((began_s, 0, 0))
    if ended:
        current[0] = -1
    agenda.until(5.0)
    return late


@pytest.mark.parametrize("patience_s", [0.015, 0.0201, 0.059, 0.061, 0.2399, 0.25, 1.0])
@pytest.mark.parametrize("began_s", [0.0, 0.0012, 0.0049, 0.005])
def test_it_is_called_exactly_when_its_time_is_up(patience_s: float, began_s: float) -> None:
    assert run(patience_s, began_s) == [pytest.approx(began_s + patience_s)]


@pytest.mark.parametrize("patience_s", [0.02, 0.1, 1.0])
def test_what_has_ended_is_not_called(patience_s: float) -> None:
    agenda, current = Agenda(), [0]
    called: list[int] = []

    def late(event: tuple[object, ...]) -> None:
        if current[0] == event[4]:
            called.append(1)

    watch = AttemptWatch(agenda, current, late, lambda *_: patience_s)
    watch.first.append((0.0, 0, 0))
    agenda.plan(0.018, lambda _: current.__setitem__(0, -1))
    agenda.until(5.0)
    assert called == []


def test_one_that_ends_before_the_first_look_costs_no_event() -> None:
    agenda, current = Agenda(), [-1]
    asked: list[int] = []
    watch = AttemptWatch(agenda, current, lambda _: None, lambda *_: asked.append(1) or 1.0)
    watch.first.append((0.0, 0, 0))
    agenda.until(1.0)
    assert asked == []


def test_a_hurried_one_has_its_event_at_once() -> None:
    agenda, late = Agenda(), []
    watch = AttemptWatch(agenda, [0], lambda event: late.append(event[0]), lambda *_: 0.003)
    watch.plan(1.0, 0, 0)
    agenda.until(2.0)
    assert late == [pytest.approx(1.003)]
