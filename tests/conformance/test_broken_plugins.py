"""The suite finds what it is for: each plugin here breaks one rule, and fails that check alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, ClassVar

import numpy as np
import pytest

from gateway.api import Choice, Column
from gateway.testing import assert_conforms, check_plugin


@dataclass(frozen=True)
class Good:
    """A scorer that keeps the contract; the scorers below break one rule of it."""

    varies_by: ClassVar[Any] = ()
    reads: ClassVar[Any] = ("speed",)
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 10.0

    def ms(self, query, centers, now):
        return centers["speed"] * np.float32(0.1)


class Melting:
    """Not a dataclass."""

    varies_by, reads, live, refresh_ms = (), (), False, 1.0

    def ms(self, query, centers, now):
        return np.zeros(len(centers), np.float32)


@dataclass(frozen=True)
class NoRefresh:
    varies_by: ClassVar[Any] = ()
    reads: ClassVar[Any] = ()
    live: ClassVar[bool] = False

    def ms(self, query, centers, now):
        return np.zeros(len(centers), np.float32)


@dataclass(frozen=True)
class ReadsWhatNobodyHas(Good):
    reads: ClassVar[Any] = ("sped",)


@dataclass(frozen=True)
class ReadsUndeclared(Good):
    def ms(self, query, centers, now):
        return centers["speed"] + centers["queue_ms"]


@dataclass(frozen=True)
class UsesUndeclaredField(Good):
    def ms(self, query, centers, now):
        return centers["speed"] * np.float32(2 if query.tenant == "rail" else 1)


@dataclass(frozen=True)
class CachesADeadline(Good):
    varies_by: ClassVar[Any] = ("vantage", "model", "tenant")

    def ms(self, query, centers, now):
        return np.where(centers["speed"] > query.deadline_ms, inf, 0).astype(np.float32)


@dataclass(frozen=True)
class KeyedByMore(Good):
    reads: ClassVar[Any] = ("rtt_ms",)

    def ms(self, query, centers, now):
        return centers["rtt_ms"]


@dataclass(frozen=True)
class StaleAtOnce(Good):
    reads: ClassVar[Any] = ("in_flight",)

    def ms(self, query, centers, now):
        return centers["in_flight"].astype(np.float32)


@dataclass(frozen=True)
class DividesByZero(Good):
    def ms(self, query, centers, now):
        return centers["speed"] * np.float32(1 / (len(centers) - 1))


@dataclass(frozen=True)
class OneRowShort(Good):
    def ms(self, query, centers, now):
        return centers["speed"][1:]


@dataclass(frozen=True)
class ANumber(Good):
    def ms(self, query, centers, now):
        return 5.0


@dataclass(frozen=True)
class Doubles(Good):
    def ms(self, query, centers, now):
        return centers["speed"] * np.float64(2.0)


@dataclass(frozen=True)
class NotANumber(Good):
    reads: ClassVar[Any] = ("report_age_s",)

    def ms(self, query, centers, now):
        with np.errstate(invalid="ignore"):
            age_s = centers["report_age_s"]
            return (age_s.max() - age_s).astype(np.float32)


@dataclass(frozen=True)
class Discounts(Good):
    def ms(self, query, centers, now):
        return centers["speed"] - np.float32(5.0)


@dataclass(frozen=True)
class LiveCopy(Good):
    live: ClassVar[bool] = True

    def ms(self, query, centers, now):
        return centers["speed"].copy()


@dataclass(frozen=True)
class Gambles(Good):
    def ms(self, query, centers, now):
        return np.random.random(len(centers)).astype(np.float32)


@dataclass(frozen=True)
class WritesTheTable(Good):
    def ms(self, query, centers, now):
        column = centers["speed"]
        column.base[:] = column.base + 1 if column.base[0] < 1e6 else column.base
        return np.zeros(len(centers), np.float32)


@dataclass(frozen=True)
class ChangesItself(Good):
    varies_by: ClassVar[Any] = ("vantage",)
    seen: list[int] = field(default_factory=list)

    def ms(self, query, centers, now):
        self.seen.append(query.vantage)
        return centers["speed"]


LAST: dict[Any, Any] = {}


@dataclass(frozen=True)
class Peeks(Good):
    reads: ClassVar[Any] = ()

    def ms(self, query, centers, now):
        return centers._table.columns["speed"] * np.float32(1)


@dataclass(frozen=True)
class CountsRows(Good):
    def ms(self, query, centers, now):
        return np.arange(len(centers), dtype=np.float32)


@dataclass(frozen=True)
class Dawdles(Good):
    def ms(self, query, centers, now):
        if len(centers) > 1000:
            time.sleep(0.002)
        return centers["speed"]


@dataclass(frozen=True)
class GoodFilter:
    varies_by: ClassVar[Any] = ()
    reads: ClassVar[Any] = ("error_rate",)
    advisory: ClassVar[bool] = True

    def keep(self, query, centers, now):
        return centers["error_rate"] < 0.5


@dataclass(frozen=True)
class KeepsNumbers(GoodFilter):
    def keep(self, query, centers, now):
        return centers["error_rate"]


@dataclass(frozen=True)
class KeepsTheFirst(GoodFilter):
    def keep(self, query, centers, now):
        return np.arange(len(centers)) < 5


@dataclass(frozen=True)
class TakesTurns(GoodFilter):
    """Depends on which query a filter was last asked, by whomever."""

    varies_by: ClassVar[Any] = ("vantage",)

    def keep(self, query, centers, now):
        last, LAST["vantage"] = LAST.get("vantage", query.vantage), query.vantage
        return centers["error_rate"] < (0.5 if last == query.vantage else 0.1)


@dataclass(frozen=True)
class GoodPicker:
    sample: ClassVar[Any] = None
    reads: ClassVar[Any] = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(total_ms.argmin())


@dataclass(frozen=True)
class PicksAnybody(GoodPicker):
    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(random.random() * len(total_ms))


@dataclass(frozen=True)
class PicksTheRow(GoodPicker):
    sample: ClassVar[Any] = 2

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(candidates[total_ms.argmin()])


@dataclass(frozen=True)
class NeedsTwo(GoodPicker):
    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        best, _second = np.flatnonzero(total_ms < inf)[:2]
        return int(best)


@dataclass(frozen=True)
class SortsInPlace(GoodPicker):
    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        total_ms.sort()
        return 0


@dataclass(frozen=True)
class PromisesArgmin(GoodPicker):
    takes_argmin: ClassVar[bool] = True

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return len(total_ms) - 1 - int(total_ms[::-1].argmin())


@dataclass(frozen=True)
class ItsOwnDice(GoodPicker):
    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(np.random.choice(np.flatnonzero(total_ms < inf)))


@dataclass(frozen=True)
class WritesMemory(GoodPicker):
    def memory(self, centers, random):
        return {"picks": 0}

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        memory["picks"] += 1
        return int(total_ms.argmin())

    def chosen(self, decision, mine, memory):
        pass


@dataclass(frozen=True)
class NeedsItsToken(GoodPicker):
    """Does not expect that routing may choose without it."""

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        position = int(total_ms.argmin())
        return Choice(position, (position,), {"at": now})

    def chosen(self, decision, mine, memory):
        decision.token["at"]


@dataclass(frozen=True)
class GoodObserver:
    columns: ClassVar[Any] = {"seen": Column("f4")}

    def ended(self, outcome, mine, memory):
        mine["seen"][outcome.center] += 1


@dataclass(frozen=True)
class WantsReports(GoodObserver):
    def ended(self, outcome, mine, memory):
        mine["seen"][outcome.center] += outcome.report.service_ms


@dataclass(frozen=True)
class RebindsItsColumn(GoodObserver):
    def ended(self, outcome, mine, memory):
        mine["seen"] = mine["seen"] + 1


@dataclass(frozen=True)
class LearnsNan(GoodObserver):
    def ended(self, outcome, mine, memory):
        with np.errstate(invalid="ignore"):
            mine["seen"][outcome.center] = np.float32(inf) - np.float32(inf)


@dataclass(frozen=True)
class LearnsByChance(GoodObserver):
    def ended(self, outcome, mine, memory):
        mine["seen"][outcome.center] = Random().random()


@dataclass(frozen=True)
class EditsOutcomes(GoodObserver):
    def ended(self, outcome, mine, memory):
        outcome.attempt_ms = 0.0


@dataclass(frozen=True)
class ProbesTooFar(GoodObserver):
    def probes(self, now, random, mine, memory):
        return [len(mine["seen"])]


@dataclass(frozen=True)
class SlowLearner(GoodObserver):
    def ended(self, outcome, mine, memory):
        if len(mine["seen"]) > 1000:
            time.sleep(0.002)


@dataclass(frozen=True)
class GoodSource:
    columns: ClassVar[Any] = {"price": Column("f4")}
    period_s: float = 5.0

    def read(self, centers, folder):
        return {"price": np.array([len(name) for name in centers], np.float32)}


@dataclass(frozen=True)
class MoreColumns(GoodSource):
    def read(self, centers, folder):
        return {"cost": np.zeros(len(centers))}


@dataclass(frozen=True)
class UnknownPrice(GoodSource):
    def read(self, centers, folder):
        return {"price": np.full(len(centers), np.nan)}


@dataclass(frozen=True)
class RandomPrice(GoodSource):
    def read(self, centers, folder):
        return {"price": np.random.random(len(centers))}


@dataclass(frozen=True)
class PriceByRow(GoodSource):
    def read(self, centers, folder):
        return {"price": np.arange(len(centers), dtype=np.float32)}


@dataclass(frozen=True)
class MissingIsAnOsError(GoodSource):
    def read(self, centers, folder):
        next(folder.iterdir(), None)
        return {"price": np.zeros(len(centers))}


BROKEN: dict[str, dict[str, tuple[type, ...]]] = {
    "scorers": {
        "contract": (Melting, NoRefresh),
        "reads": (ReadsWhatNobodyHas, ReadsUndeclared),
        "varies_by": (UsesUndeclaredField, CachesADeadline, KeyedByMore),
        "fresh": (StaleAtOnce,),
        "answers": (DividesByZero,),
        "shape": (OneRowShort, ANumber),
        "dtype": (Doubles,),
        "numbers": (NotANumber,),
        "non_negative": (Discounts,),
        "live": (LiveCopy,),
        "deterministic": (Gambles,),
        "untouched": (WritesTheTable, ChangesItself),
        "declared_only": (Peeks,),
        "rowwise": (CountsRows,),
        "budget": (Dawdles,),
    },
    "filters": {
        "dtype": (KeepsNumbers,),
        "independent": (TakesTurns,),
        "rowwise": (KeepsTheFirst,),
    },
    "pickers": {
        "answers": (NeedsTwo, SortsInPlace),
        "eligible": (PicksAnybody, PicksTheRow),
        "argmin": (PromisesArgmin,),
        "deterministic": (ItsOwnDice,),
        "untouched": (WritesMemory,),
        "survives": (NeedsItsToken,),
    },
    "observers": {
        "survives": (WantsReports, EditsOutcomes),
        "own_columns": (RebindsItsColumn,),
        "learns_numbers": (LearnsNan,),
        "learns_alike": (LearnsByChance,),
        "probes": (ProbesTooFar,),
        "budget": (SlowLearner,),
    },
    "sources": {
        "columns": (MoreColumns,),
        "numbers": (UnknownPrice,),
        "deterministic": (RandomPrice,),
        "rowwise": (PriceByRow,),
        "missing": (MissingIsAnOsError,),
    },
}


def cases() -> Iterator[Any]:
    for kind, checks in BROKEN.items():
        for check, classes in checks.items():
            for broken in classes:
                yield pytest.param(kind, check, broken, id=f"{check}-{broken.__name__}")


@pytest.fixture(autouse=True)
def forget() -> None:
    LAST.clear()


@pytest.mark.parametrize(("kind", "check", "broken"), list(cases()))
def test_it_fails_exactly_its_check(kind: str, check: str, broken: type) -> None:
    failed = [f for f in check_plugin(kind, broken(), columns={}) if not f.passed]
    assert [finding.check for finding in failed] == [check], [str(f) for f in failed]
    assert failed[0].found
    assert failed[0].expected
    assert failed[0].mend


@pytest.mark.parametrize("good", [Good, GoodFilter, GoodPicker, GoodObserver, GoodSource])
def test_what_they_are_made_from_conforms(good: type) -> None:
    assert_conforms(good())


def test_a_plugin_that_must_see_the_rows_in_order_may_say_so() -> None:
    @dataclass(frozen=True)
    class Orderly(CountsRows):
        rowwise: ClassVar[bool] = False

    assert_conforms(Orderly())


def test_the_assertion_names_plugin_rule_and_remedy() -> None:
    with pytest.raises(
        AssertionError, match=r"scorer Discounts breaks:\n +non_negative: found"
    ) as told:
        assert_conforms(Discounts())
    assert "surcharge on the others" in str(told.value)


def test_a_wrong_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of filters"):
        check_plugin("scorer", Good())
