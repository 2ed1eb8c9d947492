import asyncio
import contextlib
import gc

import numpy as np
import pytest

from gateway.api import ConfigError
from gateway.measure.http_client import Endpoint, Limits
from gateway.measure.open_loop import Plan, drive, parts_ms, request_bytes
from gateway.measure.samples import WRONG
from gateway.wan.delay_line import DelayLine

OK = (
    b"HTTP/1.1 200 OK\r\nServer-Timing: gateway;dur=0.25, network;dur=0.5, queue;dur=0,"
    b" service;dur=0.125\r\nx-nearway-center: north-a\r\nContent-Length: 0\r\n\r\n"
)


class Server(asyncio.Protocol):
    def __init__(self, heard, script):
        self.heard = heard
        self.script = script

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard.append(data)
        self.script(self.transport, len(self.heard))


@contextlib.asynccontextmanager
async def serving(script):
    heard = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(heard, script), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        server.close()
        await server.wait_closed()


def plan(port, times_s, *, origins=("Shanghai", "Wuhu"), body=b"{}", **more):
    times = np.asarray(times_s, dtype=np.float64)
    return Plan(
        endpoint=Endpoint("127.0.0.1", port),
        path="/v2/models/m/infer",
        times_s=times,
        origin=(np.arange(times.size) % len(origins)).astype(np.int32),
        origins=origins,
        body=body,
        **more,
    )


async def test_requests_are_sent_although_none_is_answered_and_wait_from_their_own_instant():
    """A server that answers nobody until all have asked would hang a closed loop for ever."""
    count, waiting = 40, []

    def script(transport, nth):
        waiting.append(transport)
        if nth == count:
            for held in waiting:
                held.write(OK)

    times = np.linspace(0, 0.08, count)
    async with serving(script) as (port, _):
        samples = await drive(plan(port, times, connections_warm=4))
    assert samples.answered.all()
    left_ms = (times[-1] - times) * 1e3
    assert (samples.client_total_ms >= left_ms).all()
    assert np.array_equal(samples.intended_s, times)
    assert (samples.late_send_ms >= 0).all()


async def test_a_stall_is_charged_to_all_who_met_it():
    """One connection, whose first answer is held back: those behind it waited too."""
    released_s = 0.06
    loop = asyncio.get_running_loop()

    def script(transport, nth):
        if nth == 1:
            loop.call_later(released_s, transport.write, OK)
        else:
            transport.write(OK)

    times = np.linspace(0, 0.03, 10)
    async with serving(script) as (port, _):
        run = plan(port, times, limits=Limits(connections_max=1), connections_warm=1)
        samples = await drive(run)
    assert samples.answered.all()
    # 2 ms of leave, because the loop's own timer may round down
    assert (samples.client_total_ms >= (released_s - times) * 1e3 - 2.0).all()
    assert np.median(samples.late_send_ms) < samples.client_total_ms.min()


async def test_parts_centers_and_origins_are_told_apart():
    async with serving(lambda transport, nth: transport.write(OK)) as (port, heard):
        samples = await drive(plan(port, [0.0, 0.001, 0.002, 0.003]))
    assert samples.centers == ("north-a",)
    assert samples.center.tolist() == [0] * 4
    told = samples.gateway_ms + samples.network_ms + samples.queue_ms + samples.service_ms
    assert told.tolist() == [0.875] * 4
    assert np.allclose(samples.client_ms, samples.client_total_ms - 0.875)
    assert sum(b"x-nearway-origin: Shanghai\r\n" in h for h in heard) == 2
    assert samples.origin.tolist() == [0, 1, 0, 1]


async def test_a_foreign_server_tells_no_parts():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer-Timing: db;dur=5\r\n\r\n"
    async with serving(lambda transport, nth: transport.write(answer)) as (port, heard):
        samples = await drive(plan(port, [0.0, 0.001], origins=("",)))
    assert samples.answered.all()
    assert np.isnan(samples.client_ms).all()
    assert samples.center.tolist() == [-1, -1]
    assert b"x-nearway-origin" not in heard[0]


async def test_every_end_has_its_row_and_its_kind():
    def script(transport, nth):
        if nth == 1:
            transport.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        elif nth == 2:
            transport.close()
        elif nth == 3:
            transport.write(b"nonsense\r\n\r\n")
        elif nth == 5:
            transport.write(OK)

    async with serving(script) as (port, _):
        times = np.arange(5) * 0.005
        samples = await drive(plan(port, times, limits=Limits(timeout_s=0.3)))
    assert sorted(samples.status.tolist()) == [-1, 0, 0, 200, 503]
    assert samples.errors == {"http_503": 1, "lost": 1, "garbage": 1, "timeout": 1}
    assert np.isfinite(samples.client_total_ms).all()
    assert samples.client_total_ms[samples.status == -1] >= 300
    assert np.isnan(samples.client_ms[~samples.answered]).all()


