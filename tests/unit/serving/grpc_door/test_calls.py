"""What calls share: bounds by the config in force, and bytes that are kept counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import NoCapacity
from gateway.serving.grpc_door.call import Method
from gateway.serving.grpc_door.calls import MESSAGE_ROOM_BYTES, Calls
from gateway.serving.grpc_door.invocation import CallHeaders
from gateway.serving.grpc_door.serving import Serving


@pytest.fixture
async def calls(make_front: Any) -> Calls:
    front = make_front(server={"bodies_bytes_max": 1000, "body_bytes_max": 100})
    serving = Serving(front, asyncio.get_running_loop())
    return Calls(serving, {"/a.B/C": Method(lambda call, message: None)})


async def test_a_path_finds_its_method(calls: Calls) -> None:
    def head(path: bytes) -> Any:
        told = {b":method": b"POST", b":path": path, b"content-type": b"application/grpc"}
        return calls.make_head(list(told.items()), 100)

    assert head(b"/a.B/C").method is not None
    assert head(b"/a.B/D").method is None


async def test_messages_that_are_not_whole_have_a_bound_together(calls: Calls) -> None:
    calls.hold(1000)
    calls.check_room()
    calls.hold(1)
    with pytest.raises(NoCapacity, match=r"server\.bodies_bytes_max") as caught:
        calls.check_room()
    assert caught.value.reason == "bodies_in_flight"
    calls.hold(-1)
    calls.check_room()


async def test_bounds_are_those_of_the_config_in_force(calls: Calls, make_front: Any) -> None:
    assert calls.message_bytes_max == 100 + MESSAGE_ROOM_BYTES
    calls.take(make_front(server={"body_bytes_max": 7, "idle_timeout_s": 3.0}))
    assert calls.message_bytes_max == 7 + MESSAGE_ROOM_BYTES
    assert calls.limits.idle_s == 3.0


async def test_who_is_refused_is_told_the_key(calls: Calls) -> None:
    assert "server.grpc_calls_max" in calls.too_many()
    assert calls.request_id(CallHeaders((("x-request-id", "r"),))) == "r"
