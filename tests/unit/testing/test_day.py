"""The day that is played to observers keeps the contract itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gateway.api import Choice
from gateway.testing.day import Day
from gateway.testing.subject import Subject


@dataclass(frozen=True)
class Listens:
    columns: ClassVar[Any] = {}
    heard: list[Any] = field(default_factory=list)

    def chosen(self, decision, mine, memory):
        self.heard.append(("chosen", id(decision.query), decision.token))

    def ended(self, outcome, mine, memory):
        self.heard.append(("ended", outcome.ending, outcome.report is not None, outcome.token))

    def reported(self, center, report, now, mine, memory):
        self.heard.append(("reported",))


@dataclass(frozen=True)
class Picks(Listens):
    sample: ClassVar[Any] = 3
    reads: ClassVar[Any] = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return Choice(int(total_ms.argmin()), token=now)


def heard_in(plugin: Any, kind: str, steps: int = 400) -> list[Any]:
    subject = Subject(kind, plugin)
    Day(subject, subject.fresh).run(steps)
    return plugin.heard


def test_every_choice_ends_exactly_once_and_in_every_way() -> None:
    heard = heard_in(Listens(), "observers")
    counts = Counter(event[0] for event in heard)
    assert counts["chosen"] == counts["ended"] == 400
    endings = {event[1:3] for event in heard if event[0] == "ended"}
    assert endings == {
        ("answer", True),
        ("answer", False),
        ("error", False),
        ("cancelled", False),
    }
    answers = sum(event[:3:2] == ("ended", True) for event in heard)
    assert counts["reported"] > answers


def test_a_picker_s_token_comes_back_and_is_missing_now_and_then() -> None:
    heard = heard_in(Picks(), "pickers")
    chosen = Counter(event[2] for event in heard if event[0] == "chosen")
    ended = Counter(event[3] for event in heard if event[0] == "ended")
    assert chosen == ended
    assert 0 < chosen[None] < 60


def test_the_same_day_twice() -> None:
    def endings() -> list[Any]:
        return [event[1:3] for event in heard_in(Listens(), "observers") if event[0] == "ended"]

    assert endings() == endings()
