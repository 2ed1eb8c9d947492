"""What is checked of whoever observes: it survives everything an attempt can end in."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.api import Array, Table
from gateway.routing.watching import observes
from gateway.testing.day import Day
from gateway.testing.finding import Broken
from gateway.testing.fleets import fingerprint
from gateway.testing.subject import Check, Subject, raised_by


def _survives(subject: Subject) -> None:
    for table in (subject.fresh, subject.busy, subject.one):
        error = raised_by(_play, subject, table)
        if isinstance(error, Broken):
            raise error
        if error is not None:
            raise Broken(
                f"{type(error).__name__}: {error} (at {len(table)} centers)",
                "no exception from any ending, with a report or without: an observer that raises "
                "is put out until the policy is loaded again",
                "handle answer, error and cancelled, report None, durations of 0 and a fleet of "
                "one center",
            ) from error


def _play(subject: Subject, table: Table) -> Day:
    day = Day(subject, subject.copy_of(table))
    day.run()
    return day


def _own_columns(subject: Subject) -> None:
    table = subject.copy_of(subject.busy)
    day = Day(subject, table)
    before, given = fingerprint(table), dict(day.mine)
    day.run()
    own = {f"{subject.own_name}.{short}" for short in subject.own_columns}
    after = fingerprint(table)
    moved = sorted(name for name in after if before.get(name) != after[name] and name not in own)
    if moved:
        raise Broken(
            f"it wrote to {', '.join(moved)}",
            f"only its own columns written: {', '.join(sorted(own)) or 'it has none'}",
            "declare a column of your own in `columns` and write to mine[NAME]",
        )
    for short, column in given.items():
        if day.mine.get(short) is not column or len(day.mine) != len(given):
            raise Broken(
                f"mine[{short!r}] was replaced by another array, or mine by more columns",
                "the values written in place: mine[NAME][center] = value",
                f"write mine[{short!r}][:] = ..., and declare every column in `columns`",
            )


def _learns_numbers(subject: Subject) -> None:
    day = _play(subject, subject.fresh)
    for short, column in day.mine.items():
        if np.isnan(column).any():
            raise Broken(
                f"NaN in column {short!r}",
                "numbers: a scorer that reads it would be skipped",
                "look for 0/0 and inf - inf, most of all at a center's first outcome",
            )


def _learns_alike(subject: Subject) -> None:
    def learned() -> tuple[dict[str, Array], list[Any]]:
        day = _play(subject, subject.busy)
        return day.mine, day.probed

    (once, probed), (again, probed_again) = learned(), learned()
    moved = [name for name in once if not np.array_equal(once[name], again[name], equal_nan=True)]
    if moved or probed != probed_again:
        raise Broken(
            f"the same day twice left other values in {', '.join(moved) or 'its probes'}",
            "the same columns from the same outcomes: a simulation must repeat",
            "no clock (use outcome.now), no random numbers but those of the `random` given to "
            "`memory` and `probes`, and no state outside columns and memory",
        )


def _probes(subject: Subject) -> None:
    for table in (subject.busy, subject.one):
        day = _play(subject, table)
        rows = range(len(table))
        wrong = [c for c in day.probed if not isinstance(c, int | np.integer) or c not in rows]
        if wrong:
            raise Broken(
                f"`probes` gave {wrong[0]!r} at {len(table)} centers",
                f"rows of the table, 0 to {len(table) - 1}",
                "draw rows below the `centers` that `memory` was given",
            )


WATCHING_CHECKS = (
    Check("survives", "no ending of an attempt makes it raise", _survives, stops=True),
    Check("own_columns", "it writes to its own columns only, in place", _own_columns, stops=True),
    Check("learns_numbers", "no NaN in its columns", _learns_numbers),
    Check("learns_alike", "the same outcomes, the same columns", _learns_alike),
    Check("probes", "it asks reports of rows there are", _probes),
)


def watching_checks(subject: Subject) -> tuple[Check, ...]:
    """The checks above when the plugin observes, none otherwise."""
    return WATCHING_CHECKS if observes(subject.plugin) else ()
