from __future__ import annotations

from gateway.simulation.agenda import Agenda, Event


def test_events_happen_by_instant_and_equal_ones_in_the_order_planned() -> None:
    agenda, seen = Agenda(), []

    def note(event: Event) -> None:
        seen.append((event[0], event[3]))

    for at_s, name in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "d")):
        agenda.plan(at_s, note, name)
    agenda.until(2.0)
    assert seen == [(1.0, "a"), (1.0, "b"), (2.0, "c")]
    assert agenda.one()
    assert seen[-1] == (3.0, "d")
    assert not agenda.one()


def test_what_an_event_plans_happens_in_turn() -> None:
    agenda, seen = Agenda(), []

    def again(event: Event) -> None:
        seen.append(event[0])
        agenda.plan(event[0] + 1.0, again)

    agenda.plan(0.5, again)
    agenda.until(3.0)
    assert seen == [0.5, 1.5, 2.5]
