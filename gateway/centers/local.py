"""A center in this process without an emulated network: the model, and hardly anything else.

Theory of operation. ``start`` notes the attempt; what was noted in one turn of the event loop
is served together, in the next thing the loop calls:

    start ─▶ (same turn) ─▶ read ─▶ (wait for a slot) ─▶ run, with others ─▶ (hold) ─▶ answer

* Requests of one turn that ask the same of the same version run as one batch, where the model
  gains from it (``engine.batch_gain``), up to its ``rows_max`` examples, fewer where more would
  make one of them late. Nobody ever waits for company: a turn's requests are there anyhow. An
  answer is, bit for bit, what the request would have got alone; a batch that fails is run again,
  each request alone, so that a wrong request spoils nothing but itself.
* A batch is one execution: it takes one slot. Those for whom there is none wait, at most
  ``queue_max``; a slot that comes free takes, of the kind that waits longest, all that fit into
  one batch: so does the simulator's model of a center whose slots run batches. Class C waits
  apart, and comes last (``waiting``).
* A run occupies its slot as long as it takes; longer, on a timer, where the center is declared
  slower than nominal, a fault slows it down, or the model declares a service time. Requests to
  a model that declares one never share a run: it is declared for one of them.
* The members of a batch leave together, when all are written, with reports of one instant.
* Answers go out at the end of the turn, in order. Somebody who raises on hearing one keeps
  nobody else's answer back.

* A model that is loaded on demand keeps its requests waiting, without a slot, until it is there;
  that time counts as queue. They are as many as the gateway has under way.

There is no ``Sent``: the request is there as soon as it is sent. Of faults, delay and loss
need a network and do nothing here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from random import Random

from gateway.api import Center, CenterBusy, CenterDown, NearwayError, Report, RequestError
from gateway.centers.language.text_visit import TEXT_ROUTES, TextVisit
from gateway.centers.language.ways import NoWay
from gateway.centers.load_meter import LoadMeter
from gateway.centers.local_visit import LocalVisit, Run, expired, inputs_of
from gateway.centers.port import Attempt, Call, Event, Failed, OnEvent, OnReport
from gateway.centers.resident_models import ResidentModels
from gateway.centers.served_model import ServedModel, rows_of
from gateway.centers.shared_engine import SharedEngine
from gateway.centers.visit import injected
from gateway.centers.waiting import Waiting, makes_late, slots_kept
from gateway.engine import NotYetLoaded
from gateway.wan import DelayLine, Faults
from gateway.wire import AnswerForm, KnownHead

FOREVER_S = 1e300

CallSoon = Callable[[Callable[[], None]], object]


class LocalCenter(ResidentModels):
    """One row of the fleet, served by this process, no way between. Implements ``CenterPort``."""

    def __init__(
        self,
        row: int,
        center: Center,
        *,
        engine: SharedEngine,
        faults: Faults,
        line: DelayLine,
        call_soon: CallSoon,
        random: Random,
        queue_max: int,
    ) -> None:
        super().__init__(row, center, engine)
        self.faults = faults
        self.line = line
        self.now = line.now
        self.random = random
        self.queue_max = queue_max
        self.free_slots = center.slots
        self.meter, self.meter_c = LoadMeter(line.now()), LoadMeter(line.now())
        self.call_soon = call_soon
        self._arrived: list[LocalVisit] = []
        self._waiting = Waiting()
        self._waiting_c = Waiting()
        self._kept = slots_kept(center.slots)
        self._alone: deque[LocalVisit] = deque()
        self.out: deque[tuple[LocalVisit, Event]] = deque()
        self._busy = False
        self._serving = False

    def moved(self, row: int, faults: Faults) -> None:
        """It stands in another row from now on, with faults by those rows."""
        self.row, self.faults = row, faults

    def meter_of(self, served: ServedModel) -> LoadMeter:
        """Of class C nothing is reported but that its runs take slots: nobody waits for it."""
        return self.meter_c if served.class_c else self.meter

    # ---- requests -------------------------------------------------------------------------

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """Note ``attempt`` for the end of this turn; see ``gateway.centers.port``."""
        if attempt.route in TEXT_ROUTES:
            return TextVisit(self, attempt, on_event, NoWay(self.call_soon))
        visit = LocalVisit(self, attempt, on_event)
        self.arrive(visit)
        return visit

    def arrive(self, visit: LocalVisit) -> None:
        """It is served at the end of this turn."""
        arrived = self._arrived
        if not arrived:
            self.call_soon(self._turn)
        arrived.append(visit)

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """Answered in the next turn; a black hole swallows it."""

        def arrive() -> None:
            effect = self.faults.effect(self.row, vantage)
            if effect is not None:
                if effect.black_hole:
                    return
                if injected(effect, self.center.id, self.random) is not None:
                    on_result(None)
                    return
            on_result(self.meter.probed(self.now(), self.center.slots))

        self.call_soon(arrive)

    # ---- a turn ---------------------------------------------------------------------------

    def _turn(self) -> None:
        """Read what came, run what can run, send what is ready."""
        arrived, self._arrived = self._arrived, []
        self._busy = True
        alike: dict[AnswerForm, list[LocalVisit]] = {}
        unread = iter(arrived)
        try:
            self._read(unread, alike, self.now())
        finally:  # a request that makes the reader fail keeps nobody else from being served
            ready_s = self.now()
            for visits in alike.values():
                if visits:  # else all were answered from what is kept
                    self._admit(visits, ready_s)
            self._busy = False
            left = [*unread]
            if left:
                self.call_soon(self._turn)
                self._arrived[:0] = left
            self.send()

    def _read(
        self,
        unread: Iterator[LocalVisit],
        alike: dict[AnswerForm, list[LocalVisit]],
        now: float,
    ) -> None:
        """The requests that are right into ``alike``, by what they ask."""
        faulty = self.faults.any_at(self.row)
        served: ServedModel | None = None
        name = version = ""
        before: KnownHead | None = None
        others: list[LocalVisit]
        form: AnswerForm
        for visit in unread:
            visit.arrived_s = now - visit.load_s
            if not visit.open:
                continue
            attempt = visit.attempt
            if faulty and self._met_fault(visit):
                continue
            try:
                if served is None or attempt.model != name or attempt.version != version:
                    name, version = attempt.model, attempt.version
                    served = self.model_for(name, version)
                asked = served.embedder() if attempt.route else served
                known = asked.known(attempt.body, attempt.head_bytes)
                if known is None:
                    request = asked.reader.decode(attempt.body, attempt.head_bytes)
                    visit.rows = rows_of(request.inputs)
                else:
                    request, visit.rows = known.request, known.rows
            except NotYetLoaded:
                served = None
                self.engine.when_loaded(name, visit.loaded)
                continue
            except NearwayError as error:
                self.fail(visit, error, now)
                continue
            if known is None or known is not before:  # else it wants the same, the same way
                form, before = asked.writer.form(request), known
                others = alike.setdefault(form, [])
            visit.served, visit.known, visit.request, visit.form = asked, known, request, form
            if asked.cache is not None and visit.finds(asked.cache):
                asked.model.used_s = now
                continue
            others.append(visit)

    def _met_fault(self, visit: LocalVisit) -> bool:
        """Does a fault keep it from being read?"""
        effect = self.faults.effect(self.row, visit.attempt.vantage)
        if effect is None:
            return False
        if effect.black_hole:
            return True
        error = injected(effect, self.center.id, self.random)
        if error is not None:
            self.fail(visit, error, visit.arrived_s)
        return error is not None

    def _admit(self, visits: list[LocalVisit], ready_s: float) -> None:
        """Requests that ask the same: into a batch, into the line, or away."""
        served = visits[0].served
        model = served.model
        model.used_s = ready_s
        work_ms = max(1e-6, model.run_ms * self.center.speed_factor)
        meter, rows_max = self.meter_of(served), served.rows_max
        line, taken = (self._waiting_c, self._kept) if served.class_c else (self._waiting, 0)
        members: list[LocalVisit] = []
        rows, soonest_s, full_s = 0, FOREVER_S, ready_s + served.runs_s(rows_max)
        for visit in visits:
            visit.ready_s = ready_s
            if members and (
                rows + visit.rows > rows_max
                or (
                    soonest_s < full_s and makes_late(served, rows + visit.rows, ready_s, soonest_s)
                )
            ):
                self.run(members)
                members, rows, soonest_s = [], 0, FOREVER_S
            if self.free_slots <= taken and line.count >= self.queue_max:
                full = f"center {self.center.id}: queue of {self.queue_max} full"
                self.fail(visit, CenterBusy(full), ready_s)
                continue
            visit.found = meter.entered(work_ms)
            visit.work_ms = work_ms
            model.under_way += 1
            if self.free_slots > taken:
                members.append(visit)
                rows += visit.rows
                if visit.attempt.deadline_s < soonest_s:
                    soonest_s = visit.attempt.deadline_s
            else:
                line.add(visit)
        if members:
            self.run(members)

    # ---- slots ----------------------------------------------------------------------------

    def run(self, members: list[LocalVisit]) -> None:
        """One execution, one slot. Whose time is over is not run."""
        now = self.now()
        for visit in members:
            if now > visit.attempt.deadline_s:
                members = self._in_time(members, now)
                break
        if not members:
            return
        self.free_slots -= 1
        self.meter.slot_taken(now)
        run = Run(self, members, now)
        first = members[0]
        inputs = inputs_of(members)
        for visit in members:
            visit.run = run
        run.stop = self.engine.runner.submit(first.served.model, inputs, first.form.names, run.ran)

    def _in_time(self, members: list[LocalVisit], now: float) -> list[LocalVisit]:
        kept = []
        for visit in members:
            if now > visit.attempt.deadline_s:
                self.fail(visit, expired(visit), now, now)
            else:
                kept.append(visit)
        return kept

    def run_alone(self, members: list[LocalVisit]) -> None:
        """Their batch failed: each is run by itself, before those that wait."""
        self._alone.extend(members)

    def free_slot(self, now: float) -> None:
        """A run is over; whoever waits longest is next.

        A model that runs inline frees its slot before ``run`` returns and comes back here; the
        loop below then goes on, instead of one stack frame a batch.
        """
        self.free_slots += 1
        self.meter.slot_freed(now)
        if not self._serving and (self._alone or self._waiting.count or self._waiting_c.count):
            self._serving = True
            try:
                while self._run_next():
                    pass
            finally:
                self._serving = False
        if not (self._busy or self._serving):
            self.send()

    def _run_next(self) -> bool:
        """Take a slot for whoever is next; False when nobody can have one."""
        if self.free_slots <= 0:
            return False
        if self._alone:
            visit = self._alone.popleft()
            if visit.open:
                self.run([visit])
            return True
        if self._waiting.count:
            self.run(self._waiting.next(self.now()))
            return True
        if self._waiting_c.count and self.free_slots > self._kept:
            self.run(self._waiting_c.next(self.now()))
            return True
        return False

    def forget(self, visit: LocalVisit) -> None:
        """A visit that waits is cancelled."""
        (self._waiting_c if visit.served.class_c else self._waiting).forget(visit)

    def held_until_s(self, visit: LocalVisit, begun_s: float, run_ms: float) -> float:
        """How long a run occupies its slot: the center's speed, a fault, a declared time."""
        factor = self.center.speed_factor
        effect = self.faults.effect(self.row, visit.attempt.vantage)
        if effect is not None:
            factor *= effect.slow
        return begun_s + visit.served.hold_ms(run_ms, factor, self.random) / 1e3

    # ---- answers --------------------------------------------------------------------------

    def report(self, visit: LocalVisit, begun_s: float | None, now: float) -> Report:
        """With an answer: ``visit`` was run from ``begun_s`` on, or not run at all."""
        queue_s = visit.load_s + (0.0 if begun_s is None else begun_s - visit.ready_s)
        service_s = now - visit.arrived_s - queue_s
        return self.meter.report(now, self.center.slots, queue_s * 1e3, service_s * 1e3)

    def report_kept(self, visit: LocalVisit, now: float) -> Report:
        """With an answer that was not run for it: nothing is said of how long the model runs."""
        waited_ms = (now - visit.arrived_s) * 1e3
        return self.meter_of(visit.served).report(now, self.center.slots, waited_ms, 0.0)

    def fail(
        self, visit: LocalVisit, error: NearwayError, now: float, begun_s: float | None = None
    ) -> None:
        """An error for ``visit``, which was run from ``begun_s`` on, or not run at all.

        A center that is down reports nothing.
        """
        visit.leave()
        if visit.key:
            visit.let_go()
        if not isinstance(error, RequestError | CenterDown):
            self.meter.erred(now)
        report = None
        if not isinstance(error, CenterDown):
            report = self.report(visit, begun_s, now)
        self.out.append((visit, Failed(error, report)))

    def send(self) -> None:
        """What is ready, in order; called when a turn's work is done."""
        out = self.out
        try:
            while out:
                visit, event = out.popleft()
                if visit.open:
                    visit.open = False
                    visit.on_event(event)
        finally:
            if out:
                self.call_soon(self.send)
