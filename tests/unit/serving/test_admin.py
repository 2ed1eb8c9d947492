"""The admin door: levers, explanations, and who may not come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.api import ConfigError, NearwayError, Query, Unsupported

Door = Callable[..., Awaitable[Any]]


async def error_of(response: Any) -> str:
    return str((await response.json())["error"])


async def test_state_and_fleet(admin: Door) -> None:
    client = await admin()
    state = await (await client.get("/state")).json()
    assert state == {"version": "0", "uptime_s": 1.0, "loop_late_ms": None}
    fleet = await (await client.get("/fleet")).json()
    assert [row["center"] for row in fleet["centers"]] == ["c0", "c1"]


async def test_a_fault_is_set_listed_and_cleared(admin: Door) -> None:
    client = await admin()
    body = {"center": "c0", "kind": "slow", "value": 3.0, "vantage": "Beijing"}
    assert (await client.post("/faults", json=body)).status == 200
    assert client.front.control.fault_calls == [("c0", "slow", 3.0, "Beijing")]
    listed = await (await client.get("/faults")).json()
    assert listed["faults"] == [body]
    assert await (await client.delete("/faults?center=c0")).json() == {"cleared": 1}
    assert await (await client.delete("/faults")).json() == {"cleared": 0}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "slow", "value": 1}, "center"),
        ({"center": "c0", "kind": "melt", "value": 1}, "kind"),
        ({"center": "c0", "kind": "slow", "value": "much"}, "value"),
        ({"center": "c9", "kind": "slow", "value": 1}, "center"),
        ({"center": "c0", "kind": "slow", "value": 1, "colour": "red"}, "colour"),
        ([], "object"),
    ],
)
async def test_a_wrong_fault_is_400_and_names_the_field(admin: Door, body: Any, named: str) -> None:
    response = await (await admin()).post("/faults", json=body)
    assert response.status == 400
    assert named in await error_of(response)


async def test_drain(admin: Door) -> None:
    client = await admin()
    response = await client.post("/drain", json={"center": "c1", "draining": True})
    assert response.status == 200
    assert client.front.control.drain_calls == [("c1", True)]
    response = await client.post("/drain", json={"center": "c1", "draining": "yes"})
    assert response.status == 400
    assert "draining" in await error_of(response)


async def test_explain_shows_rows_best_first_and_who_refused(admin: Door) -> None:
    client = await admin()
    told = await (await client.get("/explain?origin=Beijing&model=mlp&tenant=acme")).json()
    assert told["pick"] == "c0"
    assert [row["center"] for row in told["rows"]] == ["c0", "c1"]
    assert told["rows"][1]["scorers_ms"] == {"network": 1.0, "queue": 1.0}
    assert told["refused"] == [{"center": "c2", "refused_by": ["healthy"]}]
    assert told["query"] == {
        "vantage": "Beijing", "model": "mlp", "tenant": "acme", "origin": "Beijing",
    }  # fmt: skip
    assert not client.front.router.committed


@pytest.mark.parametrize(
    ("query", "named"),
    [("", "model"), ("?model=mlp&origin=Mars", "Mars"), ("?model=mlp&modle=x", "modle")],
)
async def test_a_wrong_explain_names_the_field(admin: Door, query: str, named: str) -> None:
    response = await (await admin()).get(f"/explain{query}")
    assert response.status == 400
    assert named in await error_of(response)


async def test_decisions_are_told_newest_first(admin: Door) -> None:
    client = await admin(routing={"explain_every": 1})
    front = client.front
    router = front.router
    for name in ("first", "second"):
        query = Query(1, "mlp")
        front.decisions.add(name, router.decide(query, 0.0), router.explain(query, 0.0), 0.0)
    told = await (await client.get("/decisions")).json()
    assert told["one_in"] == 1
    assert [one["request_id"] for one in told["decisions"]] == ["second", "first"]
    assert told["decisions"][0]["decision"]["parts_ms"] == {"network": 4.0, "queue": 1.0}


async def test_metrics_are_here_too(admin: Door) -> None:
    response = await (await admin()).get("/metrics")
    assert "nearway_center_picks_total" in await response.text()


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_what_a_page_can_post_unasked_is_415(admin: Door, media: str | None) -> None:
    client = await admin()
    headers = {"Content-Type": media} if media else {}
    response = await client.post(
        "/drain", data=b"{}", headers=headers, skip_auto_headers=["Content-Type"]
    )
    assert response.status == 415
    assert not client.front.control.drain_calls


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "", "10.0.0.9"])
async def test_a_rebound_name_is_refused(admin: Door, host: str) -> None:
    response = await (await admin()).get("/state", headers={"Host": host})
    assert response.status == 403
    assert "host" in await error_of(response)


async def test_strangers_are_refused_whatever_host_they_name(admin: Door) -> None:
    client = await admin(server={"admin_host": "0.0.0.0", "admin_peers": ["10.0.0.0/8"]})
    response = await client.get("/state", headers={"Host": "127.0.0.1"})
    assert response.status == 403
    assert "server.admin_peers" in await error_of(response)


async def test_who_is_named_comes_in(admin: Door) -> None:
    client = await admin(server={"admin_peers": ["10.0.0.0/8", "127.0.0.1"]})
    assert (await client.get("/state", headers={"Host": "127.0.0.1"})).status == 200


async def test_a_slow_body_is_not_waited_for(admin: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.serving.admin.BODY_S", 0.01)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.2)
        yield b"}"

    client = await admin()
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json"}
    response = await client.post("/drain", data=slowly(), headers=headers)
    assert response.status == 408


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:99", "[::1]:8081", "LOCALHOST:1"])
async def test_loopback_names_come_in(admin: Door, host: str) -> None:
    assert (await (await admin()).get("/state", headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        ("10.0.0.9", "10.0.0.9:8081", 200),
        ("10.0.0.9", "10.0.0.8:8081", 403),
        ("0.0.0.0", "10.0.0.8", 200),
        ("0.0.0.0", "evil.example", 403),
        ("admin.internal", "admin.internal:8081", 200),
    ],
)
async def test_the_bound_host_comes_in(admin: Door, bound: str, host: str, status: int) -> None:
    client = await admin(server={"admin_host": bound})
    assert (await client.get("/state", headers={"Host": host})).status == status


async def test_another_sites_page_is_refused(admin: Door) -> None:
    response = await (await admin()).get("/state", headers={"Origin": "http://evil.example"})
    assert response.status == 403


async def test_unknown_routes_and_methods_are_json(admin: Door) -> None:
    client = await admin()
    response = await client.get("/explian")
    assert response.status == 404
    assert "/explain" in await error_of(response)
    response = await client.put("/faults")
    assert response.status == 405
    assert set(response.headers["Allow"].split(", ")) == {"DELETE", "GET", "POST"}


async def test_a_reload_tells_what_changed(admin: Door) -> None:
    response = await (await admin()).post("/reload", json={})
    assert response.status == 200
    assert await response.json() == {"changed": {"routing.seed": [1, 2]}}


@pytest.mark.parametrize(
    ("error", "status"), [(ConfigError("a wrong key"), 409), (Unsupported("not here"), 501)]
)
async def test_a_reload_that_is_not_taken_over_says_why(
    admin: Door, error: NearwayError, status: int
) -> None:
    client = await admin()
    client.front.control.reload_refusal = error
    response = await client.post("/reload", json={})
    assert response.status == status
    assert str(error) in await error_of(response)


async def test_a_page_cannot_reload(admin: Door) -> None:
    assert (await (await admin()).post("/reload", data="{}")).status == 415
    assert (await (await admin()).post("/reload", json={"more": 1})).status == 400
