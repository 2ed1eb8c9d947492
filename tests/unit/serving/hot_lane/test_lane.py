"""What the lane's connections share: trust, dates, the sweep, and the end."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.serving.hot_lane import HotLane
from gateway.serving.hot_lane.lane import STARTS_KEPT
from gateway.serving.sweep import SWEEP_S, SWEPT_AT_ONCE


class Clockwork:
    """An event loop's timers, called by the test."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.create_task = loop.create_task
        self.timers: list[tuple[float, Any]] = []
        self.soon: list[Any] = []

    def call_later(self, delay_s: float, callback: Any, *given: Any) -> Any:
        self.timers.append((delay_s, lambda: callback(*given)))
        return loop_handle()

    def call_soon(self, callback: Any, *given: Any) -> None:
        self.soon.append(lambda: callback(*given))

    def sweep(self) -> None:
        """The latest timer's time has come."""
        self.timers[-1][1]()

    def turn(self) -> None:
        """The next turn of the loop."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


def loop_handle() -> Any:
    return asyncio.get_running_loop().call_soon(lambda: None)


async def test_the_date_follows_the_wall_clock(make_front: Any) -> None:
    wall = 1e9
    clockwork = Clockwork(asyncio.get_running_loop())
    lane = HotLane(make_front(), lambda: None, clockwork, lambda: wall)  # type: ignore[arg-type]  # a stand-in
    assert lane.date == "\r\nDate: Sun, 09 Sep 2001 01:46:40 GMT\r\n"
    wall += 1.0
    assert [delay_s for delay_s, _ in clockwork.timers] == [SWEEP_S]
    clockwork.sweep()
    assert "01:46:41" in lane.date
    assert len(clockwork.timers) == 2


async def test_a_sweep_looks_at_few_at_once(make_front: Any, Wire: Any) -> None:  # noqa: N803 - a class
    clockwork = Clockwork(asyncio.get_running_loop())
    lane = HotLane(make_front(), lambda: None, clockwork, lambda: 1e9)  # type: ignore[arg-type]  # a stand-in
    lane.clock = lambda: 1000.0
    wires = [Wire(lane.connect()) for _ in range(SWEPT_AT_ONCE + 1)]
    clockwork.sweep()
    clockwork.turn()
    lane.clock = lambda: 2000.0
    clockwork.sweep()
    assert sum(wire.closed for wire in wires) == SWEPT_AT_ONCE
    clockwork.turn()
    assert all(wire.closed for wire in wires)


async def test_heads_are_kept_apart_by_trust(make_bench: Any) -> None:
    lane = make_bench(server={"trusted_proxies": ["127.0.0.1"]}).lane
    trusted, others = lane.heads_of("127.0.0.1"), lane.heads_of("10.0.0.1")
    assert trusted is not others
    assert lane.heads_of(None) is others


async def test_an_untrusted_peer_does_not_profit_from_what_a_trusted_one_sent(
    bench: Any,
    request_of: Any,
    turns: Any,
    Wire: Any,  # noqa: N803 - a class
) -> None:
    data = request_of(b"{}", "x-nearway-origin: Beijing")
    for peer in ("127.0.0.1", "10.0.0.1", "127.0.0.1"):
        Wire(bench.lane.connect(), peer).feed(data)
        await turns()
    assert [one.attempt.query.vantage for one in bench.started] == [1, 0, 1]


async def test_how_heads_begin_is_kept_within_bounds(bench: Any) -> None:
    heads = bench.lane.heads_out
    first = bench.lane.start_of(heads, 0, "application/json", 200)
    assert heads.starts[0, "application/json", 200] == first
    for number in range(STARTS_KEPT + 5):
        bench.lane.start_of(heads, 0, f"x/{number}", 200)
    assert len(heads.starts) <= STARTS_KEPT


async def test_it_counts_what_is_under_way(make_bench: Any, request_of: Any) -> None:
    bench = make_bench(silent=True)
    wires = [bench.wire() for _ in range(3)]
    wires[0].feed(request_of())
    assert (len(bench.lane.connections), bench.lane.running) == (3, 1)
    bench.started[0].answer()
    assert bench.lane.running == 0


async def test_closing_gently_and_then_not(make_bench: Any, request_of: Any, turns: Any) -> None:
    bench = make_bench(silent=True)
    idle, busy, stays = bench.wire(), bench.wire(), bench.wire()
    busy.feed(request_of())
    stays.feed(request_of())
    bench.lane.close_gently()
    assert idle.closed
    assert not busy.closed
    bench.started[0].answer()
    assert b"Connection: close" in busy.written
    assert busy.closed
    await bench.lane.close(0.0)
    await turns()
    assert stays.aborted
    assert bench.started[1].cancelled
    assert bench.front.metrics.in_flight == 0
    assert bench.lane.connections == set()
