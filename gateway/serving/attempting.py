"""The tries of one exchange: begun, watched, hedged, given up, ended, followed by others.

Theory of operation. A ``Try`` is open from its commit until ``_close``, the only place where
``router.ended`` is called, and deaf afterwards. One try is open, or two while a copy races the
first. ``Deadlines`` looks at an open try when it may be

* slower than nearly all of its kind: a copy is sent to another zone, if that can help and is
  paid for (``hedges``, ``gateway.routing.hedging``);
* silent for longer than ``attempt_timeout_ms`` grants: it is given up when another may follow,
  paid from the budget all exchanges share, unless its center is out of service by now;
* at the deadline: it is over for all.

When one is looked at late the loop was held up, and answers may lie there unread: it is given as
long again as that was late, once.

``Exchange`` says what is done with answers and errors.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from math import inf

from gateway.api import CenterFailed, Decision, NearwayError, NotHere, Report
from gateway.api.outcome import Ending
from gateway.centers.port import Event, Failed, Whole
from gateway.routing.attempts import QUANTILE, TIMED_OUT, attempt_timeout_ms, may_retry
from gateway.routing.hedging import OUTRUN
from gateway.serving.arrival import Arrival, Collaborators, TextArrival
from gateway.serving.hedges import hedge_of
from gateway.serving.text_outcome import until_first_token
from gateway.serving.tries import (
    NotStarted,
    Try,
    budget_spent,
    deadline_error,
    in_a_list,
    nobody_answered,
    silent_error,
    too_late,
    waiting_for,
)

log = logging.getLogger("nearway.serving")

LATE_TIMER_S = 0.005


class Attempting(ABC):
    """What an exchange knows of its tries. ``decision``: of the try that answered, or the last."""

    __slots__ = (
        "_arrival",
        "_failures",
        "_hedge",
        "_timeouts",
        "_tries",
        "_try",
        "_with",
        "decision",
    )

    def __init__(self, collaborators: Collaborators, arrival: Arrival) -> None:
        self._with = collaborators
        self._arrival = arrival
        self._try: Try | None = None
        self._hedge: Try | None = None
        self._tries = 0
        self._timeouts = 0
        self._failures: list[str] = []
        self.decision: Decision | None = None

    # ---- what is done with answers and errors ----------------------------------------------

    @property
    @abstractmethod
    def _streaming(self) -> bool:
        """Has the client seen a byte of the answer?"""

    @abstractmethod
    def hear(self, this: Try, event: Event) -> None:
        """An event of an open try."""

    @abstractmethod
    def hear_whole(self, this: Try, whole: Whole) -> None:
        """An open try is answered in one event."""

    @abstractmethod
    def _forget_answer(self) -> None:
        """What was heard of a try that failed is worth nothing."""

    @abstractmethod
    def _fail(self, error: NearwayError) -> None:
        """There is no answer."""

    # ---- one try after the other, or beside it ---------------------------------------------

    def _start(self, decision: Decision, now: float, *, paid: bool = False) -> None:
        with_, arrival, center = self._with, self._arrival, decision.center
        with_.router.commit(decision, now)
        self.decision = decision
        self._tries += 1
        this = self._try = Try(self, decision, now, paid=paid)
        if self._tries == 1 and decision.runner_up >= 0 and type(arrival) is Arrival:
            this.hedge_at = with_.hedging.quantile
        self._ask(this)
        with_.deadlines.add(self._look_s(this), this)
        with_.metrics.decided(center, (with_.clock() - now) * 1e3, self._tries)
        if with_.router.asks_probes and with_.probing is not None:
            with_.probing.ask(arrival.vantage, now)

    def _ask(self, this: Try) -> None:
        """Set it on its way. A port that raises has a bug: then the try failed, and no more."""
        try:
            this.call = self._with.ports[this.decision.center].start(self._arrival, this.hear)
        except Exception as error:
            name = self._with.centers[this.decision.center]
            log.exception("center %s: an attempt could not be started", name)
            failed = Failed(CenterFailed(f"center {name} could not be asked: {error!r}"))
            this.call = NotStarted()
            self._with.call_soon(lambda: this.hear(failed))

    def _look_s(self, this: Try) -> float:
        """When the try is looked at first.

        With time enough for another one, no patience is shorter than the floor, and nearly all
        tries are over by then: how long it really is will be worked out when somebody looks.
        """
        floor_s = self._with.attempts.timeout_ms * 1e-3
        if this.decision.runner_up_ms == inf:
            return self._arrival.deadline_s  # nobody else to try
        look_s = this.started_s + floor_s
        if look_s + this.decision.runner_up_ms * 1e-3 >= self._arrival.deadline_s:
            look_s = self._due_s(this)
        if this.hedge_at:
            first_ms = this.decision.predicted_ms * self._with.hedging.first_look
            hedge_s = this.started_s + first_ms * 1e-3
            if hedge_s < look_s:
                return hedge_s
        return look_s

    def _patience_s(self, this: Try) -> float:
        """How long the attempt may be silent before another center is tried."""
        with_, decision = self._with, this.decision
        attempts, arrival = with_.attempts, self._arrival
        if isinstance(arrival, TextArrival) and decision.runner_up_ms < inf:
            return arrival.first_byte_s
        timeout_ms = attempt_timeout_ms(
            (self._arrival.deadline_s - this.started_s) * 1e3,
            decision.runner_up_ms if self._tries < attempts.max else inf,
            with_.router.quantile_ms(decision, QUANTILE),
            floor_ms=attempts.timeout_ms,
            timeouts=self._timeouts,
        )
        return timeout_ms / 1e3

    def _due_s(self, this: Try) -> float:
        """When the open try's time is over: silence or the deadline, whichever is first."""
        if this.patience_s is None:
            this.patience_s = self._patience_s(this)
        if this.relay is not None and this.relay.heard_s > this.heard_s:
            this.heard_s = this.relay.heard_s
        silent_s = this.heard_s + this.patience_s
        deadline_s = self._arrival.deadline_s
        return silent_s if silent_s < deadline_s else deadline_s

    def out_of_patience(self, this: Try) -> None:
        """The open try is due."""
        now = self._with.clock()
        due_s = self._due_s(this)
        if now >= self._arrival.deadline_s:
            self._expire(this, now)
        elif this.hedge_at and self._look_at_hedge(this, due_s, now):
            return
        elif now < due_s:
            self._wait_until(this, due_s)
        elif now - due_s > LATE_TIMER_S and not this.late_once:
            this.late_once = True
            self._wait_until(this, now + (now - due_s))
        elif not self._streaming and not self._may_pay(this):
            self._with.metrics.retry_refused()
            this.patience_s = 2.0 * (this.patience_s or 0.0)
            self._wait_until(this, self._due_s(this))
        else:
            self._give_up(this, now)

    def _may_pay(self, this: Try) -> bool:
        """Whether a retry would be paid, or need not be."""
        with_ = self._with
        if with_.retries.room(with_.metrics.in_flight):
            return True
        return not with_.router.in_service(this.decision.center)

    def _expire(self, this: Try, now: float) -> None:
        """The deadline has come; a hedge is as late as the first."""
        name = self._with.centers[this.decision.center]
        error = deadline_error(self._arrival, self._failures, waiting_for(this, name, now))
        this.call.cancel()
        self._close(this, "error", None, error.reason, now)
        if self._try is not None:
            self._expire(self._try, now)
        else:
            self._fail(error)

    def _look_at_hedge(self, this: Try, due_s: float, now: float) -> bool:
        """The try may be slower than nearly all. True: it is looked at again by itself."""
        with_, hedging, quantile = self._with, self._with.hedging, this.hedge_at
        quantile_ms = with_.router.quantile_ms
        delay_ms = late_ms = quantile_ms(this.decision, hedging.late)
        if quantile < hedging.late:
            delay_ms = hedging.delay_ms(quantile_ms(this.decision, quantile), late_ms)
            hedging.looked(delay_ms, this.decision.predicted_ms)
        late = delay_ms >= late_ms
        hedge_s = this.started_s + delay_ms * 1e-3
        heard = this.heard_s != this.started_s
        if heard or self._tries >= with_.attempts.max or hedge_s >= due_s:
            this.hedge_at = 0.0
            return False
        if now < hedge_s:
            self._wait_until(this, hedge_s)
            return True
        if now - hedge_s > LATE_TIMER_S and not this.hedge_late_once:
            this.hedge_late_once = True
            self._wait_until(this, now)  # what lies there unread is read before
            return True
        decision = hedge_of(with_, this, self._arrival.deadline_s, now, late=late)
        if decision is None and not late:
            this.hedge_at = hedging.late
            return self._look_at_hedge(this, due_s, now)
        this.hedge_at = 0.0
        if decision is not None:
            self._start_hedge(decision, now)
            this.patience_s = None  # the copy may have been the last try there is
        return False

    def _start_hedge(self, decision: Decision, now: float) -> None:
        """A second copy, beside the try that is open."""
        with_ = self._with
        with_.router.commit(decision, now)
        self._tries += 1
        this = self._hedge = Try(self, decision, now, hedges=True)
        self._ask(this)
        with_.deadlines.add(self._due_s(this), this)
        with_.metrics.hedged(decision.center)

    def _wait_until(self, this: Try, due_s: float) -> None:
        deadline_s = self._arrival.deadline_s
        self._with.deadlines.add(min(due_s, deadline_s), this)

    def _give_up(self, this: Try, now: float) -> None:
        """Cut off a silent try."""
        this.call.cancel()
        name = self._with.centers[this.decision.center]
        error = silent_error(name, (now - this.heard_s) * 1e3)
        self._timeouts += 1
        self._close(this, "error", None, TIMED_OUT, now)
        self._failed(this, error, TIMED_OUT, now)

    def _close(
        self, this: Try, ending: Ending, report: Report | None, reason: str, now: float
    ) -> float:
        """The one place where a try ends; returns how long it took, ms."""
        this.open = False
        # Neither the center's side nor the deadlines keep this exchange and its body alive.
        del this.call, this.exchange
        if this.paid:
            self._with.retries.release()
        if this.hedges:
            won = ending == "answer"
            self._with.hedging.ended(won=won)
            self._with.metrics.hedge_ended(won=won)
        if this is self._try:
            self._try = self._hedge
        self._hedge = None
        outcome = this.outcome(ending, report, reason, now)
        attempt_ms = outcome.attempt_ms
        if ending == "answer" and isinstance(self._arrival, TextArrival):
            until_first_token(outcome, this, self._arrival.begun_s)
        self._with.router.ended(outcome)
        self._with.metrics.attempt_ended(ending, outcome.predicted_ms, outcome.attempt_ms)
        return attempt_ms

    def _call_back(self, this: Try, reason: str, now: float) -> None:
        """Its answer is not wanted any more."""
        this.call.cancel()
        self._close(this, "cancelled", None, reason, now)

    def _outrun(self, winner: Try, now: float) -> None:
        """The winner has been heard of: the other one is called back."""
        self.decision = winner.decision
        loser = self._try if self._hedge is winner else self._hedge
        assert loser is not None
        self._call_back(loser, OUTRUN, now)

    def _failed(self, this: Try, error: NearwayError, reason: str, now: float) -> None:
        """Try another center when that may help and nothing has been sent."""
        other = self._try
        if self._streaming or not error.another_center_may_help:
            if other is not None:
                self._call_back(other, OUTRUN, now)
            self._fail(error)
            return
        self._failures.append(in_a_list(error))
        if other is not None:  # it goes on alone
            other.decision.tried = (*other.decision.tried, this.decision.center)
            if reason == TIMED_OUT:
                self._hurry(other, now)
            return
        self._forget_answer()
        try:
            paid = self._with.router.in_service(this.decision.center)
            decision = self._retry(this.decision, now, paid=paid, silent=reason == TIMED_OUT)
        except NearwayError as last:
            # Whether a model is to be had at all, only the one center there is can say.
            for_all = isinstance(error, NotHere) and len(self._with.centers) == 1
            self._fail(error if for_all else last)
        else:
            self._start(decision, now, paid=paid)

    def _hurry(self, copy: Try, now: float) -> None:
        """The other one was cut off for its silence, and this copy is silent as well.

        Where another may follow it gets what 99 % of such attempts take, not three times that:
        else a hedge into the same dark region would make its request wait the longest of all.
        """
        if copy.heard_s == copy.started_s and self._due_s(copy) < self._arrival.deadline_s:
            quantile_s = self._with.router.quantile_ms(copy.decision, QUANTILE) * 1e-3
            shortest_s = max(now - copy.started_s, quantile_s)
            copy.patience_s = min(copy.patience_s or 0.0, shortest_s)
            self._wait_until(copy, self._due_s(copy))

    def _retry(self, failed: Decision, now: float, *, paid: bool, silent: bool) -> Decision:
        """Another decision; ``paid``: from the budget. Raises what the client is told instead."""
        with_, failures = self._with, self._failures
        attempts = with_.attempts
        remaining_ms = (self._arrival.deadline_s - now) * 1e3
        another_ms = failed.runner_up_ms
        if another_ms == inf:
            another_ms = 0.0  # the router knows best whether and why nobody is left
        if not may_retry(
            another_may_help=True,
            bytes_sent=self._streaming,
            tries=self._tries,
            tries_max=attempts.max,
            remaining_ms=remaining_ms,
            predicted_ms=another_ms,
        ):
            if self._tries >= attempts.max and remaining_ms > 0.0:
                raise nobody_answered(self._tries, attempts.max, failures)
            late = too_late(remaining_ms, another_ms) if remaining_ms > 0.0 else None
            raise deadline_error(self._arrival, failures, late)
        try:
            decision = with_.router.next(failed, now, silent=silent, within_ms=remaining_ms)
        except NearwayError as error:
            failures.append(in_a_list(error))
            raise nobody_answered(self._tries, attempts.max, failures) from error
        if paid and not with_.retries.take(with_.metrics.in_flight):
            with_.metrics.retry_refused()
            failures.append(budget_spent(with_.retries.in_flight))
            raise nobody_answered(self._tries, attempts.max, failures)
        return decision
