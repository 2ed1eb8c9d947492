"""What is checked of filters and scorers: one answer a center, from what is declared alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.api import Array, Centers, PluginError
from gateway.testing.finding import Broken
from gateway.testing.fleets import NOW_S, fingerprint, queries, stirred, table_of_rows
from gateway.testing.subject import (
    Check,
    Subject,
    check_kept_to_reads,
    check_reads,
    mark_of,
    narrowed,
    raised_by,
)

MOVE_WITH_EVERY_REQUEST = ("queue_ms", "work_ms", "in_flight")
RELATIVE_TOLERANCE = 1e-4
"""A sum over centers in another order differs in its last bits of float32."""


def _reads(subject: Subject) -> None:
    check_reads(subject)
    for query in queries():
        check_kept_to_reads(subject, raised_by(subject.ask, subject.busy, query))


def _varies_by(subject: Subject) -> None:
    varies_by = subject.plugin.varies_by
    if varies_by is None:
        return
    for name in subject.reads:
        rows = subject.fresh.row_tables.get(name)
        if rows is not None and rows.keyed_by not in varies_by:
            raise Broken(
                f"reads {name!r}, a row a {rows.keyed_by}, and varies_by = {varies_by}",
                f"{rows.keyed_by!r} in varies_by: one cached answer serves all queries alike in it",
                f"add {rows.keyed_by!r} to `varies_by`",
            )
    for query in queries():
        centers = Centers(subject.busy, subject.reads).bind(query)
        method = subject.plugin.keep if subject.kind == "filters" else subject.plugin.ms
        error = raised_by(method, narrowed(query, varies_by), centers, NOW_S)
        if isinstance(error, PluginError) and "varies_by" in str(error):
            raise Broken(
                f"{str(error).partition(',')[0]}; varies_by = {varies_by}",
                "only the declared fields used: the answer is cached by them",
                "add the field to `varies_by`; for deadline_ms, body_bytes or session set "
                "varies_by = PER_REQUEST",
            ) from error


def _fresh(subject: Subject) -> None:
    plugin = subject.plugin
    if plugin.varies_by is None or getattr(plugin, "live", False):
        return
    moving = [name for name in subject.reads if name in MOVE_WITH_EVERY_REQUEST]
    if moving:
        raise Broken(
            f"reads {', '.join(moving)} and varies_by = {plugin.varies_by}",
            "a column that moves with every request read at every request: it dates no cached "
            "answer, which would be stale at once",
            "varies_by = PER_REQUEST; a scorer that returns the column as it is may be live",
        )


def _answers(subject: Subject) -> None:
    for table in subject.tables():
        for query in queries():
            error = raised_by(subject.ask, table, query)
            if error is not None:
                raise Broken(
                    f"{type(error).__name__}: {error} (at {len(table)} centers, {query})",
                    "an answer for every query and every state of the table",
                    "handle the case; values may be 0, infinite where nothing is known, and "
                    "there may be one center only",
                ) from error


def _shape(subject: Subject) -> None:
    wanted = "bool" if subject.kind == "filters" else "float32"
    for table, _, answer in subject.asked():
        if not isinstance(answer, np.ndarray) or answer.shape != (len(table),):
            found = f"shape {answer.shape}" if isinstance(answer, np.ndarray) else repr(answer)
            raise Broken(
                f"{found[:80]} at {len(table)} centers",
                f"a numpy array of shape ({len(table)},): one {wanted} a center",
                "return one value a center, in the order of the rows; np.full(len(centers), x, "
                f"np.{wanted}) when they are all alike".replace("np.bool,", "np.bool_,"),
            )


def _dtype(subject: Subject) -> None:
    wanted = np.dtype(np.bool_ if subject.kind == "filters" else np.float32)
    for _, _, answer in subject.asked():
        if answer.dtype != wanted:
            mend = (
                "compare, e.g. values != 0" if wanted.kind == "b" else "end in .astype(np.float32)"
            )
            raise Broken(f"dtype {answer.dtype}", f"dtype {wanted}", mend)


def _numbers(subject: Subject) -> None:
    for table, query, answer in subject.asked():
        if np.isnan(answer).any():
            row = int(np.isnan(answer).argmax())
            raise Broken(
                f"NaN for center {table.centers[row].id} ({query})",
                "a number for every center; +inf forbids one",
                "look for 0/0 and inf - inf: what is not known yet may be 0 or infinite",
            )


def _non_negative(subject: Subject) -> None:
    for table, _, answer in subject.asked():
        if (answer < 0).any():
            row = int((answer < 0).argmax())
            raise Broken(
                f"{answer[row]:g} ms for center {table.centers[row].id}",
                "milliseconds >= 0: a sum may only grow as scorers are added",
                "write a discount for some centers as a surcharge on the others; np.maximum(0, ms)",
            )


def _live(subject: Subject) -> None:
    if not getattr(subject.plugin, "live", False):
        return
    query, busy = queries()[0], subject.busy
    found = subject.ask(busy, query)
    for name in subject.reads:
        column = busy.columns.get(name)
        if column is None:
            rows = busy.row_tables[name]
            column = rows.row(getattr(query, rows.keyed_by))
        if column.dtype == np.float32 and np.shares_memory(found, column):
            return
    raise Broken(
        "live = True, and the answer is a copy",
        "the float32 column or row itself: it is asked for once, then read where it stands",
        "return centers[NAME] as it is, or set live = False",
    )


def _deterministic(subject: Subject) -> None:
    for table in (subject.fresh, subject.busy):
        for query in queries():
            subject.ask(table, query)  # what only the query before could tell is "independent"
            once = np.array(subject.ask(table, query))
            for plugin in (subject.plugin, subject.twin()):
                if not _alike(once, subject.ask(subject.copy_of(table), query, plugin)):
                    raise Broken(
                        "two answers to one query on equal tables",
                        "the same answer, bit for bit: a simulation must repeat",
                        "no clock and no random numbers of its own: use `now`; what must vary by "
                        "chance belongs in a picker, which is given `random`",
                    )


def _untouched(subject: Subject) -> None:
    table = subject.copy_of(subject.busy)
    for query in queries():
        subject.ask(table, query)  # makes the rows of its keys
        before = fingerprint(table), mark_of(query), mark_of(subject.plugin)
        subject.ask(table, query)
        after = fingerprint(table), mark_of(query), mark_of(subject.plugin)
        if before[0] != after[0]:
            moved = sorted(name for name in after[0] if before[0].get(name) != after[0][name])
            raise Broken(
                f"it wrote to {', '.join(moved)}",
                "deciding is pure: keep, ms and pick write nothing",
                "work on a copy (column.copy()); what is learned is written in `ended`",
            )
        if before != after:
            raise Broken(
                "it changed the query or its own fields",
                "deciding is pure: asking twice is asking once",
                "keep state in columns or the memory of an observer, written in `chosen`, `ended`",
            )


def _independent(subject: Subject) -> None:
    asked = queries()
    table = subject.busy
    alone = [np.array(subject.ask(table, query, subject.twin())) for query in asked]
    for order in (range(len(asked)), reversed(range(len(asked)))):
        for place in order:
            subject.ask(subject.fresh, asked[0])
            if not _alike(alone[place], subject.ask(table, asked[place])):
                raise Broken(
                    f"another answer to {asked[place]} after other queries were asked",
                    "an answer that depends on the query and the table, not on what was asked "
                    "before or by whom",
                    "keep nothing between calls, neither in the module nor in a cache; routing "
                    "caches by `varies_by`",
                )


def _declared_only(subject: Subject) -> None:
    """Change all that is not in ``reads``: the answer must stay."""
    other = stirred(subject.copy_of(subject.busy), subject.seed + 1)
    for name in subject.reads:
        if name in other.columns:
            other.columns[name][:] = subject.busy.columns[name]
    for query in queries():
        for name in subject.reads:
            if name in other.row_tables:
                key = getattr(query, other.row_tables[name].keyed_by)
                other.row_tables[name].row(key)[:] = subject.busy.row_tables[name].row(key)
        if not _alike(subject.ask(subject.busy, query), subject.ask(other, query)):
            raise Broken(
                "the answer moved although nothing in `reads` did",
                "an answer made of the declared columns alone: it is cached until one moves",
                "add the column to `reads` and take it from centers[NAME]",
            )


def _rowwise(subject: Subject) -> None:
    if not getattr(subject.plugin, "rowwise", True):
        return
    order = np.random.default_rng(subject.seed).permutation(len(subject.busy))
    other = table_of_rows(subject.busy, order)
    for query in queries():
        here, there = subject.ask(subject.busy, query), subject.ask(other, query)
        if not _nearly(here[order], there):
            row = int((~np.isclose(here[order], there, rtol=RELATIVE_TOLERANCE)).argmax())
            raise Broken(
                f"{other.centers[row].id} gets {here[order][row]} in one order of the rows and "
                f"{there[row]} in another",
                "permuting the rows permutes the answer",
                "use the center's own values, not its position; a plugin that must see all rows "
                "in their order says `rowwise: ClassVar[bool] = False`",
            )


def _alike(one: Array, other: Any) -> bool:
    return np.array_equal(one, np.asarray(other), equal_nan=one.dtype.kind == "f")


def _nearly(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return bool(np.allclose(one, other, rtol=RELATIVE_TOLERANCE, atol=1e-6, equal_nan=True))


READS = Check("reads", "every column it uses is declared and provided", _reads, stops=True)
VARIES_BY = Check("varies_by", "every query field it uses is declared", _varies_by, stops=True)
FRESH = Check("fresh", "what moves with every request is read at every request", _fresh)
ANSWERS = Check("answers", "raises for no query and no state of the table", _answers, stops=True)
SHAPE = Check("shape", "one value a center", _shape, stops=True)
DTYPE = Check("dtype", "bool from a filter, float32 from a scorer", _dtype, stops=True)
SCORES = (
    Check("numbers", "no NaN; +inf forbids a center", _numbers),
    Check("non_negative", "milliseconds >= 0", _non_negative),
    Check("live", "a live scorer returns a column or row itself", _live),
)
STEADY = (
    Check("deterministic", "the same question, the same answer", _deterministic, stops=True),
    Check("untouched", "table, query and its own fields stay as they are", _untouched, stops=True),
    Check(
        "independent",
        "what was asked before, and by whom, changes nothing",
        _independent,
        stops=True,
    ),
    Check("declared_only", "what is not in `reads` changes nothing", _declared_only),
    Check("rowwise", "permuting the rows permutes the answer", _rowwise),
)
FILTER_CHECKS = (READS, VARIES_BY, FRESH, ANSWERS, SHAPE, DTYPE, *STEADY)
SCORER_CHECKS = (READS, VARIES_BY, FRESH, ANSWERS, SHAPE, DTYPE, *SCORES, *STEADY)
