"""Who is silent is asked, who does not answer is dead, who idles or is told to go leaves."""

from __future__ import annotations

from gateway.serving.grpc_door.http2 import frames as f
from gateway.serving.grpc_door.http2.life import (
    ALIVE,
    LEAVE_S,
    LEAVING,
    PING_EVERY_S,
    PING_WITHIN_S,
    Life,
    Verdict,
)


def life(idle_s: float = 1000.0) -> tuple[Life, list[bytes]]:
    written: list[bytes] = []
    return Life(0.0, idle_s, written.append), written


def test_a_silent_peer_is_asked_and_stays_when_it_answers() -> None:
    one, written = life()
    assert one.look(PING_EVERY_S, busy=True) is Verdict.STAY
    assert written == []
    one.look(PING_EVERY_S + 0.1, busy=True)
    assert written == [f.frame(f.PING, 0, 0, ALIVE)]
    assert not one.answered(ALIVE)
    one.heard = True
    assert one.look(PING_EVERY_S + PING_WITHIN_S + 1.0, busy=True) is Verdict.STAY
    assert len(written) == 1


def test_who_does_not_answer_is_dead() -> None:
    one, _ = life()
    one.look(31.0, busy=True)
    assert one.look(31.0 + PING_WITHIN_S, busy=True) is Verdict.STAY
    assert one.look(31.1 + PING_WITHIN_S, busy=True) is Verdict.DEAD


def test_who_is_heard_is_not_asked() -> None:
    one, written = life()
    for second in range(100):
        one.heard = True
        one.look(float(second), busy=True)
    assert written == []


def test_who_has_nothing_under_way_leaves_in_time() -> None:
    one, _ = life(idle_s=5.0)
    assert one.look(5.0, busy=False) is Verdict.STAY
    assert one.look(5.1, busy=False) is Verdict.LEAVE


def test_time_with_a_stream_is_no_rest() -> None:
    one, _ = life(idle_s=5.0)
    one.worked()
    assert one.rested_s(4.0) == 0.0
    assert one.look(20.0, busy=True) is Verdict.STAY
    assert one.look(21.0, busy=False) is Verdict.STAY
    assert one.rested_s(24.0) == 3.0
    assert one.look(26.1, busy=False) is Verdict.LEAVE


def test_leaving_waits_for_the_ping_or_for_a_while() -> None:
    one, written = life()
    assert not one.answered(LEAVING)
    one.leave(10.0)
    one.leave(11.0)
    [told] = written
    assert told == f.goaway(f.STREAM_MAX, 0) + f.frame(f.PING, 0, 0, LEAVING)
    assert one.look(10.0 + LEAVE_S, busy=True) is Verdict.STAY
    assert one.look(10.1 + LEAVE_S, busy=True) is Verdict.LAST
    assert one.answered(LEAVING)
