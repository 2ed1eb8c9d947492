"""A day of work, played to a plugin that observes.

Centers are chosen (by itself when it is a picker), attempts end in an answer with a report or
without, in an error, cancelled; centers report unasked; probes are asked for. Now and then a
center is chosen without the picker, as routing does while a picker is in quarantine. The day
is drawn at random from the subject's seed, the same each time.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from random import Random
from typing import Any, get_args

from gateway.api import Decision, Outcome, Query, Report, Table
from gateway.api.outcome import Ending
from gateway.testing.finding import Broken
from gateway.testing.fleets import NOW_S, queries
from gateway.testing.subject import Subject, mark_of
from gateway.testing.sums import choice_of, pick, sums_of

WITHOUT_THE_PICKER = 0.05
ENDINGS: tuple[Ending, ...] = ("answer", "answer", *get_args(Ending))
STEPS = 400
IN_FLIGHT = 40


class Day:
    """One day of work over one table; all of a plugin's state on it is in here."""

    def __init__(self, subject: Subject, table: Table) -> None:
        self.table = table
        self.mine = subject.mine(table)
        self.memory = subject.memory(len(table))
        self.now = NOW_S
        self.probed: list[Any] = []
        self._plugin = subject.plugin
        self._random = Random(f"{subject.seed}:day")
        self._plugins_random = subject.random()
        self._subject = subject
        self._sums = list(sums_of(subject, table)) if subject.kind == "pickers" else []
        self._queries = queries()
        self._running: list[Decision] = []

    def run(self, steps: int = STEPS) -> None:
        """Play ``steps`` choices and all their endings. Raises whatever the plugin raises."""
        for step in range(steps):
            self.now += self._random.expovariate(1000.0)
            self._tell("chosen", self._decide(step))
            if hasattr(self._plugin, "probes"):
                asked = self._plugin.probes(self.now, self._plugins_random, self.mine, self.memory)
                self.probed += list(asked)
            if self._random.random() < 0.3:
                center = self._random.randrange(len(self.table))
                self._report(center, self._a_report(answers=False))
            while len(self._running) > IN_FLIGHT or (self._running and step % 3 == 0):
                self._end(self._running.pop(self._random.randrange(len(self._running))))
        while self._running:
            self._end(self._running.pop())

    def _choose(self, query: Query) -> tuple[int, tuple[int, ...], object]:
        """The center, the rows looked at, the token."""
        random = self._random
        if not self._sums or random.random() < WITHOUT_THE_PICKER:
            return random.randrange(len(self.table)), (), None
        sums = random.choice(self._sums)
        answer = pick(
            self._subject, self.table, sums, query, self._plugins_random, self.memory, self.now
        )
        choice = choice_of(answer)
        seen = () if sums.candidates is None else tuple(sums.candidates.tolist())
        return sums.row(choice.position), choice.looked_at or seen, choice.token

    def _decide(self, step: int) -> Decision:
        query = self._queries[step % len(self._queries)]
        center, looked_at, token = self._choose(query)
        runner_up = (center + 1) % len(self.table)
        alone = runner_up == center
        decision = Decision(
            query=query,
            center=center,
            predicted_ms=self._random.expovariate(0.1),
            runner_up=-1 if alone else runner_up,
            runner_up_ms=inf if alone else 50.0,
            parts_ms=(1.0, 2.0, 3.0),
            charged_ms=1.0,
            looked_at=looked_at,
            token=token,
            now=self.now,
        )
        self._running.append(decision)
        return decision

    def _end(self, decision: Decision) -> None:
        random = self._random
        ending = random.choice(ENDINGS)
        reports = ending == "answer" and random.random() < 0.7
        outcome = Outcome(
            center=decision.center,
            vantage=decision.query.vantage,
            model=decision.query.model,
            ending=ending,
            attempt_ms=random.choice((0.0, 0.05, random.expovariate(0.1), 5000.0)),
            report=self._a_report(answers=True) if reports else None,
            predicted_ms=decision.predicted_ms,
            charged_ms=decision.charged_ms,
            now=self.now,
            reason="center_down" if ending == "error" else "",
            token=decision.token,
        )
        self._tell("ended", outcome)
        if outcome.report is not None:
            self._report(outcome.center, outcome.report)

    def _tell(self, method: str, event: Decision | Outcome) -> None:
        told = getattr(self._plugin, method, None)
        if told is None:
            return
        before = mark_of(event)
        told(event, self.mine, self.memory)
        if mark_of(event) != before:
            raise Broken(
                f"`{method}` wrote to the {type(event).__name__.lower()}",
                "decisions and outcomes only read: every observer is told the same ones",
                "keep what is learned in a column or in the memory",
            )

    def _report(self, center: int, report: Report) -> None:
        if hasattr(self._plugin, "reported"):
            self._plugin.reported(center, report, self.now, self.mine, self.memory)

    def _a_report(self, *, answers: bool) -> Report:
        random = self._random
        report = Report(
            queue_ms=random.expovariate(1.0) if answers else 0.0,
            service_ms=random.expovariate(0.5) if answers else 0.0,
        )
        if random.random() < 0.3:
            return report  # a center that tells no more than this
        return replace(
            report,
            work_ms=random.expovariate(0.1),
            in_flight=random.randrange(20),
            slots=4,
            latency_ms=random.expovariate(0.2),
            rate_per_s=random.expovariate(0.01),
            errors_per_s=random.choice((0.0, 0.5)),
            utilization=random.random(),
        )
