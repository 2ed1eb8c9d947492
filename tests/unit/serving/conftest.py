"""Fakes of everything the serving room stands on: clock, router, centers, answer, control."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer
from aiohttp.web import BaseRunner
from yarl import URL

from gateway.api import (
    Center,
    Decision,
    Explanation,
    InvalidRequest,
    Location,
    ModelMetadata,
    NearwayError,
    NoCenter,
    NotFound,
    Outcome,
    Query,
    Report,
    TensorSpec,
)
from gateway.centers.port import (
    Answered,
    Attempt,
    Chunk,
    Failed,
    Head,
    ModelState,
    Sent,
    Whole,
)
from gateway.config.settings import Settings
from gateway.routing.attempts import RetryBudget
from gateway.routing.hedging import Hedging
from gateway.serving import (
    Arrival,
    Collaborators,
    Front,
    Parts,
    PublicDoor,
    build_admin_app,
)
from gateway.serving.deadlines import Deadlines
from gateway.serving.decisions import DecisionLog
from gateway.serving.probing import Prober
from gateway.telemetry import Metrics


class Handle:
    """A timer of the virtual clock."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Time moves only when a test says so; a turn is one round of ``call_soon``."""

    def __init__(self) -> None:
        self.now = 100.0
        self._order = count()
        self._timers: list[tuple[float, int, Handle]] = []
        self._soon: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.now

    def call_at(self, when_s: float, callback: Callable[[], None]) -> Handle:
        handle = Handle(callback)
        heapq.heappush(self._timers, (when_s, next(self._order), handle))
        return handle

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> None:
        """The next round of the loop, at the same instant."""
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass and call every timer that falls due."""
        until = self.now + seconds
        self.turn()
        while self._timers and self._timers[0][0] <= until:
            when_s, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, when_s)
            if not handle.cancelled:
                handle.callback()
            self.turn()
        self.now = until

    def pending(self) -> int:
        """Timers that would still call."""
        return sum(not handle.cancelled for _, _, handle in self._timers)


class FakeRouter:
    """Prefers low rows; counts every commit and every ending."""

    def __init__(self, centers: int, predicted_ms: float = 5.0) -> None:
        self.centers = centers
        self.predicted_ms = predicted_ms
        self.open: list[int] = []
        self.committed: list[Decision] = []
        self.outcomes: list[Outcome] = []
        self.refusal: NearwayError | None = None
        self.asks_probes = False
        self.crowded = False
        self.quantiles: dict[float, float] = {}
        self.predicted_by_model: dict[str, float] = {}
        self.wanted: list[int] = []
        self.out: set[int] = set()
        self.asked_next: list[tuple[bool, float]] = []
        self.reports: list[tuple[int, Report]] = []

    def quantile_ms(self, decision: Decision, q: float) -> float:
        return self.quantiles.get(q, decision.predicted_ms * 2.0)

    def probes(self, now: float) -> list[int]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def reported(self, center: int, report: Report, now: float) -> None:
        self.reports.append((center, report))

    def decide(self, query: Query, now: float) -> Decision:
        return self._choose(query, ())

    def next(
        self, decision: Decision, now: float, *, silent: bool = False, within_ms: float = inf
    ) -> Decision:
        self.asked_next.append((silent, within_ms))
        return self._choose(decision.query, (*decision.tried, decision.center))

    def elsewhere(self, decision: Decision, now: float) -> Decision:
        if self.crowded:
            raise NoCenter("no center of another zone has a free slot")
        return self.next(decision, now)

    def _choose(self, query: Query, tried: tuple[int, ...]) -> Decision:
        if self.refusal is not None:
            raise self.refusal
        left = [row for row in range(self.centers) if row not in tried]
        if not left:
            raise NoCenter(f"all {self.centers} centers were tried")
        runner_up = left[1] if len(left) > 1 else -1
        predicted_ms = self.predicted_by_model.get(query.model, self.predicted_ms)
        return Decision(
            query, left[0], predicted_ms, runner_up, 9.0 if runner_up >= 0 else inf,
            (4.0, 1.0), 0.0, tried,
        )  # fmt: skip

    def in_service(self, center: int) -> bool:
        return center not in self.out

    def commit(self, decision: Decision, now: float) -> None:
        decision.charged_ms = 1.0
        self.open.append(decision.center)
        self.committed.append(decision)

    def ended(self, outcome: Outcome) -> None:
        self.open.remove(outcome.center)
        self.outcomes.append(outcome)
        if outcome.reason == "center_down":  # as health has it
            self.out.add(outcome.center)

    def explain(self, query: Query, now: float) -> Explanation:
        network = np.arange(self.centers, dtype=np.float32)
        refused = tuple(("healthy",) if row == self.centers - 1 else () for row in
                        range(self.centers))  # fmt: skip
        total = network + 1
        total[-1] = inf
        order = tuple(range(self.centers - 1))
        queue = np.ones(self.centers, dtype=np.float32)
        return Explanation(
            "fake", query, 0, {"network": network, "queue": queue}, total, refused, order
        )


@dataclass
class Started:
    """An attempt a port was given, and a hand to play the center."""

    attempt: Attempt
    hear: Callable[[Any], None]
    cancelled: bool = False
    paused: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def answer(
        self,
        payload: bytes = b'{"model_name":"mlp","outputs":[]}',
        *,
        head: Head | None = None,
        queue_ms: float = 0.5,
        service_ms: float = 1.5,
        drawn_ms: float | None = None,
    ) -> None:
        """The whole answer in one event, as an emulated center gives it."""
        said = head or Head(200, "application/json", None)
        report = Report(queue_ms, service_ms)
        self.hear(Whole(said.status, said.content_type, said.head_bytes, payload, report, drawn_ms))

    def in_parts(self, payload: bytes, *, queue_ms: float = 0.5, service_ms: float = 1.5) -> None:
        """The same in one turn, but in parts."""
        self.hear(Head(200, "application/json", None))
        self.hear(Chunk(payload))
        self.hear(Answered(Report(queue_ms, service_ms), None))

    def fail(self, error: NearwayError, report: Report | None = None) -> None:
        self.hear(Failed(error, report))


@dataclass
class FakePort:
    """A center: ``script`` plays it, otherwise the test does through ``started``."""

    later: Callable[[Callable[[], None]], object]
    script: Callable[[Started], None] | None = None
    started: list[Started] = field(default_factory=list)
    models: dict[str, bool] = field(default_factory=lambda: {"mlp": True})
    refusals: dict[str, NearwayError] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    probes: list[tuple[int, Callable[[Report | None], None]]] = field(default_factory=list)

    def start(self, attempt: Attempt, on_event: Callable[[Any], None]) -> Started:
        one = Started(attempt, on_event)
        self.started.append(one)
        on_event_later = self.script

        def play() -> None:
            if on_event_later is not None and not one.cancelled:
                one.hear(Sent())
                on_event_later(one)

        self.later(play)
        return one

    def probe(self, vantage: int, on_result: Callable[[Report | None], None]) -> None:
        self.probes.append((vantage, on_result))

    def _known(self, call: str, model: str) -> None:
        self.calls.append((call, model))
        if call in self.refusals:
            raise self.refusals[call]
        if model and model not in self.models:
            raise NotFound(f"model {model!r} is not here; there are {sorted(self.models)}")

    async def index(self) -> tuple[ModelState, ...]:
        self._known("index", "")
        return tuple(
            ModelState(name, "1", "READY" if ready else "UNAVAILABLE", "" if ready else "unloaded")
            for name, ready in self.models.items()
        )

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        self._known("metadata", model)
        spec = TensorSpec("x", "FP32", (-1, 4))
        return ModelMetadata(model, (version or "1",), "onnx_onnxv1", (spec,), (spec,))

    async def ready(self, model: str, version: str) -> bool:
        self._known("ready", model)
        return self.models[model]

    async def config(self, model: str, version: str) -> dict[str, Any]:
        self._known("config", model)
        return {"name": model, "max_batch_size": 8}

    async def statistics(self, model: str, version: str) -> list[dict[str, Any]]:
        self._known("statistics", model)
        return [{"name": model or "mlp", "version": "1"}]

    async def load(self, model: str) -> None:
        self._known("load", model)
        self.models[model] = True

    async def unload(self, model: str) -> None:
        self._known("unload", model)
        self.models[model] = False


class RecordingAnswer:
    """What the lane would send."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.head: Head | None = None
        self.center = -1
        self.parts: Parts | None = None
        self.body = b""
        self.error: NearwayError | None = None

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        self.told.append("whole")
        self.head = Head(whole.status, whole.content_type, whole.head_bytes)
        self.center, self.parts, self.body = center, parts, whole.payload

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        self.told.append("head")
        self.head, self.center, self.parts = head, center, parts

    def send_chunk(self, payload: bytes) -> None:
        self.told.append("chunk")
        self.body += payload

    def send_end(self) -> None:
        self.told.append("end")

    def fail(self, error: NearwayError) -> None:
        self.told.append("fail")
        self.error = error


