"""One attempt at a local center, and one run of several of them. See ``local`` for the idea.

A visit is ``open`` until its event has been sent or it is cancelled. Its ``work_ms`` is above
0 while it counts as this center's work. A run occupies its slot until ``_end``,
which is called exactly once: by the model's answer, by the timer of a hold, or, when all its
members are cancelled before that, by the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gateway.api import (
    CenterFailed,
    DeadlineExceeded,
    InferRequest,
    NdArray,
    NearwayError,
    NotHere,
    Report,
)
from gateway.centers.port import Attempt, OnEvent, Whole
from gateway.centers.served_model import Answer, ServedModel
from gateway.engine import ResponseCache, join, key_of, part
from gateway.wire import AnswerForm, KnownHead

ALONE = b""
"""The key of a request that is run for itself, whatever others ask."""

if TYPE_CHECKING:
    from gateway.centers.local import LocalCenter


class Timer(Protocol):
    """What ``call_at`` returns."""

    def cancel(self) -> object:
        """The callback is not called any more."""


class LocalVisit:
    """One attempt. Implements ``Call``."""

    __slots__ = (
        "arrived_s",
        "attempt",
        "center",
        "form",
        "found",
        "kept",
        "key",
        "known",
        "load_s",
        "on_event",
        "open",
        "ready_s",
        "request",
        "rows",
        "run",
        "served",
        "waits",
        "work_ms",
    )

    served: ServedModel
    kept: Sequence[NdArray]
    known: KnownHead | None
    request: InferRequest
    form: AnswerForm
    rows: int
    arrived_s: float
    ready_s: float
    found: int

    def __init__(self, center: LocalCenter, attempt: Attempt, on_event: OnEvent) -> None:
        self.center = center
        self.attempt = attempt
        self.on_event = on_event
        self.open = True
        self.waits = False
        self.load_s = 0.0
        self.work_ms = 0.0
        self.run: Run | None = None
        self.key: bytes | None = None

    def inputs(self) -> Mapping[str, NdArray]:
        """What the model is given."""
        if self.known is None:
            return self.request.inputs
        return self.known.inputs(self.attempt.body)

    def leave(self) -> None:
        """No longer this center's work."""
        if self.work_ms:
            self.center.meter_of(self.served).left(self.work_ms)
            self.work_ms = 0.0
            self.served.model.under_way -= 1

    def loaded(self, error: NearwayError | None) -> None:
        """The model it waited for is there, or (``error``) cannot be loaded."""
        if not self.open:
            return
        now = self.center.now()
        if error is not None:
            self.center.fail(self, not_loaded(error), now)
            self.center.send()
            return
        self.load_s = now - self.arrived_s
        self.center.arrive(self)

    # ---- where answers are kept -----------------------------------------------------------

    def finds(self, cache: ResponseCache) -> bool:
        """True: its answer is kept, or comes with that of another that asks the same."""
        if self.key == ALONE:
            return False
        began_s = self.center.now()
        key = key_of(self.center.center.id, self.form.names, self.inputs())
        arrays = cache.get(key)
        took_s = self.center.now() - began_s
        self.served.model.record_lookup(hit=arrays is not None, took_s=took_s)
        if arrays is not None:
            self.shared(arrays)
            return True
        if cache.joins(key, self):
            return True
        self.key = key
        return False

    def shared(self, arrays: Sequence[NdArray] | None) -> None:
        """The outputs it wants; None: nobody has them, so it is run for itself."""
        if not self.open:
            return
        center = self.center
        if arrays is None:
            self.key, self.load_s = ALONE, center.now() - self.arrived_s
            center.arrive(self)
            return
        try:
            payload, head_bytes = self.served.writer.encode(self.request, self.form, arrays)
        except NearwayError as unsayable:
            center.fail(self, unsayable, center.now())
            return
        kind = "application/json" if head_bytes is None else "application/octet-stream"
        report = center.report_kept(self, center.now())
        center.out.append((self, Whole(200, kind, head_bytes, payload, report, None)))

    def let_go(self, arrays: Sequence[NdArray] | None = None) -> None:
        """Whoever waits for what it asked is told."""
        key, cache = self.key, self.served.cache
        if key and cache is not None:
            self.key = ALONE
            cache.over(key, arrays)

    def cancel(self) -> None:
        """No event follows. A run that has begun keeps its slot until it is over."""
        if not self.open:
            return
        self.open = False
        if self.key:
            self.let_go()
        self.leave()
        if self.waits:
            self.center.forget(self)
        elif self.run is not None:
            self.run.deserted()

    def pause(self) -> None:
        """The answer comes in one piece: there is nothing to hold back."""

    def resume(self) -> None:
        """See ``pause``."""


