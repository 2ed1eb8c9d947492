from __future__ import annotations

from math import inf

import numpy as np

from gateway.api import CenterDown, Decision, Explanation, Query, Report
from gateway.centers.port import Head, Whole
from gateway.serving.arrival import Parts
from gateway.serving.decisions import Came, Explained
from gateway.serving.measured import MeasuredAnswer

QUERY = Query(0, "mlp")
HEAD = Head(200, "application/json", None)
WHOLE = Whole(200, "application/json", None, b"abc", Report(1.0, 2.0), None)
PARTS = Parts(0.5, 7.0, 1.0, 2.0)
PARTS_MS = {"gateway": 0.5, "network": 7.0, "queue": 1.0, "service": 2.0}


class Heard:
    """An answer that writes down what it hears."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def send_whole(self, *given: object) -> None:
        self.calls.append(("whole", *given))

    def send_head(self, *given: object) -> None:
        self.calls.append(("head", *given))

    def send_chunk(self, payload: bytes) -> None:
        self.calls.append(("chunk", payload))

    def send_end(self) -> None:
        self.calls.append(("end",))

    def fail(self, error: object) -> None:
        self.calls.append(("fail", error))


def explained() -> Explained:
    decision = Decision(QUERY, 0, 5.0, -1, inf, (4.0, 1.0), 0.0)
    table = Explanation("p", QUERY, 0, {}, np.zeros(1, np.float32), ((),), (0,))
    return Explained("r1", decision, table, 0.0)


def test_a_whole_answer_passes_and_is_noted() -> None:
    heard, one = Heard(), explained()
    assert one.came is None
    MeasuredAnswer(heard, one).send_whole(WHOLE, 1, PARTS)
    assert heard.calls == [("whole", WHOLE, 1, PARTS)]
    assert one.came == Came(1, "", PARTS_MS)


def test_an_answer_in_parts_passes_and_is_noted() -> None:
    heard, one = Heard(), explained()
    answer = MeasuredAnswer(heard, one)
    answer.send_head(HEAD, 1, PARTS)
    answer.send_chunk(b"a")
    answer.send_end()
    assert heard.calls == [("head", HEAD, 1, PARTS), ("chunk", b"a"), ("end",)]
    assert one.came == Came(1, "", PARTS_MS)


def test_of_a_stream_it_is_known_who_answers_and_of_a_broken_one_why() -> None:
    heard, one = Heard(), explained()
    answer = MeasuredAnswer(heard, one)
    answer.send_head(HEAD, 1, None)
    assert one.came == Came(1)
    error = CenterDown("gone")
    answer.fail(error)
    assert heard.calls[-1] == ("fail", error)
    assert one.came == Came(reason="center_down")
