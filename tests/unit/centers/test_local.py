"""A local center: what came in one turn is served together, and nobody notices."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gateway_models import repository

from gateway.api import (
    CenterBusy,
    CenterDown,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
)
from gateway.centers import Failed, Whole

OTHER = "grid-load"
OTHER_BODY = (repository() / OTHER / "example.json").read_bytes()


def with_values(body: bytes, scale: float, rows: int = 1) -> bytes:
    """The example's request with other numbers, ``rows`` times."""
    document = json.loads(body)
    for tensor in document["inputs"]:
        tensor["shape"][0] = rows
        tensor["data"] = [scale * value for value in tensor["data"]] * rows
    return json.dumps(document).encode()


@pytest.fixture
def bodies(body: bytes) -> list[bytes]:
    return [with_values(body, 1.0 + k / 10) for k in range(6)]


def answers(site: Any) -> list[bytes]:
    assert all(isinstance(event, Whole) for _, event in site.events)
    return [event.payload for _, event in site.events]


def test_an_answer_comes_in_the_next_turn_and_in_one_piece(local_site: Any) -> None:
    site = local_site()
    site.start()
    assert site.events == []
    site.turn()
    [(_, whole)] = site.events
    assert isinstance(whole, Whole)
    assert (whole.status, whole.content_type, whole.head_bytes) == (200, "application/json", None)
    assert json.loads(whole.payload)["model_name"] == "blast-furnace"
    assert whole.drawn_ms is None
    assert (whole.report.slots, whole.report.in_flight, whole.report.queue_ms) == (2, 0, 0.0)
    assert site.time.now() == 0.0
    assert site.idle()


def test_requests_of_one_turn_share_a_run_and_get_what_they_would_alone(
    local_site: Any, bodies: list[bytes]
) -> None:
    together, apart = local_site(), local_site(rows_max=1)
    for site in (together, apart):
        for number, body in enumerate(bodies):
            site.start(body, name=number)
        site.turn()
        assert site.idle()
    assert together.runner.rows == [6]
    assert apart.runner.rows == [1] * 6
    assert answers(together) == answers(apart)
    assert [name for name, _ in together.events] == [*range(6)]


def binary(body: bytes, factor: float, **said: Any) -> tuple[bytes, int]:
    """As ``body`` with its window times ``factor``, tensors behind the head in and out."""
    window = json.loads(body)["inputs"][0]
    array = (np.array(window["data"], "<f4") * factor).astype("<f4")
    tensor = {key: value for key, value in window.items() if key != "data"}
    tensor["parameters"] = {"binary_data_size": array.nbytes}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": True}, **said}
    head = json.dumps(document).encode()
    return head + array.tobytes(), len(head)


@pytest.mark.parametrize(
    "others", [{}, {"id": "named"}, {"parameters": {"binary_data_output": True, "n": 1}}]
)
def test_binary_requests_share_a_run_and_each_gets_its_own_answer(
    local_site: Any, body: bytes, others: dict[str, Any]
) -> None:
    """A known head, one that has an id, one that is other bytes and says the same."""
    together, apart = local_site(), local_site(rows_max=1)
    for site in (together, apart):
        for turn in range(3):
            for number in range(4):
                said = others if number == 2 else {}
                sent, head_bytes = binary(body, 1 + number / 100, **said)
                call = site.start(sent, head_bytes=head_bytes, name=(turn, number))
                if turn == 2 and number == 1:
                    call.cancel()
            site.turn()
        assert site.idle()
    assert together.runner.rows == [4, 4, 3]
    assert len(together.events) == 11
    assert [name for name, _ in together.events] == [name for name, _ in apart.events]
    for (_, joined), (_, alone) in zip(together.events, apart.events, strict=True):
        assert (joined.payload, joined.head_bytes) == (alone.payload, alone.head_bytes)
        assert joined.content_type == "application/octet-stream"
    assert len({joined.payload for _, joined in together.events}) == 4


def test_requests_of_different_turns_do_not(local_site: Any) -> None:
    site = local_site()
    for _ in range(3):
        site.start()
        site.turn()
    assert site.runner.rows == [1, 1, 1]


def test_a_batch_has_one_model_and_one_form(local_site: Any, body: bytes) -> None:
    site = local_site()
    asks_one = {**json.loads(body), "outputs": [{"name": "state"}]}
    for _ in range(2):
        site.start()
        site.start(OTHER_BODY, model=OTHER)
        site.start(json.dumps(asks_one).encode())
    site.turn()
    assert sorted(site.runner.rows) == [2, 2, 2]
    assert len(answers(site)) == 6
    names = {(json.loads(p)["model_name"], len(json.loads(p)["outputs"])) for p in answers(site)}
    assert names == {("blast-furnace", 3), ("blast-furnace", 1), (OTHER, 1)}


