"""One attempt at a center of this process that is answered with text. Implements ``Call``.

Theory of operation. A visit walks one way:

    start -> [way out] -> arrive -> (load) -> join the batch -> pieces, each [way back] -> end

* The texts it asks for are sequences of the center's batch; each brings a piece a token.
* A stream is ``Head`` and ``Chunk`` with its first token, so an error before it is an answer of its
  own; the last chunk is followed by ``Answered``. Any other answer is one ``Whole``.
* ``cancel`` marks the sequences; they leave the batch before its next run.
* Where there is no way back, whoever answers may take chunks by the relay's sink; the last one,
  with the marks of the end, comes as an event.
* While paused, bytes are kept. There are never more than the context's tokens make.
* The report's queue is the time until the first token but for the reading of the prompt: waiting
  for a row, and for the runs of others in between. All else is its service.

Texts do not occupy the center's slots, which are for single runs: a batch has its own rows. What a
text adds to the center's work is the reading of its prompt, and its latency is that until the first
token: so long a newcomer waits for it, while they write side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from gateway.api import Center, CenterDown, NearwayError, Report, RequestError
from gateway.centers.language.answer import GrowingAnswer
from gateway.centers.language.asked import (
    CHAT,
    COMPLETIONS,
    causal_language,
    read_text,
    wishes_of,
)
from gateway.centers.language.places import Places, TextPlace, check_room
from gateway.centers.language.ways import Way
from gateway.centers.load_meter import LoadMeter
from gateway.centers.local_visit import not_loaded
from gateway.centers.port import Answered, Attempt, Chunk, Failed, Head, OnEvent, Relay, Sent, Whole
from gateway.centers.served_model import ServedModel
from gateway.centers.visit import injected
from gateway.engine import NotYetLoaded
from gateway.engine.generation import Piece, Sequence
from gateway.wan import DelayLine, Faults
from gateway.wire.openai_answers import EVENTS, AnswerWriter
from gateway.wire.openai_fields import TextRequest

TEXT_ROUTES = frozenset((CHAT, COMPLETIONS))
JSON = "application/json"


class Engine(Protocol):
    """What a visit asks of the shared engine."""

    def when_loaded(self, model: str, then: Callable[[NearwayError | None], None]) -> None:
        """Call ``then`` once the model is loaded, or with the reason why it is not."""


class TextHome(Protocol):
    """The center, as a visit sees it."""

    row: int
    center: Center
    faults: Faults
    line: DelayLine
    meter: LoadMeter
    random: Random
    queue_max: int

    @property
    def places(self) -> Places:
        """Where the center continues texts."""

    @property
    def engine(self) -> Any:
        """The ``Engine`` of the process."""

    def model_for(self, name: str, version: str) -> ServedModel:
        """Raises NotFound, NotYetLoaded."""


class TextVisit:
    """From the gateway's door to the center and back, many times."""

    def __init__(self, home: TextHome, attempt: Attempt, on_event: OnEvent, way: Way) -> None:
        self._home = home
        self._attempt = attempt
        self._on_event = on_event
        self._way = way
        self._open = True
        self._sequences: list[Sequence] = []
        self._place: TextPlace | None = None
        self._answer: GrowingAnswer | None = None
        self._work_ms = 0.0
        self._found = 0
        self._arrived_s = self._entered_s = self._first_s = self._queue_s = 0.0
        self._began = False
        self._streams = False
        self._paused = False
        self._kept: list[Callable[[], None]] = []
        self._relay = Relay() if way.at_once else None
        way.out(self._arrive)

    # ---- in -------------------------------------------------------------------------------

    def _arrive(self) -> None:
        if not self._open:
            return
        home = self._home
        self._arrived_s = home.line.now()
        self._on_event(Sent())
        if not self._open:
            return
        effect = home.faults.effect(home.row, self._attempt.vantage)
        if effect is not None:
            if effect.black_hole:
                return
            error = injected(effect, home.center.id, home.random)
            if error is not None:
                self._fail(error)
                return
        self._enter()

    def _enter(self) -> None:
        attempt = self._attempt
        try:
            served = self._home.model_for(attempt.model, attempt.version)
            self._begin(served)
        except NotYetLoaded:
            self._home.engine.when_loaded(attempt.model, self._loaded)
        except NearwayError as error:
            self._fail(error)

    def _loaded(self, error: NearwayError | None) -> None:
        if not self._open:
            return
        if error is not None:
            self._fail(not_loaded(error))
        else:
            self._enter()

    def _begin(self, served: ServedModel) -> None:
        """Read the request and hand its texts to the batch."""
        home, attempt, model = self._home, self._attempt, served.model
        language = causal_language(model, attempt.route)
        asked = read_text(attempt.body, attempt.route)
        wishes = wishes_of(asked, language, model.config.context_tokens)
        place = home.places.of(model, language)
        check_room(place, home.center.id, home.queue_max)
        prompts = wishes[:: asked.choices]
        self._answer = GrowingAnswer(
            self._writer(asked), asked, len(wishes), sum(len(wish.prompt) for wish in prompts)
        )
        self._streams = asked.stream
        self._sequences = [
            Sequence(wish, language.tokenizer, self._take, index)
            for index, wish in enumerate(wishes)
        ]
        self._count_in(place)
        for sequence in self._sequences:
            place.place.add(sequence)

    def _writer(self, asked: TextRequest) -> AnswerWriter:
        attempt = self._attempt
        return AnswerWriter(
            attempt.request_id,
            int(time.time()),
            attempt.model,
            chat=attempt.route == CHAT,
            streams_usage=asked.include_usage,
        )

    def _count_in(self, place: TextPlace) -> None:
        home, model = self._home, place.model
        factor = home.center.speed_factor
        effect = home.faults.effect(home.row, self._attempt.vantage)
        if effect is not None:
            factor *= effect.slow
        place.place.pace = factor
        place.texts += len(self._sequences)
        self._place = place
        self._entered_s = home.line.now()
        self._work_ms = max(1e-6, model.run_ms * home.center.speed_factor)
        self._found = home.meter.entered(self._work_ms)
        model.used_s = self._entered_s
        model.under_way += 1

    # ---- pieces ---------------------------------------------------------------------------

    def _take(self, piece: Piece) -> None:
        """The batch wrote a token, or came to an end."""
        answer = self._answer
        if not self._open or answer is None:
            return
        if not self._first_s:
            self._first_s = self._home.line.now()
            waited_s = self._first_s - self._entered_s - piece.sequence.reading_s
            self._queue_s = max(0.0, waited_s)
        if piece.error is not None:
            self._broken(piece.error)
            return
        payload = answer.take(piece)
        over = not answer.open
        report = self._over() if over else None
        if not self._streams:
            if report is not None:
                whole = Whole(200, JSON, None, payload, report, self._way.drawn_ms)
                self._back(lambda: self._on_event(whole))
            return
        if payload and (over or not self._relayed(payload)):
            self._back(self._chunk(payload))
        if report is not None:
            end = Answered(report, self._way.drawn_ms)
            self._back(lambda: self._on_event(end))

    def _relayed(self, payload: bytes) -> bool:
        """The short way, past ten calls a token: one thread runs at a time, and the model waits."""
        relay = self._relay
        if relay is None or relay.sink is None or self._paused:
            return False
        return relay.sink(b"%x\r\n%b\r\n" % (len(payload), payload))

    def _chunk(self, payload: bytes) -> Callable[[], None]:
        def deliver() -> None:
            if not self._began:
                self._began = True
                self._on_event(Head(200, EVENTS, None, self._relay))
                if not self._open:
                    return
            self._on_event(Chunk(payload))

        return deliver

    def _broken(self, error: Exception) -> None:
        place = self._place
        assert place is not None
        place.model.record_failure(total_s=self._home.line.now() - self._arrived_s)
        told = error if isinstance(error, NearwayError) else CenterDown(str(error))
        self._leave()
        self._fail(told)

    def _over(self) -> Report:
        """All texts are complete."""
        home, place = self._home, self._place
        assert place is not None
        assert self._answer is not None
        now = home.line.now()
        queue_s = self._queue_s
        self._leave()
        home.meter.answered(now, self._found, (self._first_s - self._arrived_s) * 1e3)
        place.model.record(
            queue_s=queue_s,
            input_s=self._entered_s - self._arrived_s,
            infer_s=now - self._entered_s - queue_s,
            output_s=0.0,
            batch=len(self._sequences),
        )
        return self._report(now)

    def _report(self, now: float) -> Report:
        home = self._home
        queue_ms = self._queue_s * 1e3
        service_ms = max(0.0, (now - self._arrived_s) * 1e3 - queue_ms)
        return home.meter.report(now, home.center.slots, queue_ms, service_ms)

    # ---- out ------------------------------------------------------------------------------

    def _back(self, tell: Callable[[], None]) -> None:
        def deliver() -> None:
            if not self._open:
                return
            if self._paused:
                self._kept.append(tell)
            else:
                tell()

        self._way.back(deliver)

    def _fail(self, error: NearwayError) -> None:
        """Back the same way; a center that is down reports nothing."""
        home = self._home
        now = home.line.now()
        if not isinstance(error, RequestError | CenterDown):
            home.meter.erred(now)
        report = None if isinstance(error, CenterDown) else self._report(now)
        failed = Failed(error, report, self._way.drawn_ms)
        self._back(lambda: self._on_event(failed))

    def _leave(self) -> None:
        """No longer this center's work; sequences not over leave the batch."""
        for sequence in self._sequences:
            sequence.cancelled = True
        if self._work_ms:
            self._home.meter.left(self._work_ms)
            self._work_ms = 0.0
            assert self._place is not None
            self._place.texts -= len(self._sequences)
            self._place.model.under_way -= 1

    # ---- the port's side ------------------------------------------------------------------

    def cancel(self) -> None:
        """No event follows; the model writes no more than the token it is at."""
        self._open = False
        self._kept.clear()
        self._leave()

    def pause(self) -> None:
        """Keep what comes."""
        self._paused = True

    def resume(self) -> None:
        """Hand on what was kept, in its order."""
        self._paused = False
        kept, self._kept = self._kept, []
        for at, tell in enumerate(kept):
            if self._paused:
                self._kept = kept[at:]
                return
            if self._open:
                tell()