async def test_a_timer_of_ones_own_decides_when():
    class AtOnce:
        def __init__(self, loop):
            self.loop = loop
            self.asked = []

        def now(self):
            return self.loop.time()

        def call_at(self, due_s, callback):
            self.asked.append(due_s)
            self.loop.call_soon(callback)

    timer = AtOnce(asyncio.get_running_loop())
    async with serving(lambda transport, nth: transport.write(OK)) as (port, _):
        samples = await drive(plan(port, [0.0, 100.0, 200.0]), timer=timer)
    assert samples.answered.all()
    assert np.diff(timer.asked).tolist() == pytest.approx([100.0, 100.0])


async def test_the_collector_is_off_only_meanwhile():
    states = []

    def script(transport, nth):
        states.append(gc.isenabled())
        transport.write(OK)

    async with serving(script) as (port, _):
        await drive(plan(port, [0.0]))
    assert states == [False]
    assert gc.isenabled()


async def test_a_cancelled_run_leaves_nothing_behind():
    async with serving(lambda transport, nth: None) as (port, _):
        task = asyncio.ensure_future(drive(plan(port, [0.0, 0.001])))
        while gc.isenabled():
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert gc.isenabled()


async def test_a_run_without_requests_ends_at_once():
    async with serving(lambda transport, nth: None) as (port, _):
        samples = await drive(plan(port, [], connections_warm=0))
    assert len(samples) == 0


async def test_every_request_carries_its_own_variant_and_its_answer_is_checked():
    def script(transport, nth):
        transport.write(OK.replace(b"Content-Length: 0", b"Content-Length: 2") + b"ab")

    asked = []

    def check(variant, status, body):
        asked.append((variant, status, body))
        return WRONG if variant == 1 else status

    variants = np.array([1, 0, 1, 0], np.int32)
    async with serving(script) as (port, heard):
        made = plan(
            port,
            [0.0, 0.01, 0.02, 0.03],
            bodies=(b"one", b"two"),
            variant=variants,
            check=check,
            polls=False,
        )
        samples = await drive(made)
    assert sorted(asked) == [(0, 200, b"ab")] * 2 + [(1, 200, b"ab")] * 2
    assert samples.status.tolist() == [WRONG, 200, WRONG, 200]
    assert samples.errors == {"wrong": 2}
    sent = sorted(data.rpartition(b"\r\n\r\n")[2] for data in heard)
    assert sent == [b"one", b"one", b"two", b"two"]
    assert all(b"Content-Length: 3" in data for data in heard)


async def test_whoever_asks_is_told_from_when_the_times_count():
    told = []
    async with serving(lambda transport, _nth: transport.write(OK)) as (port, _):
        loop_s = DelayLine.now()
        await drive(plan(port, [0.0, 0.01]), on_start=told.append)
    assert len(told) == 1
    assert told[0] >= loop_s


def test_variants_have_one_length():
    with pytest.raises(ConfigError, match=r"one length, got \[1, 2\]"):
        request_bytes(plan(1, [0.0], bodies=(b"a", b"bb"), variant=np.zeros(1, np.int32)))


def test_bytes_are_made_beforehand_and_large_bodies_are_not_copied():
    small, after = request_bytes(plan(1, [0.0], body=b'{"a":1}', headers={"x-key": "k"}))
    assert after == b""
    assert small[0].startswith(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: 127.0.0.1:1\r\n")
    assert b"x-key: k\r\n" in small[0]
    assert small[0].endswith(
        b"Content-Length: 7\r\nx-nearway-origin: Shanghai\r\n\r\n" + b'{"a":1}'
    )
    large, after = request_bytes(plan(1, [0.0], body=b"x" * 5_000_000))
    assert len(after) == 5_000_000
    assert len(large[0]) < 1000


def test_names_beyond_ascii_are_carried():
    heads, _ = request_bytes(plan(1, [0.0], origins=("Ürümqi",)))
    assert "x-nearway-origin: Ürümqi\r\n".encode() in heads[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"origins": ("a\r\nx-evil: 1",)},
        {"headers": {"a": "b\nc"}},
        {"headers": {"": "x"}},
        {"headers": {"a b": "x"}},
    ],
)
def test_a_head_cannot_be_broken_out_of(wrong):
    with pytest.raises(ConfigError, match="not a header"):
        request_bytes(plan(1, [0.0], **wrong))


def test_a_path_cannot_be_broken_out_of():
    run = plan(1, [0.0])
    broken = Plan(run.endpoint, "/v2/models/a b/infer", run.times_s, run.origin, ("",), b"")
    with pytest.raises(ConfigError, match="no spaces"):
        request_bytes(broken)


def test_parts_that_are_not_told_are_nan():
    rows = parts_ms(
        [b"gateway;dur=1, network;dur=2, queue;dur=0, service;dur=3", b"", b"queue;dur=x"]
    )
    assert rows[0].tolist() == [1.0, 2.0, 0.0, 3.0]
    assert np.isnan(rows[1:]).all()
