"""One slow estimate is looked at again with one request at a time."""

from gateway.fleet.revisit import Revisit, Stage


def test_offered_once_when_due_and_taken_once() -> None:
    revisit = Revisit(usual=5.0, now=10.0, wait_s=1.0)
    assert not revisit.offer(10.9)
    assert not revisit.take()
    assert revisit.offer(11.0)
    assert not revisit.offer(11.1)
    assert revisit.take()
    assert not revisit.take()
    assert not revisit.offer(99.0)


def test_a_slow_answer_doubles_the_wait_up_to_its_bound() -> None:
    revisit = Revisit(5.0, 0.0, 1.0)
    waits = []
    now = 0.0
    for _ in range(8):
        now = revisit.due_at
        assert revisit.offer(now)
        assert revisit.take()
        revisit.still_slow(now, 60.0)
        waits.append(revisit.due_at - now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_no_measurement_waits_again_without_doubling() -> None:
    revisit = Revisit(5.0, 0.0, 1.0)
    revisit.offer(1.0)
    revisit.take()
    revisit.not_measured(1.5)
    assert revisit.stage is Stage.WAITING
    assert (revisit.wait_s, revisit.due_at) == (1.0, 2.5)
