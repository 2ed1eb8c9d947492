"""What one process shows of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gateway.runtime.look import EVENTS_TOLD, look_at
from gateway.serving.dashboard.frame import WINDOW_S
from gateway.telemetry.answers import RecentAnswers


async def test_the_last_minute_and_the_last_events() -> None:
    recent = RecentAnswers()
    now = 1000.0
    for at_s in (now - WINDOW_S - 1.0, now - 1.0):
        recent.add(at_s, 1, 2, 0.1, 0.2, 0.3, 0.4)
    gateway: Any = SimpleNamespace(
        line=SimpleNamespace(now=lambda: now),
        lasting=SimpleNamespace(metrics=SimpleNamespace(recent=recent)),
        control=SimpleNamespace(
            faults=lambda: [{"center": "d", "kind": "down"}, {"center": "d", "kind": "slow"}],
            gateway_state=lambda: {"ready": True},
        ),
        deciding=SimpleNamespace(
            fleet=SimpleNamespace(state=lambda at: [{"center": "c", "at": at}, {"center": "d"}])
        ),
        events=SimpleNamespace(since=lambda _: [{"number": n} for n in range(EVENTS_TOLD + 7)]),
    )
    look = await look_at(gateway)
    assert look.window.at_s.tolist() == [now - 1.0]
    assert look.state == {"ready": True}
    one, other = look.fleet
    assert (one["at"], list(one["faults"])) == (now, [])
    assert [fault["kind"] for fault in other["faults"]] == ["down", "slow"]
    assert [look.events[0]["number"], len(look.events)] == [7, EVENTS_TOLD]
