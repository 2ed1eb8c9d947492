"""One attempt at one emulated center, from the gateway's door and back.

Theory of operation. A visit walks one straight way:

    start -> [way out] -> arrive -> (load) -> (wait for a slot) -> run -> (hold)
          -> [way back] -> answer

Where the model keeps answers, one that is kept, or that another's run brings, takes no slot.

Every step is a callback of the delay line or of the runner; nothing is awaited. The round
trip is drawn once, half of it is spent each way; what the way out overshoots is taken off
the way back, so the whole trip is exact to one timer. The model runs for real; a center
slower than nominal keeps the slot until run time x speed factor (x a fault's factor) is
over. A visit knows its ``step``, so ``cancel`` works at every one and a slot is freed
exactly once.

Faults are looked up when the attempt starts (the path) and when it arrives (the center).
A black hole keeps the attempt for ever: it is the gateway that must lose patience.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from random import Random
from typing import TYPE_CHECKING, Any

from gateway.api import (
    CenterBusy,
    CenterDown,
    CenterError,
    CenterFailed,
    DeadlineExceeded,
    InferRequest,
    NearwayError,
    Report,
    RequestError,
)
from gateway.centers.local_visit import ALONE, not_loaded
from gateway.centers.port import Attempt, Failed, OnEvent, Sent, Whole
from gateway.centers.served_model import rows_of
from gateway.engine import NotYetLoaded, ResponseCache, key_of
from gateway.wan.faults import Effect

if TYPE_CHECKING:
    from gateway.centers.emulated import EmulatedCenter

SENT = Sent()


class Step(Enum):
    """Where a visit is: only RUN and HOLD occupy a slot."""

    OUT = auto()
    LOAD = auto()
    WAIT = auto()
    SHARE = auto()
    RUN = auto()
    HOLD = auto()
    BACK = auto()
    LOST = auto()
    ENDED = auto()


class Visit:
    """One attempt at one emulated center."""

    __slots__ = (
        "arrived_s",
        "attempt",
        "center",
        "drawn_ms",
        "due_s",
        "form",
        "found",
        "handle",
        "key",
        "load_s",
        "on_event",
        "overshoot_s",
        "ready_s",
        "request",
        "run_s",
        "served",
        "step",
        "stop_run",
        "work_ms",
    )

    def __init__(self, center: EmulatedCenter, attempt: Attempt, on_event: OnEvent) -> None:
        self.center = center
        self.attempt = attempt
        self.on_event = on_event
        self.step = Step.OUT
        self.stop_run: Callable[[], bool] = lambda: False
        self.work_ms = 0.0
        self.found = 0
        self.key: bytes | None = None
        self.load_s = 0.0
        self.overshoot_s = 0.0
        self.arrived_s = self.ready_s = self.run_s = 0.0
        self.drawn_ms = center.network.draw_ms(attempt.vantage, center.row)
        self.due_s = center.line.now() + self.drawn_ms * 5e-4
        self.handle = center.line.call_at(self.due_s, self.arrive)

    # ---- the way --------------------------------------------------------------------------

    def arrive(self) -> None:
        """At the center's door: faults, then the request is read and waits for a slot."""
        center = self.center
        self.arrived_s = center.line.now()
        self.overshoot_s = self.arrived_s - self.due_s
        self.on_event(SENT)
        if self.step is Step.OUT and not self._met_fault():
            self._enter()

    def _enter(self) -> None:
        """Read the request; it waits for its model, then for a slot."""
        center = self.center
        try:
            self._read()
        except NotYetLoaded:
            self.step = Step.LOAD
            center.engine.when_loaded(self.attempt.model, self._loaded)
            return
        except NearwayError as error:
            self._fail(error)
            return
        cache = self.served.cache
        if cache is not None and self._finds(cache):
            return
        self.ready_s = center.line.now()
        free_slots, line = center.free_slots, center.waiting
        if self.served.class_c:
            free_slots, line = free_slots - center.kept_slots, center.waiting_c
        if free_slots <= 0 and len(line) >= center.queue_max:
            self._fail(CenterBusy(f"center {center.center.id}: queue of {center.queue_max} full"))
            return
        model = self.served.model
        model.used_s = self.ready_s
        model.under_way += 1
        self.work_ms = max(1e-6, model.run_ms * center.center.speed_factor)
        self.found = center.meter_of(self.served).entered(self.work_ms)
        if free_slots > 0:
            self.run()
        else:
            self.step = Step.WAIT
            line.append(self)

    def _finds(self, cache: ResponseCache) -> bool:
        """True: its answer is kept, or comes with that of another that asks the same."""
        if self.key == ALONE:
            return False
        model, now = self.served.model, self.center.line.now
        began_s = now()
        key = key_of(self.center.center.id, self.form.names, self.request.inputs)
        self.step = Step.SHARE
        arrays = cache.get(key)
        model.record_lookup(hit=arrays is not None, took_s=now() - began_s)
        if arrays is not None:
            model.used_s = now()
            self.shared(arrays)
            return True
        if cache.joins(key, self):
            return True
        self.step = Step.OUT
        self.key = key
        return False

    def shared(self, arrays: Sequence[Any] | None) -> None:
        """The outputs it wants; None: nobody has them, so it is run for itself."""
        if self.step is not Step.SHARE:
            return
        if arrays is None:
            self.step, self.key = Step.OUT, ALONE
            self.load_s = self.center.line.now() - self.arrived_s
            self._enter()
            return
        try:
            answer = self.served.writer.encode(self.request, self.form, arrays)
        except NearwayError as unsayable:
            self._fail(unsayable)
            return
        center = self.center
        now = center.line.now()
        waited_ms = (now - self.arrived_s) * 1e3
        report = center.meter_of(self.served).report(now, center.center.slots, waited_ms, 0.0)
        self._back(lambda: self._deliver(answer, report))

    def _let_go(self, arrays: Sequence[Any] | None = None) -> None:
        """Whoever waits for what it asked is told."""
        key, cache = self.key, self.served.cache
        if key and cache is not None:
            self.key = ALONE
            cache.over(key, arrays)

    def _loaded(self, error: NearwayError | None) -> None:
        """The model it waited for is there, or cannot be loaded."""
        if self.step is not Step.LOAD:
            return
        self.load_s = self.center.line.now() - self.arrived_s
        if error is not None:
            self._fail(not_loaded(error))
            return
        self._enter()

    def _met_fault(self) -> bool:
        effect = self.center.faults.effect(self.center.row, self.attempt.vantage)
        if effect is None:
            return False
        if effect.black_hole:
            self.step = Step.LOST
            return True
        error = injected(effect, self.center.center.id, self.center.random)
        if error is not None:
            self._fail(error)
        return error is not None

    def _read(self) -> None:
        attempt = self.attempt
        served = self.center.model_for(attempt.model, attempt.version)
        if attempt.route:
            served = served.embedder()
        self.served = served
        self.request: InferRequest = served.reader.decode(attempt.body, attempt.head_bytes)
        self.form = served.writer.form(self.request)

    def run(self) -> None:
        """A slot is ours, unless the time is over."""
        center = self.center
        self.run_s = center.line.now()
        if self.run_s > self.attempt.deadline_s:
            self._leave()
            self._fail(DeadlineExceeded(f"expired in the queue of center {center.center.id}"))
            return
        self.step = Step.RUN
        center.free_slots -= 1
        center.meter.slot_taken(self.run_s)
        self.stop_run = center.engine.runner.submit(
            self.served.model, self.request.inputs, self.form.names, self._ran
        )

    def _ran(self, arrays: list[Any] | None, error: Exception | None, run_ms: float) -> None:
        """The model has run: encode, and hold the slot as long as this center would take."""
        if self.step is not Step.RUN:
            self._free_slot()
            return
        if arrays is None:
            self._ran_badly(error)
            return
        try:
            answer = self._encode(arrays, run_ms)
        except NearwayError as wrong:
            self._ran_badly(wrong)
            return
        until_s = self.run_s + self._hold_ms(run_ms) / 1e3
        if until_s > self.center.line.now():
            self.step = Step.HOLD
            self.handle = self.center.line.call_at(until_s, lambda: self._finish(answer, arrays))
        else:
            self._finish(answer, arrays)

    def _encode(self, arrays: list[Any], run_ms: float) -> tuple[bytes, int | None]:
        served, line = self.served, self.center.line
        encode_from_s = line.now()
        answer = served.writer.encode(self.request, self.form, arrays)
        served.model.record(
            queue_s=self.run_s - self.ready_s + self.load_s,
            input_s=self.ready_s - self.arrived_s - self.load_s,
            infer_s=run_ms / 1e3,
            output_s=line.now() - encode_from_s,
            batch=rows_of(self.request.inputs),
        )
        return answer

    def _hold_ms(self, run_ms: float) -> float:
        """How long this center occupies the slot: its speed, a fault, a declared distribution."""
        factor = self.center.center.speed_factor
        effect = self.center.faults.effect(self.center.row, self.attempt.vantage)
        if effect is not None:
            factor *= effect.slow
        return self.served.hold_ms(run_ms, factor, self.center.random)

    def _ran_badly(self, error: Exception | None) -> None:
        self._leave()
        self.served.model.record_failure(total_s=self.center.line.now() - self.arrived_s)
        self._fail(error if isinstance(error, NearwayError) else CenterFailed(str(error)))
        self._free_slot()

    def _finish(self, answer: tuple[bytes, int | None], arrays: list[Any]) -> None:
        self._leave()
        now = self.center.line.now()
        own_s = now - self.arrived_s - self.load_s
        self.center.meter_of(self.served).answered(now, self.found, own_s * 1e3)
        report = self._report(now)
        self._back(lambda: self._deliver(answer, report))
        if self.key:
            self._let_go(arrays)
        self._free_slot()

    def _deliver(self, answer: tuple[bytes, int | None], report: Report) -> None:
        payload, head_bytes = answer
        self._home()
        kind = "application/json" if head_bytes is None else "application/octet-stream"
        self.on_event(Whole(200, kind, head_bytes, payload, report, self.drawn_ms))

    # ---- its pieces -----------------------------------------------------------------------

    def _report(self, now: float) -> Report:
        center = self.center
        queue_s = self.load_s + (max(0.0, self.run_s - self.ready_s) if self.run_s else 0.0)
        service_ms = (now - self.arrived_s - queue_s) * 1e3
        return center.meter.report(now, center.center.slots, queue_s * 1e3, service_ms)

    def _leave(self) -> None:
        """No longer this center's work; exactly once."""
        if self.work_ms:
            self.center.meter_of(self.served).left(self.work_ms)
            self.work_ms = 0.0
            self.served.model.under_way -= 1

    def _free_slot(self) -> None:
        center = self.center
        center.free_slots += 1
        center.meter.slot_freed(center.line.now())
        center.next_from_queue()

    def _fail(self, error: NearwayError) -> None:
        """Send an error back the same way; a center that is down reports nothing."""
        if self.key:
            self._let_go()
        center = self.center
        now = center.line.now()
        if not isinstance(error, RequestError | CenterDown):
            center.meter.erred(now)
        report = None if isinstance(error, CenterDown) else self._report(now)

        def deliver() -> None:
            self._home()
            self.on_event(Failed(error, report, self.drawn_ms))

        self._back(deliver)

    def _back(self, deliver: Callable[[], None]) -> None:
        self.step = Step.BACK
        line = self.center.line
        self.due_s = line.now() + max(0.0, self.drawn_ms * 5e-4 - self.overshoot_s)
        self.handle = line.call_at(self.due_s, deliver)

    def _home(self) -> None:
        self.step = Step.ENDED
        self.center.overshoot.add((self.center.line.now() - self.due_s) * 1e3)

    def cancel(self) -> None:
        """No event follows. A run that has begun keeps its slot until it is over."""
        step, self.step = self.step, Step.ENDED
        if step in (Step.OUT, Step.HOLD, Step.BACK):
            self.handle.cancel()
        if step is Step.WAIT:
            (self.center.waiting_c if self.served.class_c else self.center.waiting).remove(self)
        self._leave()
        if self.key:
            self._let_go()
        if step is Step.HOLD or (step is Step.RUN and self.stop_run()):
            self._free_slot()

    def pause(self) -> None:
        """The answer comes in one piece: there is nothing to hold back."""

    def resume(self) -> None:
        """See ``pause``."""


def injected(effect: Effect, center: str, random: Random) -> CenterError | None:
    """The error that ``effect`` makes of this request, if any."""
    if effect.down:
        return CenterDown(f"center {center} refused the connection")
    if effect.error_rate and random.random() < effect.error_rate:
        return CenterFailed(f"center {center} answered with an injected error")
    return None