def test_rows_count_and_not_requests(local_site: Any, body: bytes) -> None:
    site, apart = local_site(rows_max=8), local_site(rows_max=1)
    sizes = [3, 3, 3, 1, 9, 2, 2]
    for one in (site, apart):
        for number, size in enumerate(sizes):
            one.start(with_values(body, 1 + number / 10, size), name=number)
        one.turn()
    assert site.runner.rows == [6, 4, 9, 4]
    assert answers(site) == answers(apart)


def test_members_of_a_batch_report_alike_and_are_counted_one_by_one(local_site: Any) -> None:
    site = local_site()
    for _ in range(4):
        site.start()
    site.turn()
    reports = [event.report for _, event in site.events]
    assert all(report == reports[0] for report in reports)
    site.start()
    site.turn()
    model = site.center.model_for("blast-furnace", "").model
    stats = model.statistics()
    assert (stats["inference_count"], stats["execution_count"]) == (5, 2)
    assert stats["inference_stats"]["success"]["count"] == 5


def test_a_batch_that_fails_is_run_one_by_one(local_site: Any, bodies: list[bytes]) -> None:
    site, apart = local_site(), local_site()
    bad = with_values(bodies[0], 1e6)
    for body in bodies:
        apart.start(body)
        apart.turn()
    site.runner.refuses = lambda inputs: inputs["window"].max() > 1e6
    for number, body in enumerate([*bodies[:3], bad, *bodies[3:]]):
        site.start(body, name=number)
    site.turn()
    heard = site.heard()
    assert site.runner.rows == [7] + [1] * 7
    refused = heard.pop(3)
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, InvalidRequest)
    assert [heard[n].payload for n in sorted(heard)] == answers(apart)
    assert site.idle()


def test_what_is_wrong_is_refused_alone(local_site: Any) -> None:
    site = local_site()
    site.start(b'{"inputs": [{"name": "windw"}]}', name="bad")
    site.start(name="good")
    site.start(model="no-such", name="unknown")
    site.turn()
    heard = site.heard()
    assert isinstance(heard["good"], Whole)
    assert isinstance(heard["bad"].error, InvalidRequest)
    assert isinstance(heard["unknown"].error, NotFound)
    assert heard["bad"].report.errors_per_s == 0.0
    assert site.idle()


# ---- slots --------------------------------------------------------------------------------


def test_a_batch_takes_one_slot_and_a_free_slot_takes_all_that_wait(local_site: Any) -> None:
    site = local_site(slots=2, rows_max=4)
    site.runner.at_once = False
    for turn in range(3):
        for number in range(3):
            site.start(name=(turn, number))
        site.turn()
    assert site.runner.rows == [3, 3]
    assert (site.center.free_slots, site.center.meter.in_flight) == (0, 9)
    site.start(name="late")
    site.turn()
    site.runner.end()
    assert site.runner.rows == [3, 3, 4]
    assert [name for name, _ in site.events] == [(0, 0), (0, 1), (0, 2)]
    site.runner.end()
    site.runner.end()
    assert len(answers(site)) == 10
    assert site.idle()


def test_of_those_that_wait_the_kind_that_waits_longest_is_next(local_site: Any) -> None:
    site = local_site(slots=1, rows_max=4)
    site.runner.at_once = False
    site.start(name="runs")
    site.turn()
    for model, body, name in (("grid-load", OTHER_BODY, "g1"), ("blast-furnace", None, "b1")):
        site.time.run(site.time.now() + 0.001)
        site.start(*([body] if body else []), model=model, name=name)
        site.turn()
    site.start(OTHER_BODY, model=OTHER, name="g2")
    site.turn()
    site.runner.at_once = True
    site.runner.end()
    assert [name for name, _ in site.events] == ["runs", "g1", "g2", "b1"]
    assert site.idle()


def test_the_queue_is_bounded(local_site: Any) -> None:
    site = local_site(slots=1, queue_max=2)
    site.runner.at_once = False
    site.start(name="runs")
    site.turn()
    for number in range(4):
        site.start(name=number)
    site.turn()
    heard = site.heard()
    assert sorted(heard) == [2, 3]
    assert all(isinstance(failed.error, CenterBusy) for failed in heard.values())
    assert "queue of 2 full" in str(heard[2].error)
    site.runner.end()
    site.runner.end()
    assert site.idle()


