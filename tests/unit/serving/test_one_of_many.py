"""One of many: admitted, begun, told and ended by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.serving import Front
from gateway.serving.intake import Said
from gateway.serving.one_of_many import OneOfMany

SAID = Said(0, "anonymous", None, None)
BODY = b'{"model_name":"mlp","id":"a","inputs":[]}'


def begun(front: Front, body: bytes = BODY, *, taken: set[str] | None = None) -> OneOfMany:
    one = OneOfMany(front, packed=False)
    now = front.clock()
    one.begin(body, SAID, "r-1", now, now + 1.0, taken=taken)
    return one


async def told(one: OneOfMany) -> dict[str, Any]:
    return dict(msgspec.json.decode(await one.told()))


async def test_it_is_answered_and_counted_as_a_request(make_front: Any) -> None:
    front = make_front()
    one = begun(front)
    assert front.metrics.in_flight == 1
    assert front.metrics.bodies_bytes > 0
    said = await told(one)
    assert (said["status"], said["id"], said["center"]) == (200, "a", "c0")
    one.end()
    one.end()
    assert (front.metrics.in_flight, front.metrics.bodies_bytes) == (0, 0)
    assert front.router.open == []


async def test_who_ends_it_early_tells_the_center(make_front: Any) -> None:
    front = make_front()
    front.ports[0].script = None
    one = begun(front)
    (started,) = front.ports[0].started
    one.end()
    assert started.cancelled
    assert front.router.open == []
    assert front.metrics.in_flight == 0


@pytest.mark.parametrize("budget_s", [0.2, 5.0])
async def test_its_own_deadline_may_be_sooner_and_not_later(
    make_front: Any, budget_s: float
) -> None:
    front = make_front()
    one = OneOfMany(front, packed=False)
    now = front.clock()
    body = b'{"model_name":"mlp","parameters":{"timeout":1000000},"inputs":[]}'
    one.begin(body, SAID, "r", now, now + budget_s)
    (started,) = front.ports[0].started
    assert started.attempt.deadline_s == pytest.approx(now + min(budget_s, 1.0))
    one.end()


async def test_ids_under_way_are_told_apart(make_front: Any) -> None:
    front = make_front()
    taken: set[str] = set()
    first, same, none = (
        begun(front, taken=taken),
        begun(front, taken=taken),
        begun(front, b'{"model_name":"mlp","inputs":[]}', taken=taken),
    )
    assert (await told(first))["status"] == 200
    assert "under way already" in (await told(same))["error"]
    assert "id is missing" in (await told(none))["error"]
    assert (taken, first.taken_id, same.taken_id) == ({"a"}, "a", "")
    for one in (first, same, none):
        one.end()
    assert front.metrics.in_flight == 0


async def test_what_nobody_foresaw_harms_no_other(make_front: Any, caplog: Any) -> None:
    front = make_front()
    broken, whole = begun(front), begun(front)
    await whole.told()
    broken._reply.center = 99
    await broken._reply.ready
    broken._reply.center = 99
    said = await told(broken)
    assert (said["status"], said["id"]) == (500, "a")
    assert "r-1" in said["error"]
    assert (await told(whole))["status"] == 200
    broken.end()
    whole.end()
