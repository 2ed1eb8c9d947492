"""A few lines' worth of world, for a plugin's own tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from gateway.api import Array, Center, Centers, Choice, Location, Outcome, Query, Report, Table
from gateway.api.outcome import Ending

KEYED_BY = {"rtt_ms": "vantage", "service_ms": "model", "resident": "model"}


def table_of(columns: Mapping[str, Sequence[float]]) -> Table:
    """A table with these columns, one center a value: int32 where all are whole numbers, else
    float32. ``rtt_ms``, ``service_ms`` and ``resident`` are the same for every key.
    """
    sizes = {len(values) for values in columns.values()}
    if len(sizes) != 1:
        raise ValueError(f"columns of {sorted(sizes)} values; expected all of one length")
    here = Location(0.0, 0.0)
    table = Table([Center(f"c{n}", f"r{n}", f"z{n}", "", "", here) for n in range(sizes.pop())])
    for name, values in columns.items():
        whole = all(isinstance(value, int) for value in values)
        array = np.array(values, dtype=np.int32 if whole else np.float32)
        if name in KEYED_BY:
            table.add_row_table(name, KEYED_BY[name], lambda _, array=array: array)  # type: ignore[arg-type,misc]  # one of the three words above; a default binds early
        else:
            table.add_column(name, array.dtype.str)[:] = array
    return table


def ask(plugin: Any, table: Table, query: Query | None = None, now: float = 0.0) -> Array:
    """What a filter keeps or a scorer charges: bool[N] or float32[N]."""
    asked = query or Query(0, "model")
    method = plugin.keep if hasattr(plugin, "keep") else plugin.ms
    answer: Array = method(asked, Centers(table, plugin.reads).bind(asked), now)
    return answer


def pick_from(picker: Any, total_ms: Sequence[float], *, seed: int = 1, memory: Any = None) -> int:
    """The position a picker takes of these sums (it reads no column)."""
    sums = np.array(total_ms, dtype=np.float32)
    sums.flags.writeable = False
    table = table_of({"queue_ms": total_ms})
    query = Query(0, "model")
    answer = picker.pick(sums, None, Centers(table, ()), query, 0.0, Random(seed), memory)
    return int(answer.position if isinstance(answer, Choice) else answer)


def an_outcome(
    *,
    center: int = 0,
    ending: Ending = "answer",
    attempt_ms: float = 10.0,
    predicted_ms: float = 10.0,
    report: Report | None = None,
    now: float = 1.0,
    token: object = None,
) -> Outcome:
    """How an attempt ended, with the rest filled in."""
    return Outcome(
        center=center,
        vantage=0,
        model="model",
        ending=ending,
        attempt_ms=attempt_ms,
        report=report,
        predicted_ms=predicted_ms,
        charged_ms=1.0,
        now=now,
        token=token,
    )