class World:
    """A fleet of fakes on a virtual clock."""

    def __init__(self, centers: int = 3, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.settings = msgspec.convert(settings, Settings)
        self.router = FakeRouter(centers)
        self.ports = [FakePort(self.clock.call_soon) for _ in range(centers)]
        self.centers = tuple(f"c{row}" for row in range(centers))
        self.metrics = Metrics(self.centers)
        self.decisions = DecisionLog(self.settings.routing.explain_every)
        self.answer = RecordingAnswer()
        attempts = self.settings.attempts
        self.retries = RetryBudget(attempts.retry_budget, attempts.retries_min)
        self.hedging = Hedging(attempts.hedge_share, attempts.hedge_quantile)
        self.smaller: dict[str, str] = {}
        self.prober: Prober | None = None

    def collaborators(self) -> Collaborators:
        return Collaborators(
            self.router,
            self.ports,
            self.centers,
            self.clock,
            self.clock.call_at,
            self.clock.call_soon,
            Deadlines(self.clock, self.clock.call_at),
            self.settings.attempts,
            self.metrics,
            self.decisions,
            self.settings.planted.gateway_delay_ms / 1e3,
            self.retries,
            self.hedging,
            self.smaller,
            self.prober,
        )

    def arrival(self, budget_ms: float = 30_000.0) -> Arrival:
        now = self.clock()
        query = Query(0, "mlp", deadline_ms=budget_ms)
        return Arrival(query, b"{}", None, "", "r1", now, now + budget_ms / 1e3)

    def started(self, center: int) -> Started:
        """The latest attempt at a center."""
        return self.ports[center].started[-1]

    def counted(self) -> dict[str, float]:
        """Every metric sample as text -> value."""
        return {
            f"{sample.name}{sorted(sample.labels.items())}": sample.value
            for family in self.metrics.families()
            for sample in family.samples
        }


@dataclass
class FakeControl:
    """Records what the admin door asks."""

    router: FakeRouter
    fault_calls: list[tuple[str, str, float, str | None]] = field(default_factory=list)
    drain_calls: list[tuple[str, bool]] = field(default_factory=list)
    reload_refusal: NearwayError | None = None

    def fleet_state(self) -> list[dict[str, Any]]:
        return [{"center": "c0"}, {"center": "c1"}]

    def faults(self) -> list[dict[str, Any]]:
        fields = ("center", "kind", "value", "vantage")
        return [dict(zip(fields, call, strict=True)) for call in self.fault_calls]

    def gateway_state(self) -> dict[str, Any]:
        return {"version": "0", "uptime_s": 1.0, "loop_late_ms": inf}

    def explain(self, query: Query) -> Explanation:
        return self.router.explain(query, 0.0)

    def set_fault(self, center: str, kind: str, value: float, vantage: str | None) -> None:
        if center not in ("c0", "c1"):
            raise InvalidRequest(f"center: {center!r} is unknown; GET /fleet lists them")
        self.fault_calls.append((center, kind, value, vantage))

    def clear_faults(self, center: str | None) -> int:
        cleared, self.fault_calls = len(self.fault_calls), []
        return cleared

    def drain(self, center: str, *, draining: bool) -> None:
        self.drain_calls.append((center, draining))

    async def reload(self) -> dict[str, Any]:
        if self.reload_refusal is not None:
            raise self.reload_refusal
        return {"changed": {"routing.seed": [1, 2]}}


PLACES = ("Shanghai", "Beijing", "31.2,121.5")


def find_vantage(name: str) -> int:
    if name not in PLACES:
        raise InvalidRequest(f"unknown place {name!r}; known: {', '.join(PLACES)}")
    return PLACES.index(name)


def make_front(centers: int = 3, **settings: Any) -> Front:
    """A front of fakes on the running loop; every port answers at once."""
    loop = asyncio.get_running_loop()
    router = FakeRouter(centers)
    here = Location(0.0, 0.0)
    rows = [
        Center(f"c{row}", "r", "z", "city", "CN", here, models=("mlp", "emb*"))
        for row in range(centers)
    ]
    return Front(
        settings=msgspec.convert(settings, Settings),
        router=router,
        ports=[FakePort(loop.call_soon, Started.answer) for _ in range(centers)],
        centers=rows,
        find_vantage=find_vantage,
        vantage_names=PLACES,
        clock=loop.time,
        call_at=loop.call_at,
        control=FakeControl(router),
        ready=lambda: True,
        metrics=Metrics([center.id for center in rows]),
    )


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(name="make_world", scope="session")
def world_class() -> type[World]:
    return World


@pytest.fixture(name="make_front", scope="session")
def front_maker() -> Callable[..., Front]:
    return make_front


class Wire(asyncio.Transport):
    """A transport without a socket: what is written is kept, what is fed is read at once."""

    def __init__(self, protocol: Any, peer: str = "127.0.0.1") -> None:
        super().__init__({"peername": (peer, 4711)})
        self.protocol = protocol
        self.written = b""
        self.closed = self.aborted = self.eof_written = False
        self.reading = True
        self.buffered = 0
        protocol.connection_made(self)

    def feed(self, data: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(data)

    def lose(self) -> None:
        self.closed = True
        self.protocol.connection_lost(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += bytes(data)

    def writelines(self, lines: Any) -> None:
        self.write(b"".join(lines))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.eof_written = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def get_write_buffer_size(self) -> int:
        return self.buffered


@pytest.fixture(name="Wire", scope="session")
def wire_class() -> type[Wire]:
    return Wire


Door = Callable[..., Awaitable[TestClient[Any, Any]]]


class DoorServer(BaseTestServer):
    """The public door as the gateway opens it, for a ``TestClient``."""

    def __init__(self, front: Front) -> None:
        super().__init__(scheme="http")
        self.door = PublicDoor(front)

    async def _make_runner(self, **kwargs: Any) -> BaseRunner[Any]:
        raise NotImplementedError

    async def start_server(self, loop: Any = None, **kwargs: Any) -> None:
        if self._root is None:
            await self.door.open()
            self.host, self.port = await self.door.listen("127.0.0.1", 0)
            self._root = URL(f"http://127.0.0.1:{self.port}")

    async def close(self) -> None:
        await self.door.close()


@pytest.fixture(params=["hot", "aiohttp"])
def lane(request: pytest.FixtureRequest) -> str:
    """Which lane owns the public door's sockets first."""
    return str(request.param)


@pytest.fixture
async def door(lane: str) -> AsyncIterator[Door]:
    """Opens doors of ``lane``; each client's ``front`` and ``door`` are the ones behind it."""
    clients: list[TestClient[Any, Any]] = []

    async def open_door(**settings: Any) -> TestClient[Any, Any]:
        told = {**settings, "server": {"lane": lane, **settings.get("server", {})}}
        front = make_front(**told)
        server = DoorServer(front)
        client: TestClient[Any, Any] = TestClient(server, auto_decompress=False)
        await client.start_server()
        client.front = front  # type: ignore[attr-defined]  # rides along for the tests
        client.door = server.door  # type: ignore[attr-defined]
        clients.append(client)
        return client

    yield open_door
    for client in clients:
        await client.close()


@pytest.fixture
async def admin() -> AsyncIterator[Door]:
    """Opens admin doors; ``front`` rides along as with ``door``."""
    clients: list[TestClient[Any, Any]] = []

    async def open_door(**settings: Any) -> TestClient[Any, Any]:
        front = make_front(**settings)
        client: TestClient[Any, Any] = TestClient(TestServer(build_admin_app(front)))
        await client.start_server()
        client.front = front  # type: ignore[attr-defined]  # rides along for the tests
        clients.append(client)
        return client

    yield open_door
    for client in clients:
        await client.close()
