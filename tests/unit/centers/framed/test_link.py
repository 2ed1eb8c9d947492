"""One connection to a center process: every attempt ends once, in order, within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.api import CenterBusy, CenterDown, InvalidRequest, NotFound, Report, TooLarge
from gateway.centers import Answered, Attempt, Chunk, Failed, Head, Sent, Whole
from gateway.centers.framed.link import PROBES_MAX, STREAM_BYTES, WAITING_MAX
from gateway.wire import frames


async def test_it_says_hello_first_and_takes_nothing_before_it_heard_one(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked()
    (hello, _), *rest = linked.written()
    assert (hello.protocol, hello.version, hello.stream_bytes) == (
        frames.PROTOCOL,
        frames.VERSION,
        STREAM_BYTES,
    )
    assert rest == []
    linked.start("early")
    await linked.turn()
    assert linked.kinds("early") == ["Failed"]
    linked.greet()
    assert linked.link.greeted.done()
    assert linked.link.taking


async def test_an_attempt_and_its_answer(make_linked: Callable[..., Any], report: Report) -> None:
    linked = make_linked().greet()
    linked.start("a", body=b'{"x":1}')
    assert linked.events["a"] == []
    await linked.turn()
    ((request, body),) = linked.written()
    assert request == frames.Request(1, "c", "m", "", "Shanghai", 500.0, None, "a")
    assert body == b'{"x":1}'
    linked.say(linked.answer(1, b"payload"))
    assert linked.events["a"] == [
        Sent(),
        Whole(200, "application/json", None, b"payload", report, 8.25),
    ]


async def test_frames_of_one_turn_are_one_write(make_linked: Callable[..., Any]) -> None:
    linked = make_linked(in_flight_max=50).greet()
    before = len(linked.transport.writes)
    for number in range(20):
        linked.start(str(number))
    await linked.turn()
    assert len(linked.transport.writes) == before + 1
    assert [request.request_id for request, _ in linked.written()] == [str(n) for n in range(20)]


async def test_a_budget_that_is_over_is_sent_as_none_left(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked().greet()
    linked.start("late", deadline_s=99.0)
    linked.start("never", deadline_s=float("inf"))
    await linked.turn()
    assert [request.budget_ms for request, _ in linked.written()] == [0.0, 1e12]


async def test_failures_keep_their_class_their_report_and_their_delay(
    make_linked: Callable[..., Any], report: Report
) -> None:
    linked = make_linked().greet()
    linked.start("a")
    linked.start("b")
    await linked.turn()
    linked.say(
        frames.failure(2, NotFound("no model")),
        frames.failure(1, CenterBusy("full"), report, 3.5),
    )
    (_, a), (_, b) = linked.events["a"], linked.events["b"]
    assert (type(a.error), str(a.error), a.report, a.drawn_ms) == (CenterBusy, "full", report, 3.5)
    assert (type(b.error), b.report, b.drawn_ms) == (NotFound, None, None)


# ---- streams ------------------------------------------------------------------------------


async def test_a_streamed_answer(make_linked: Callable[..., Any], report: Report) -> None:
    linked = make_linked().greet()
    linked.start("a")
    await linked.turn()
    linked.say(frames.AnswerHead(1, 200, "application/json", 7))
    linked.say((frames.AnswerChunk(1), b"one"), (frames.AnswerChunk(1), b"two"))
    linked.say(frames.AnswerEnd(1, frames.report_fields(report), None))
    assert linked.events["a"] == [
        Sent(),
        Head(200, "application/json", 7),
        Chunk(b"one"),
        Chunk(b"two"),
        Answered(report, None),
    ]


async def test_credit_is_given_for_what_was_handed_on(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    call = linked.start("a")
    await linked.turn()
    linked.written()
    piece = bytes(STREAM_BYTES // 8)
    linked.say(frames.AnswerHead(1, 200, "x", None))
    linked.say((frames.AnswerChunk(1), piece), (frames.AnswerChunk(1), piece))
    await linked.turn()
    assert linked.written() == [(frames.Credit(1, 2 * len(piece)), b"")]
    call.pause()
    linked.say((frames.AnswerChunk(1), piece), (frames.AnswerChunk(1), piece))
    await linked.turn()
    assert linked.written() == []
    assert linked.kinds("a").count("Chunk") == 2
    call.resume()
    assert linked.kinds("a").count("Chunk") == 2
    await linked.turn()
    assert linked.kinds("a").count("Chunk") == 4
    assert linked.written() == [(frames.Credit(1, 2 * len(piece)), b"")]


async def test_the_end_of_a_paused_answer_waits_behind_its_chunks(
    make_linked: Callable[..., Any], report: Report
) -> None:
    linked = make_linked().greet()
    call = linked.start("a")
    await linked.turn()
    call.pause()
    linked.say(
        frames.AnswerHead(1, 200, "x", None),
        (frames.AnswerChunk(1), b"1"),
        frames.AnswerEnd(1, frames.report_fields(report), None),
    )
    linked.link.connection_lost(None)
    call.resume()
    await linked.turn()
    assert linked.kinds("a") == ["Sent", "Head", "Chunk", "Answered"]


# ---- bounds -------------------------------------------------------------------------------


async def test_what_is_over_the_hellos_bound_waits_its_turn(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked(in_flight_max=2).greet()
    for name in "abcd":
        linked.start(name)
    await linked.turn()
    assert [r.request_id for r, _ in linked.written()] == ["a", "b"]
    linked.now = 100.2
    linked.say(linked.answer(1))
    await linked.turn()
    ((request, _),) = linked.written()
    assert request.request_id == "c"
    assert request.budget_ms == pytest.approx(300.0)


async def test_who_cancels_while_waiting_was_never_sent(make_linked: Callable[..., Any]) -> None:
    linked = make_linked(in_flight_max=1).greet()
    linked.start("a")
    waiting = linked.start("b")
    linked.start("c")
    await linked.turn()
    linked.written()
    waiting.cancel()
    linked.say(linked.answer(1))
    await linked.turn()
    assert [r.request_id for r, _ in linked.written()] == ["c"]
    assert linked.events["b"] == []


async def test_too_many_waiting_is_a_busy_center(make_linked: Callable[..., Any]) -> None:
    linked = make_linked(in_flight_max=1).greet()
    for number in range(WAITING_MAX + 2):
        linked.start(str(number))
    await linked.turn()
    (failed,) = linked.events[str(WAITING_MAX + 1)]
    assert isinstance(failed.error, CenterBusy)
    assert linked.events[str(WAITING_MAX)] == []


async def test_nothing_is_written_while_the_transport_is_full(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked().greet()
    linked.link.pause_writing()
    linked.start("a")
    await linked.turn()
    assert linked.written() == []
    linked.link.resume_writing()
    await linked.turn()
    assert [r.request_id for r, _ in linked.written()] == ["a"]


async def test_a_body_the_center_would_not_read_is_not_sent(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked(frame_bytes_max=70_000).greet()
    linked.start("a", body=bytes(5000))
    await linked.turn()
    (failed,) = linked.events["a"]
    assert isinstance(failed.error, TooLarge)
    assert "at most 4463" in str(failed.error)
    assert linked.written() == []


async def test_a_name_too_long_is_the_clients_fault(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    with pytest.raises(InvalidRequest, match="far too long"):
        await linked.link.ask("metadata", "c", "m" * 70_000, "")


# ---- cancelling ---------------------------------------------------------------------------


async def test_cancel_is_told_and_nothing_is_heard_after_it(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked().greet()
    call = linked.start("a")
    await linked.turn()
    linked.written()
    call.cancel()
    call.cancel()
    await linked.turn()
    assert linked.written() == [(frames.Cancel(1), b"")]
    linked.say(linked.answer(1))
    linked.link.connection_lost(None)
    assert linked.kinds("a") == ["Sent"]


async def test_cancel_in_the_turn_of_the_start(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    linked.start("a").cancel()
    await linked.turn()
    assert [type(frame) for frame, _ in linked.written()] == [frames.Request, frames.Cancel]
    assert linked.events["a"] == []


async def test_a_cancelled_stream_is_deaf(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    call = linked.start("a")
    await linked.turn()
    linked.say(frames.AnswerHead(1, 200, "x", None))
    call.pause()
    linked.say((frames.AnswerChunk(1), b"1"))
    call.cancel()
    call.resume()
    linked.say((frames.AnswerChunk(1), b"2"))
    await linked.turn()
    assert linked.kinds("a") == ["Sent", "Head"]


# ---- the end ------------------------------------------------------------------------------


async def test_a_lost_connection_fails_everything_open_once(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked(in_flight_max=2).greet()
    for name in "abc":
        linked.start(name)
    results: list[Any] = []
    linked.link.probe("c", "Shanghai", results.append)
    asking = asyncio.ensure_future(linked.link.ask("index", "c", "", ""))
    await linked.turn()
    linked.link.connection_lost(ConnectionResetError("reset by peer"))
    linked.link.connection_lost(None)
    await linked.turn()
    for name in "abc":
        (failed,) = [e for e in linked.events[name] if isinstance(e, Failed)]
        assert isinstance(failed.error, CenterDown)
        assert "reset by peer" in str(failed.error)
    assert results == [None]
    with pytest.raises(CenterDown, match="reset by peer"):
        await asking
    assert "reset by peer" in linked.link.lost.result()
    linked.start("late")
    await linked.turn()
    assert linked.kinds("late") == ["Failed"]


async def test_an_attempt_started_while_others_fail_fails_as_well(
    make_linked: Callable[..., Any],
) -> None:
    """As an exchange does it that tries again at once."""
    linked = make_linked().greet()
    heard: list[Any] = []

    def again(event: Any) -> None:
        heard.append(event)
        if isinstance(event, Failed):
            linked.start("again")

    linked.link.start("c", "Shanghai", Attempt("a", 0, "m", "", b"", None, 101.0), again)
    await linked.turn()
    linked.link.connection_lost(None)
    await linked.turn()
    assert linked.kinds("again") == ["Failed"]


async def test_goodbye_takes_nothing_new_and_ends_what_is_under_way(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked(in_flight_max=1).greet()
    linked.start("a")
    linked.start("waits")
    await linked.turn()
    linked.say(frames.Goodbye("stops", drains=True))
    linked.start("b")
    await linked.turn()
    for name in ("b", "waits"):
        (failed,) = linked.events[name]
        assert "said goodbye: stops" in str(failed.error)
    assert not linked.transport.closed
    linked.say(linked.answer(1))
    assert linked.kinds("a") == ["Sent", "Whole"]


async def test_that_it_takes_nothing_more_is_told_once_before_attempts_hear_of_it(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked().greet()
    linked.start("a")
    await linked.turn()
    linked.link.connection_lost(None)
    assert linked.gone == [{"a": 1}]  # Sent, and no Failed yet
    assert linked.kinds("a") == ["Sent", "Failed"]
    leaving = make_linked().greet()
    leaving.say(frames.Goodbye("stops", drains=True))
    assert len(leaving.gone) == 1
    leaving.link.connection_lost(None)
    assert len(leaving.gone) == 1


async def test_who_was_never_greeted_is_not_gone(make_linked: Callable[..., Any]) -> None:
    linked = make_linked()
    linked.link.connection_lost(None)
    assert linked.gone == []


async def test_goodbye_without_draining_is_the_end(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    linked.say(frames.Goodbye("garbage", drains=False))
    assert linked.transport.closed


async def test_garbage_is_answered_with_a_reason_and_the_end(
    make_linked: Callable[..., Any],
) -> None:
    linked = make_linked().greet()
    linked.start("a")
    await linked.turn()
    linked.written()
    linked.link.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    ((goodbye, _),) = linked.written()
    assert "a frame of" in goodbye.reason
    assert linked.transport.closed
    assert linked.kinds("a") == ["Sent", "Failed"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (frames.Request(1, "c", "m", "", "v", 1.0, None, "r"), "does not send Request frames"),
        (frames.AnswerChunk(77), "number 77, which was never asked"),
        (frames.Failure(77, "x", 500, "y"), "number 77, which was never asked"),
    ],
)
async def test_frames_out_of_place_end_the_connection(
    make_linked: Callable[..., Any], said: frames.Frame, words: str
) -> None:
    linked = make_linked().greet()
    linked.say(said)
    ((goodbye, _),) = linked.written()
    assert words in goodbye.reason
    assert linked.transport.closed


# ---- the rest -----------------------------------------------------------------------------


async def test_probes(make_linked: Callable[..., Any], report: Report) -> None:
    linked = make_linked().greet()
    results: list[Any] = []
    for _ in range(2):
        linked.link.probe("c", "Shanghai", results.append)
    await linked.turn()
    assert [type(frame) for frame, _ in linked.written()] == [frames.Probe] * 2
    fields = frames.report_fields(report)
    linked.say(frames.Probed(2, fields), frames.Probed(1, None), frames.Probed(1, fields))
    assert results == [report, None]


async def test_probes_that_nobody_answers_are_forgotten(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    results: list[int] = []
    for number in range(PROBES_MAX + 1):
        linked.link.probe("c", "Shanghai", lambda _, number=number: results.append(number))
    linked.link.connection_lost(None)
    assert results == list(range(1, PROBES_MAX + 1))


async def test_questions(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    good = asyncio.ensure_future(linked.link.ask("ready", "c", "m", ""))
    bad = asyncio.ensure_future(linked.link.ask("ready", "c", "n", ""))
    gone = asyncio.ensure_future(linked.link.ask("ready", "c", "o", ""))
    await linked.turn()
    assert [frame.model for frame, _ in linked.written()] == ["m", "n", "o"]
    gone.cancel()
    await linked.turn()
    linked.say((frames.Reply(1), b"\xc3"), frames.failure(2, NotFound("no n")))
    linked.say((frames.Reply(3), b"\xc3"))
    assert await good == b"\xc3"
    with pytest.raises(NotFound, match="no n"):
        await bad


async def test_residencies_are_passed_on(make_linked: Callable[..., Any]) -> None:
    linked = make_linked().greet()
    lines = [frames.ResidencyLine("c", "m", True, 0.5)]
    linked.say((frames.Residency(), frames.encode_residency(lines)))
    assert linked.told == [lines]
