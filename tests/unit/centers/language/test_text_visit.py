from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from gateway.api import Center, CenterBusy, CenterDown, CenterFailed, Location, NotFound
from gateway.centers.language.places import TextPlace
from gateway.centers.language.text_visit import TextVisit
from gateway.centers.language.ways import EmulatedWay, NoWay
from gateway.centers.load_meter import LoadMeter
from gateway.centers.port import Answered, Attempt, Chunk, Failed, Head, Sent, Whole
from gateway.centers.served_model import ServedModel
from gateway.engine import NotYetLoaded
from gateway.engine.generation import Batch, Piece, Sequence
from gateway.testing import VirtualTime
from gateway.wan import Faults
from gateway.wire.openai_errors import InvalidField

ANSWER = "A tuyere is a nozzle that blows hot air into the furnace."


class ByHand:
    """A place whose steps are taken when the test says so."""

    def __init__(self, model: Any, rows_max: int) -> None:
        self.batch = Batch(model.run, model.language, rows_max)
        self.pace = 1.0

    def add(self, sequence: Sequence) -> None:
        self.batch.add(sequence)

    def step(self) -> None:
        for piece in self.batch.step():
            if not piece.sequence.cancelled:
                piece.sequence.on_piece(piece)

    def all(self) -> None:
        while self.batch.busy:
            self.step()


class Home:
    """A center on a virtual clock with one model."""

    def __init__(self, model: Any, *, rows_max: int = 4, network_ms: float | None = None) -> None:
        self.row, self.queue_max, self.random = 0, 3, Random(1)
        self.center = Center("here", "h", "a", "H", "CN", Location(31, 118))
        self.faults, self.line = Faults(), VirtualTime()
        self.meter = LoadMeter(self.line.now())
        self.engine = self
        self.places = self
        self.network_ms = network_ms
        self.model, self.under_way = model, model.under_way
        self.hand = ByHand(model, rows_max)
        self.place = TextPlace(model, self.hand)  # type: ignore[arg-type]  # as much as is used
        self.served = ServedModel(model, tensor_elements_max=1000)
        self.cold: list[Callable[[Any], None]] | None = None
        self.events: list[Any] = []

    def of(self, _model: Any, _language: Any) -> TextPlace:
        return self.place

    def model_for(self, name: str, _version: str) -> ServedModel:
        if name != self.model.name:
            raise NotFound(name)
        if self.cold is not None:
            raise NotYetLoaded(name)
        return self.served

    def when_loaded(self, _model: str, then: Callable[[Any], None]) -> None:
        assert self.cold is not None
        self.cold.append(then)

    def start(self, *, model: str = "industry-chat", **more: Any) -> TextVisit:
        said = {"messages": [{"role": "user", "content": "What is a tuyere?"}], "temperature": 0}
        body = json.dumps({"model": model, **said, **more}).encode()
        attempt = Attempt("r", 0, model, "", body, None, 1e9, "chat/completions")
        way: Any = NoWay(lambda call: self.line.call_at(0.0, call))
        if self.network_ms is not None:
            way = EmulatedWay(self.line, self.network_ms)  # type: ignore[arg-type]
        visit = TextVisit(self, attempt, self.events.append, way)  # type: ignore[arg-type]
        self.line.run(self.line.now() + 0.02)
        return visit

    def kinds(self) -> list[type]:
        return [type(event) for event in self.events]

    def idle(self) -> bool:
        return (
            self.meter.in_flight == 0
            and self.meter.work_ms == 0.0
            and self.place.texts == 0
            and self.model.under_way == self.under_way
            and self.hand.batch.rows == 0
        )


@pytest.fixture
def home(chat_model: Any) -> Home:
    return Home(chat_model)


def content(events: list[Any]) -> str:
    raw = b"".join(event.payload for event in events if isinstance(event, Chunk))
    parts = [part.removeprefix(b"data: ") for part in raw.split(b"\n\n") if part]
    assert parts.pop() == b"[DONE]"
    return "".join(
        choice["delta"].get("content") or ""
        for part in parts
        for choice in json.loads(part)["choices"]
    )


def test_a_whole_answer_is_one_event(home: Home) -> None:
    home.start()
    assert home.kinds() == [Sent]
    assert home.meter.in_flight == 1
    home.hand.all()
    assert home.kinds() == [Sent, Whole]
    whole = home.events[1]
    assert json.loads(whole.payload)["choices"][0]["message"]["content"] == ANSWER
    assert (whole.status, whole.content_type, whole.drawn_ms) == (200, "application/json", None)
    assert home.idle()
    assert home.model.statistics()["inference_stats"]["success"]["count"] >= 1


def test_a_stream_is_a_chunk_a_token_and_begins_with_the_first(home: Home) -> None:
    home.start(stream=True)
    assert home.kinds() == [Sent]
    home.hand.step()
    assert home.kinds() == [Sent, Head, Chunk]
    home.hand.step()
    assert home.kinds() == [Sent, Head, Chunk, Chunk]
    home.hand.all()
    assert home.kinds()[-1] is Answered
    assert home.kinds().count(Answered) == home.kinds().count(Head) == 1
    assert content(home.events) == ANSWER
    assert home.events[1].content_type.startswith("text/event-stream")
    assert home.idle()


