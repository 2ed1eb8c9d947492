from __future__ import annotations

import json

from gateway.api import Overloaded
from gateway.serving.openai_door.errors import error_event, openai_error_answer


def test_the_head_is_that_of_any_error_of_ours() -> None:
    answer = openai_error_answer(Overloaded("slow down", 2.0), "id-1")
    assert answer.status == 429
    assert answer.headers["x-request-id"] == "id-1"
    assert answer.headers["Retry-After"] == "2"
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["error"]["type"] == "rate_limit_error"


def test_a_stream_s_last_event() -> None:
    event = error_event(Overloaded("slow down"))
    assert event.startswith(b"data: {")
    assert event.endswith(b"\n\n")
    assert json.loads(event[6:])["error"]["message"] == "slow down"
