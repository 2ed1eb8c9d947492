"""The admin door of several workers, over workers that are fakes: merging and acknowledging."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api import Center, ConfigError, Location
from gateway.config import Settings
from gateway.config.changes import Changes
from gateway.fleet.shared_merge import Merger
from gateway.fleet.shared_table import SharedTable, TableSize
from gateway.runtime import supervisor_door
from gateway.runtime.child_process import Answer, ChildLost, Worker
from gateway.runtime.supervisor_door import SupervisorDoor
from gateway.serving.intake import Intake
from gateway.telemetry.answers import RecentAnswers

IDS = ("a", "b", "c")


@dataclass
class FakeChild:
    """Answers as told, unless it is deaf."""

    name: str
    pid: int
    deaf: bool = False
    says: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, bytes | None]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, content_type: str | None = None
    ) -> Answer:
        self.asked.append((method, path, body))
        if self.deaf:
            raise ChildLost(f"{self}: silent")
        return self.says.get(path, Answer(200, b'{"cleared": 1}', "application/json"))


@dataclass
class Force:
    centers: tuple[Center, ...]
    shared: SharedTable
    merger: Merger
    workers: dict[int, Worker]
    slots: int = 2
    restarts: int = 3
    given_up: tuple[int, ...] = ()
    wrong: bool = False
    hosts_centers: bool = False
    centers_host: FakeChild | None = None

    def child(self, slot: int) -> FakeChild:
        return cast(FakeChild, self.workers[slot].process)


def force_of() -> Force:
    centers = tuple(Center(i, f"r-{i}", "z", "city", "CN", Location(30.0, 120.0)) for i in IDS)
    size = TableSize(3, 2, 1, 1)
    shared = SharedTable(memoryview(bytearray(size.bytes)), size)
    merger = Merger(shared, [(center.region, "z") for center in centers], Random(1))
    workers = {
        slot: Worker(slot, slot, cast(Any, FakeChild(f"worker {slot}", 100 + slot)))
        for slot in range(2)
    }
    return Force(centers, shared, merger, workers)


@pytest.fixture
def force() -> Force:
    return force_of()


@pytest.fixture
async def client(force: Force) -> AsyncIterator[TestClient[Any, Any]]:
    async def reload() -> Changes:
        if force.wrong:
            raise ConfigError("the fleet file is wrong")
        return Changes(keys={"routing.seed": (1, 2)})

    door = SupervisorDoor(lambda: cast(Any, force), reload, 10.0)
    app = door.app(Intake(Settings(), lambda _: 0), "127.0.0.1")
    async with TestClient(TestServer(app)) as made:
        yield made


async def error_of(answer: Any) -> str:
    return str((await answer.json())["error"])


def all_see(force: Force) -> None:
    force.shared["health_seen"][:] = 1_000


async def test_drain_answers_when_every_worker_goes_by_it(
    force: Force, client: TestClient[Any, Any]
) -> None:
    all_see(force)
    answer = await client.post("/drain", json={"center": "b", "draining": True})
    assert (answer.status, await answer.json()) == (200, {"center": "b", "draining": True})
    assert force.shared["healthy"].tolist() == [1, 0, 1]
    await client.post("/drain", json={"center": "r-b", "draining": False})  # by its region
    assert force.shared["healthy"].tolist() == [1, 1, 1]


async def test_drain_names_who_has_not_acknowledged(
    force: Force, client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_door, "ACKNOWLEDGED_WITHIN_S", 0.0)
    force.shared["health_seen"][0] = 1_000
    answer = await client.post("/drain", json={"center": "b", "draining": True})
    assert answer.status == 503
    told = await error_of(answer)
    assert "worker 1 (process 101)" in told
    assert "worker 0" not in told


@pytest.mark.parametrize(
    ("body", "named"), [({"center": "x", "draining": True}, "'x'"), ({"center": "a"}, "draining")]
)
async def test_a_wrong_drain_is_refused(
    client: TestClient[Any, Any], body: dict[str, Any], named: str
) -> None:
    answer = await client.post("/drain", json=body)
    assert answer.status == 400
    assert named in await error_of(answer)


async def test_a_fault_goes_to_everybody_as_it_came(
    force: Force, client: TestClient[Any, Any]
) -> None:
    fault = {"center": "a", "kind": "down"}
    assert (await client.post("/faults", json=fault)).status == 200
    for slot in range(2):
        ((method, path, body),) = force.child(slot).asked
        assert (method, path) == ("POST", "/faults")
        assert json.loads(body or b"") == fault


async def test_where_centers_are_hosted_faults_go_to_their_host(
    force: Force, client: TestClient[Any, Any]
) -> None:
    force.hosts_centers = True
    answer = await client.get("/faults")
    assert answer.status == 503
    assert "started again" in await error_of(answer)
    force.centers_host = FakeChild("the centers", 7)
    assert (await client.post("/faults", json={"center": "a", "kind": "down"})).status == 200
    assert [path for _, path, _ in force.centers_host.asked] == ["/faults"]
    assert force.child(0).asked == []


async def test_one_refusal_is_the_answer(force: Force, client: TestClient[Any, Any]) -> None:
    force.child(1).says["/faults?center=x"] = Answer(400, b'{"error": "no x"}', "")
    answer = await client.delete("/faults?center=x")
    assert (answer.status, await error_of(answer)) == (400, "no x")


async def test_who_did_not_answer_is_named(force: Force, client: TestClient[Any, Any]) -> None:
    force.child(1).deaf = True
    answer = await client.post("/faults", json={"center": "a", "kind": "down"})
    assert answer.status == 503
    assert "worker 1 (process 101)" in await error_of(answer)
    assert "1 of 2" in await error_of(answer)


async def test_health_in_the_fleet_is_what_was_decided_here(
    force: Force, client: TestClient[Any, Any]
) -> None:
    rows = [
        {
            "center": name,
            "healthy": True,
            "health": "slow" if name == "c" else "ok",
            "reason": "",
            "since_s": 0.0,
            "error_rate": 0.0,
            "answers": 2,
            "errors": 0,
            "cancelled": 0,
            "report_age_s": None,
            "prediction": {"answers": 0},
        }
        for name in IDS
    ]
    fault = {"center": "a", "kind": "slow"}
    for slot in range(2):
        force.child(slot).says["/fleet"] = Answer(200, json.dumps({"centers": rows}).encode(), "")
        force.child(slot).says["/faults"] = Answer(
            200, json.dumps({"faults": [fault]}).encode(), ""
        )
    force.merger.drain(1, draining=True)
    told = (await (await client.get("/fleet")).json())["centers"]
    assert [row["health"] for row in told] == ["ok", "draining", "slow"]
    assert [row["healthy"] for row in told] == [True, False, True]
    assert [row["answers"] for row in told] == [4, 4, 4]
    assert [row["faults"] for row in told] == [[fault], [], []]


async def test_metrics_are_the_sum_and_count_the_workers(
    force: Force, client: TestClient[Any, Any]
) -> None:
    text = b"# HELP x_total x\n# TYPE x_total counter\nx_total 2.0\n"
    for slot in range(2):
        force.child(slot).says["/metrics"] = Answer(200, text, "")
    told = await (await client.get("/metrics")).text()
    assert "x_total 4.0" in told
    assert "nearway_workers 2.0" in told
    assert "nearway_worker_restarts_total 3.0" in told


async def test_who_died_this_moment_is_left_out_of_a_look(
    force: Force, client: TestClient[Any, Any]
) -> None:
    force.child(0).says["/metrics"] = Answer(200, b"# TYPE x_total counter\nx_total 2.0\n", "")
    force.child(1).deaf = True
    assert "x_total 2.0" in await (await client.get("/metrics")).text()
    force.child(0).deaf = True
    answer = await client.get("/metrics")
    assert answer.status == 503
    assert "silent" in await error_of(answer)


async def test_without_any_worker_it_says_so(force: Force, client: TestClient[Any, Any]) -> None:
    force.workers.clear()
    answer = await client.get("/state")
    assert answer.status == 503
    assert "no worker runs" in await error_of(answer)


async def test_another_machines_name_is_refused_here_too(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/state", headers={"Host": "evil.example"})
    assert answer.status == 403


async def test_a_reload_tells_what_changed_or_why_nothing_did(
    force: Force, client: TestClient[Any, Any]
) -> None:
    answer = await client.post("/reload", json={})
    assert answer.status == 200
    assert (await answer.json())["changed"] == {"routing.seed": [1, 2]}
    force.wrong = True
    answer = await client.post("/reload", json={})
    assert answer.status == 409
    assert "fleet file is wrong" in await error_of(answer)
    assert (await client.post("/reload", data="{}")).status == 415


async def test_the_dashboard_sees_all_workers_answers_as_one(
    force: Force, client: TestClient[Any, Any]
) -> None:
    said = {
        "/dashboard/facts": {"faults": False, "target_ms": 10.0},
        "/dashboard/models/m": {"card": "# m"},
        "/fleet": {"centers": []},
        "/faults": {"faults": []},
        "/state": {"prediction": {"by_model": {}, "by_center": {}}, "ready": True, "loop": {}},
    }
    for slot in force.workers:
        recent = RecentAnswers()
        recent.add(time.monotonic(), slot, 0, 0.1, 1.0, 0.1, 0.1)
        rows = recent.rows_since(0.0).tobytes()
        force.child(slot).says |= {
            "/dashboard/answers": Answer(200, rows, "application/octet-stream"),
            **{
                path: Answer(200, json.dumps(told).encode(), "application/json")
                for path, told in said.items()
            },
        }
    assert (await (await client.get("/dashboard/facts")).json())["target_ms"] == 10.0
    assert (await (await client.get("/dashboard/models/m")).json())["card"] == "# m"
    assert "<title>Nearway</title>" in await (await client.get("/")).text()
    async with client.get("/dashboard/events") as answer:
        line = await answer.content.readline()
    frame = json.loads(line.removeprefix(b"data: "))
    assert frame["verdict"]["answers"] == len(force.workers)
    assert [row["vantage"] for row in frame["origins"]] == sorted(force.workers)