@pytest.mark.parametrize("paused", [False, True])
def test_chunks_go_to_the_sink_of_who_has_one_and_the_end_is_an_event(
    home: Home, paused: bool
) -> None:
    visit = home.start(stream=True)
    home.hand.step()
    took: list[bytes] = []

    def take(framed: bytes) -> bool:
        if len(took) < 3:  # then it is behind
            took.append(framed)
            return True
        return False

    home.events[1].relay.sink = take
    heard = len(home.events)
    home.hand.step()
    assert len(home.events) == heard
    if paused:
        visit.pause()
    home.hand.all()
    if paused:
        visit.resume()
    assert len(took) == (1 if paused else 3)
    parts = [framed.partition(b"\r\n") for framed in took]
    assert all(rest == rest[: int(size, 16)] + b"\r\n" for size, _, rest in parts)
    sunk = [Chunk(rest[:-2]) for _, _, rest in parts]
    assert content([*home.events[:heard], *sunk, *home.events[heard:]]) == ANSWER
    assert home.kinds()[-1] is Answered
    assert home.idle()


def test_over_a_network_there_is_no_short_way(chat_model: Any) -> None:
    home = Home(chat_model, network_ms=8.0)
    home.start(stream=True)
    home.hand.all()
    home.line.run(home.line.now() + 0.0041)
    assert home.events[1].relay is None


def test_over_a_network_every_part_comes_later_and_in_order(chat_model: Any) -> None:
    home = Home(chat_model, network_ms=8.0)
    home.start(stream=True)
    home.hand.all()
    assert home.kinds() == [Sent]
    home.line.run(home.line.now() + 0.0041)
    assert content(home.events) == ANSWER
    assert home.events[-1].drawn_ms == 8.0


def test_waiting_for_a_row_is_queue_and_not_service(chat_model: Any) -> None:
    home = Home(chat_model, rows_max=1)
    home.start()
    home.start()
    home.line.run(home.line.now() + 0.5)
    home.hand.all()
    first, second = [event.report for event in home.events if isinstance(event, Whole)]
    assert first.queue_ms + first.service_ms >= 500.0
    assert second.queue_ms >= 490.0


def test_a_client_that_leaves_frees_the_row_at_the_next_step(home: Home) -> None:
    visit = home.start(stream=True)
    home.hand.step()
    heard = len(home.events)
    visit.cancel()
    visit.cancel()
    home.hand.step()
    assert home.idle()
    assert len(home.events) == heard


def test_paused_it_keeps_what_comes(home: Home) -> None:
    visit = home.start(stream=True)
    home.hand.step()
    visit.pause()
    heard = len(home.events)
    home.hand.all()
    assert len(home.events) == heard
    visit.resume()
    assert content(home.events) == ANSWER
    assert home.kinds()[-1] is Answered


def test_paused_again_while_it_hands_on(home: Home) -> None:
    visit = home.start(stream=True)
    visit.pause()
    home.hand.all()
    take = home.events.append

    def hear(event: Any) -> None:
        take(event)
        if isinstance(event, Chunk) and home.kinds().count(Chunk) == 1:
            visit.pause()

    visit._on_event = hear
    visit.resume()
    assert home.kinds() == [Sent, Head, Chunk]
    visit.resume()
    assert content(home.events) == ANSWER


@pytest.mark.parametrize(
    ("more", "kind"),
    [({"tools": [1]}, InvalidField), ({"model": "other"}, NotFound)],
)
def test_a_wrong_request_fails_before_it_counts(home: Home, more: Any, kind: type) -> None:
    home.start(**more)
    assert home.kinds() == [Sent, Failed]
    assert isinstance(home.events[1].error, kind)
    assert home.idle()


def test_a_model_that_fails_is_the_center_s_fault(home: Home) -> None:
    home.start(stream=True)
    home.hand.step()
    for sequence in home.hand.batch.abandon():
        sequence.on_piece(Piece(sequence, "", 0, error=CenterFailed("no")))
    assert home.kinds()[-1] is Failed
    assert home.idle()


def test_too_many_texts(home: Home) -> None:
    for _ in range(3):
        home.start()
    home.start()
    assert isinstance(home.events[-1].error, CenterBusy)


def test_faults_of_the_center(home: Home) -> None:
    home.faults.set(0, "down", 1.0, None)
    home.start()
    assert isinstance(home.events[-1].error, CenterDown)
    assert home.events[-1].report is None
    home.faults.clear(None)
    home.faults.set(0, "black_hole", 1.0, None)
    heard = len(home.events)
    home.start()
    assert home.kinds()[heard:] == [Sent]
    home.faults.clear(None)
    home.faults.set(0, "slow", 3.0, None)
    home.start()
    assert home.hand.pace == 3.0


def test_it_waits_for_its_model(home: Home) -> None:
    home.cold = []
    home.start()
    home.start()
    assert home.kinds() == [Sent, Sent]
    first, second = home.cold
    home.cold = None
    first(None)
    second(NotFound("gone"))
    home.hand.all()
    assert home.kinds() == [Sent, Sent, Failed, Whole]
    assert home.idle()
