"""What is checked of pickers: an eligible center from any sums, and nothing written."""

from __future__ import annotations

from math import inf
from random import Random
from typing import Any

import numpy as np

from gateway.api import Query, Table
from gateway.testing.day import Day
from gateway.testing.finding import Broken
from gateway.testing.fleets import fingerprint, queries
from gateway.testing.subject import (
    Check,
    Subject,
    check_kept_to_reads,
    check_reads,
    mark_of,
    raised_by,
)
from gateway.testing.sums import Sums, choice_of, pick, sums_of


def _reads(subject: Subject) -> None:
    check_reads(subject)
    table = subject.busy
    memory = subject.memory(len(table))
    for sums in sums_of(subject, table):
        error = raised_by(pick, subject, table, sums, queries()[0], Random(1), memory)
        check_kept_to_reads(subject, error)


def _answers(subject: Subject) -> None:
    for table in subject.tables():
        memory = subject.memory(len(table))
        for sums in sums_of(subject, table):
            sums.total_ms.flags.writeable = False  # as a picker that sees all gets it
            error = raised_by(pick, subject, table, sums, queries()[0], Random(1), memory)
            if error is not None:
                raise Broken(
                    f"{type(error).__name__}: {error} ({sums.said}, {len(sums.total_ms)} shown)",
                    "a position for any sums of which one at least is finite",
                    "handle a single center and ties; total_ms is read-only, so work on a copy",
                ) from error


def _eligible(subject: Subject) -> None:
    for table in subject.tables():
        memory = subject.memory(len(table))
        random = subject.random()
        for sums in sums_of(subject, table):
            answer = pick(subject, table, sums, queries()[0], random, memory)
            choice = choice_of(answer)
            _check_position(choice.position, sums)
            outside = [row for row in choice.looked_at if not 0 <= row < len(table)]
            if outside:
                raise Broken(
                    f"looked_at holds {outside[0]}, at {len(table)} centers",
                    "rows of the table",
                    "put rows (candidates[position]), not positions, into looked_at",
                )


def _check_position(position: object, sums: Sums) -> None:
    shown = len(sums.total_ms)
    if not isinstance(position, int | np.integer) or not 0 <= position < shown:
        raise Broken(
            f"{position!r} ({sums.said}, {shown} shown)",
            f"an int from 0 to {shown - 1}, or a Choice of one: the position in total_ms",
            "return the position, not the row: candidates[position] is the row",
        )
    if not sums.total_ms[position] < inf:
        raise Broken(
            f"position {position}, whose sum is inf ({sums.said})",
            "an eligible center: +inf is forbidden",
            "choose among np.flatnonzero(total_ms < np.inf)",
        )


def _argmin(subject: Subject) -> None:
    if not getattr(subject.plugin, "takes_argmin", False):
        return
    memory = subject.memory(len(subject.busy))
    for sums in sums_of(subject, subject.busy):
        answer = pick(subject, subject.busy, sums, queries()[0], Random(1), memory)
        position = choice_of(answer).position
        if position != int(sums.total_ms.argmin()):
            raise Broken(
                f"takes_argmin = True, and position {position} picked where the first smallest "
                f"is {int(sums.total_ms.argmin())} ({sums.said})",
                "the first smallest sum: routing takes it without a call",
                "remove takes_argmin",
            )


def _deterministic(subject: Subject) -> None:
    table = subject.busy
    memory = subject.memory(len(table))
    for place, sums in enumerate(sums_of(subject, table)):
        answers = [
            pick(subject, table, sums, queries()[0], Random(place), memory) for _ in range(3)
        ]
        positions = {choice_of(answer).position for answer in answers}
        if len(positions) > 1:
            raise Broken(
                f"positions {sorted(positions)} from the same sums, memory and random stream",
                "the same choice: deciding twice is deciding once, and a simulation must repeat",
                "draw from the `random` given, and move cursors and counters in `chosen`",
            )


def _untouched(subject: Subject) -> None:
    table = subject.copy_of(subject.busy)
    day = Day(subject, table)
    query = queries()[0]
    for sums in sums_of(subject, table):
        raised_by(day.run, 2)  # "survives" tells of what it raises
        before = _marks(subject, table, sums, query, day.memory)
        pick(subject, table, sums, query, Random(1), day.memory)
        after = _marks(subject, table, sums, query, day.memory)
        changed = [name for name in before if before[name] != after[name]]
        if changed:
            raise Broken(
                f"pick changed {', '.join(changed)}",
                "deciding is pure: it is also done for `explain` and in the shadow of a policy",
                "leave what must be remembered in Choice.token and write it in `chosen`",
            )


def _marks(
    subject: Subject, table: Table, sums: Sums, query: Query, memory: Any
) -> dict[str, object]:
    return {
        "the table": fingerprint(table),
        "total_ms": sums.total_ms.tobytes(),
        "the query": mark_of(query),
        "its memory": mark_of(memory),
        "its own fields": mark_of(subject.plugin),
    }


PICKER_CHECKS = (
    Check("reads", "every column it uses is declared and provided", _reads, stops=True),
    Check("answers", "raises for no sums", _answers, stops=True),
    Check("eligible", "a position whose sum is finite", _eligible, stops=True),
    Check("argmin", "takes_argmin is kept to", _argmin),
    Check("deterministic", "the same sums and stream, the same pick", _deterministic, stops=True),
    Check("untouched", "pick writes nothing, least of all its memory", _untouched, stops=True),
)