class Run:
    """One execution of the requests of ``members``, all of one version and form."""

    __slots__ = ("_answers", "_begun_s", "_center", "_hold", "_members", "stop")

    def __init__(self, center: LocalCenter, members: list[LocalVisit], begun_s: float) -> None:
        self._center = center
        self._members = members
        self._begun_s = begun_s
        self._answers: list[tuple[LocalVisit, Answer]] = []
        self._hold: Timer | None = None
        self.stop: Callable[[], bool] | None = None

    def deserted(self) -> None:
        """A member was cancelled: was it the last that waited for the answer?

        Who cancels must not hear what the free slot brings: it is free in the next turn.
        """
        if any(visit.open for visit in self._members):
            return
        if self._hold is not None:
            self._hold.cancel()
            self._center.call_soon(self._end)
        elif self.stop is not None and self.stop():
            self._center.call_soon(self._end)

    def ran(self, arrays: list[NdArray] | None, error: Exception | None, run_ms: float) -> None:
        """The model has run: write the answers, and hold the slot as long as it would take."""
        members, center = self._members, self._center
        first = members[0]
        rows = first.rows
        each: tuple[int, ...] = ()
        if len(members) > 1:
            each = tuple([visit.rows for visit in members])
            rows = sum(each)
            if arrays is None or any(len(array) != rows for array in arrays):
                center.run_alone([visit for visit in members if visit.open])
                self._end()
                return
        write_from_s = center.now()
        if not (each and self._write_parts(arrays or (), each)):
            self._write(arrays, each, error, write_from_s)
        answers = self._answers
        if not answers:
            self._end()
            return
        now = center.now()
        input_s = queue_s = 0.0
        for visit, _ in answers:
            input_s += visit.ready_s - visit.arrived_s - visit.load_s
            queue_s += self._begun_s - visit.ready_s + visit.load_s
        first.served.model.record(
            queue_s=queue_s,
            input_s=input_s,
            infer_s=run_ms / 1e3,
            output_s=now - write_from_s,
            batch=rows,
            requests=len(answers),
        )
        until_s = center.held_until_s(first, self._begun_s, run_ms)
        if until_s > now:
            self._hold = center.line.call_at(until_s, self._answer)
        else:
            self._answer()

    def _write_parts(self, arrays: Sequence[NdArray], rows: Sequence[int]) -> bool:
        """The outputs as bytes once, an answer a slice of them; False where that cannot be."""
        members = self._members
        first = members[0]
        if first.served.cache is not None or any(visit.request.id for visit in members):
            return False
        answers = first.served.encode_parts(first.form, arrays, rows)
        if answers is None:
            return False
        self._answers = [
            (visit, answer) for visit, answer in zip(members, answers, strict=True) if visit.open
        ]
        return True

    def _write(
        self,
        whole: list[NdArray] | None,
        rows: Sequence[int],
        error: Exception | None,
        now: float,
    ) -> None:
        parts: Sequence[list[NdArray] | None] = (whole,)
        if rows and whole is not None:
            parts = part(whole, rows)
        first = self._members[0]
        served, form = first.served, first.form
        encode = served.writer.encode
        for visit, arrays in zip(self._members, parts, strict=True):
            if not visit.open:
                continue
            if arrays is not None:
                try:
                    self._answers.append((visit, encode(visit.request, form, arrays)))
                    visit.kept = arrays
                    continue
                except NearwayError as unsayable:
                    error = unsayable
            served.model.record_failure(total_s=now - visit.arrived_s)
            told = error if isinstance(error, NearwayError) else CenterFailed(str(error))
            self._center.fail(visit, told, now, self._begun_s)

    def _answer(self) -> None:
        """All leave at once; those that came at once share a report."""
        center = self._center
        now = center.now()
        leaving = self._answers
        if self._hold is not None:
            leaving = [answer for answer in leaving if answer[0].open]
        work_ms = 0.0
        for visit, _ in leaving:
            work_ms += visit.work_ms
            visit.work_ms = 0.0
        first = leaving[0][0]
        meter, count = center.meter_of(first.served), len(leaving)
        meter.left(work_ms, count)
        first.served.model.under_way -= count
        meter.answered(now, first.found, (now - first.arrived_s - first.load_s) * 1e3, count)
        report: Report | None = None
        came_s, send = 0.0, center.out.append
        for visit, (payload, head_bytes) in leaving:
            if report is None or visit.arrived_s != came_s:
                came_s = visit.arrived_s
                report = center.report(visit, self._begun_s, now)
            kind = "application/json" if head_bytes is None else "application/octet-stream"
            send((visit, Whole(200, kind, head_bytes, payload, report, None)))
        if first.served.cache is not None:
            for visit, _ in leaving:
                visit.let_go(visit.kept)
        self._end()

    def _end(self) -> None:
        """The slot is free."""
        for visit in self._members:
            visit.run = None
        self._center.free_slot(self._center.now())


def not_loaded(error: NearwayError) -> NotHere:
    """What becomes of a request whose model cannot be loaded: another center may have it."""
    return NotHere(f"the model could not be loaded: {error}")


def expired(visit: LocalVisit) -> DeadlineExceeded:
    """What becomes of a request that waited too long."""
    return DeadlineExceeded(f"expired in the queue of center {visit.center.center.id}")


def inputs_of(members: Sequence[LocalVisit]) -> Mapping[str, NdArray]:
    """What one run of them is given: below one another, straight from the bodies where their heads
    are the same bytes.
    """
    first = members[0]
    if len(members) == 1:
        return first.inputs()
    known = first.known
    if known is not None and all(visit.known is known for visit in members):
        return known.joined([visit.attempt.body for visit in members])
    return join([visit.inputs() for visit in members])