def test_expired_work_is_dropped_before_it_runs(local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once = False
    site.start(name="runs")
    site.turn()
    for name, deadline_s in (("short", 0.5), ("long", 5.0)):
        site.start(name=name, deadline_s=deadline_s)
    site.turn()
    site.time.run(1.0)
    site.runner.end()
    site.runner.end()
    heard = site.heard()
    assert isinstance(heard["short"].error, DeadlineExceeded)
    assert heard["short"].report.queue_ms == pytest.approx(1000.0)
    assert heard["long"].report.queue_ms == pytest.approx(1000.0)
    assert site.runner.rows == [1, 1]
    assert site.idle()


def test_a_long_line_of_inline_runs_needs_no_deep_stack(local_site: Any) -> None:
    site = local_site(slots=1, rows_max=1, queue_max=3000)
    site.runner.at_once = False
    for _ in range(3000):
        site.start()
    site.turn()
    site.runner.at_once = True
    site.runner.end()
    assert len(answers(site)) == 3000
    assert site.idle()


# ---- what hearers may do ------------------------------------------------------------------


def test_who_hears_an_answer_may_ask_again(local_site: Any) -> None:
    site = local_site()
    site.start(name=1, then=lambda: site.start(name=2))
    site.turn()
    assert [name for name, _ in site.events] == [1, 2]
    assert site.runner.rows == [1, 1]


def test_who_hears_an_answer_may_cancel_another(local_site: Any) -> None:
    site = local_site()
    calls: list[Any] = []
    site.start(name=1, then=lambda: calls[0].cancel())
    calls.append(site.start(name=2))
    site.start(name=3)
    site.turn()
    assert [name for name, _ in site.events] == [1, 3]
    assert site.idle()


def test_who_raises_on_an_answer_keeps_nobody_elses_back(local_site: Any) -> None:
    def complain() -> None:
        raise KeyError("not my answer")

    site = local_site()
    site.start(name=1)
    site.start(name=2, then=complain)
    site.start(name=3)
    with pytest.raises(KeyError):
        site.turn()
    site.turn()
    assert [name for name, _ in site.events] == [1, 2, 3]
    assert site.idle()


def test_a_request_that_breaks_the_reader_keeps_nobody_elses_back(local_site: Any) -> None:
    site = local_site()
    reader = site.center.model_for("blast-furnace", "").reader
    decode = reader.decode

    def breaks(body: bytes, head_bytes: int | None) -> Any:
        if body == b"poison":
            raise ZeroDivisionError
        return decode(body, head_bytes)

    reader.decode = breaks
    for name, body in ((1, None), (2, b"poison"), (3, None)):
        site.start(*([body] if body else []), name=name)
    with pytest.raises(ZeroDivisionError):
        site.turn()
    site.turn()
    assert [name for name, _ in site.events] == [1, 3]
    assert site.idle()


# ---- faults and probes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "error"), [("down", 1, CenterDown), ("error", 1, CenterFailed)]
)
def test_faults_are_errors(kind: Any, value: float, error: type, local_site: Any) -> None:
    site = local_site()
    site.faults.set(0, kind, value, None)
    site.start(name="broken")
    site.turn()
    site.faults.clear(None)
    site.start(name="mended")
    site.turn()
    heard = site.heard()
    assert isinstance(heard["broken"].error, error)
    assert (heard["broken"].report is None) == (error is CenterDown)
    assert isinstance(heard["mended"], Whole)
    assert site.idle()


def test_a_black_hole_is_silent_and_can_be_cancelled(local_site: Any) -> None:
    site = local_site()
    site.faults.set(0, "black_hole", 1, None)
    call = site.start()
    site.turn()
    call.cancel()
    assert site.events == []
    assert site.idle()


@pytest.mark.parametrize(
    ("kind", "heard"), [(None, "report"), ("down", None), ("error", None), ("black_hole", "")]
)
def test_a_probe_meets_the_faults_a_request_would(kind: Any, heard: Any, local_site: Any) -> None:
    site = local_site(slots=1)
    site.runner.at_once = False
    site.start()
    site.turn()
    if kind is not None:
        site.faults.set(0, kind, 1, None)
    told: list[Any] = []
    site.center.probe(0, told.append)
    assert told == []
    site.turn()
    if heard == "report":
        [report] = told
        assert (report.in_flight, report.slots, report.service_ms) == (1, 1, 0.0)
    else:
        assert told == ([None] if heard is None else [])
