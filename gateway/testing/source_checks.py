"""What is checked of sources: whole columns, in the order of the ids they were given.

A source reads from outside, so it is given a folder that has what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gateway.api import NearwayError
from gateway.testing.finding import Broken
from gateway.testing.subject import Check, Subject, mark_of, raised_by


def _read(subject: Subject, ids: tuple[str, ...]) -> Mapping[str, Any]:
    values: Mapping[str, Any] = subject.plugin.read(ids, subject.folder)
    return values


def _ids(subject: Subject) -> tuple[str, ...]:
    return tuple(center.id for center in subject.fresh.centers)


def _answers(subject: Subject) -> None:
    error = raised_by(_read, subject, _ids(subject))
    if error is not None:
        raise Broken(
            f"{type(error).__name__}: {error} (reading in {subject.folder})",
            "values for the shipped fleet, from an example of what it reads",
            "put an example beside policy.toml, or run the check in the folder that has one",
        ) from error


def _columns(subject: Subject) -> None:
    values = _read(subject, _ids(subject))
    declared = subject.own_columns
    if not isinstance(values, Mapping) or not set(values) <= set(declared):
        found = sorted(values) if isinstance(values, Mapping) else repr(values)[:60]
        raise Broken(
            f"read gave {found}",
            f"a mapping from its declared columns: {', '.join(sorted(declared))}",
            "declare every column in `columns`",
        )
    for name, column in values.items():
        array = np.asarray(column)
        wanted = np.dtype(declared[name].dtype)
        if array.shape != (len(subject.fresh),) or not np.can_cast(
            array.dtype, wanted, "same_kind"
        ):
            raise Broken(
                f"column {name!r}: {array.dtype}{list(array.shape)}",
                f"{wanted}[{len(subject.fresh)}]: one value a center",
                f"np.zeros(len(centers), dtype=np.{wanted}) and write the rows",
            )


def _numbers(subject: Subject) -> None:
    for name, column in _read(subject, _ids(subject)).items():
        if np.isnan(np.asarray(column)).any():
            raise Broken(
                f"NaN in column {name!r}",
                "numbers: a scorer that reads it would be skipped",
                "give a value to a center that the outside says nothing of",
            )


def _deterministic(subject: Subject) -> None:
    ids = _ids(subject)
    before = mark_of(subject.plugin)
    once, again = _read(subject, ids), subject.twin().read(ids, subject.folder)
    moved = [n for n in once if not np.array_equal(once[n], again[n], equal_nan=True)]
    if moved or mark_of(subject.plugin) != before:
        raise Broken(
            f"two readings of one outside differ in {', '.join(moved) or 'its own fields'}",
            "the same values from the same files",
            "no random numbers, and nothing kept between readings",
        )


def _rowwise(subject: Subject) -> None:
    ids = _ids(subject)
    order = np.random.default_rng(subject.seed).permutation(len(ids))
    here, there = _read(subject, ids), _read(subject, tuple(ids[row] for row in order))
    for name, column in here.items():
        if not np.array_equal(np.asarray(column)[order], there[name], equal_nan=True):
            raise Broken(
                f"column {name!r} does not follow the order of the ids",
                "values in the order of `centers`, whatever that is",
                "look every id up by name",
            )


def _missing(subject: Subject) -> None:
    """Without what it reads: fine, or an error that says so."""
    nowhere = subject.folder / "a-folder-that-is-not-there"
    error = raised_by(subject.plugin.read, _ids(subject), nowhere)
    if error is not None and not isinstance(error, NearwayError):
        raise Broken(
            f"{type(error).__name__}: {error}",
            "a ConfigError that names what is missing, and where",
            "catch OSError and ValueError and raise gateway.api.ConfigError(...) from None",
        ) from error


SOURCE_CHECKS = (
    Check("answers", "reads its example", _answers, stops=True),
    Check("columns", "gives its declared columns, one value a center", _columns, stops=True),
    Check("numbers", "no NaN", _numbers),
    Check("deterministic", "the same outside, the same values", _deterministic, stops=True),
    Check("rowwise", "values follow the order of the ids", _rowwise),
    Check("missing", "what is missing is named in a ConfigError", _missing),
)
