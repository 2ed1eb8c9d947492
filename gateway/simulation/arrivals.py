"""Arrival instants: a renewal process of mean 1, bent to the rate of the moment.

Gaps are drawn with mean 1 (exponential, gamma or Weibull with the asked coefficient of
variation) and summed to an operational time; the instant of a request is where the integral
of the rate reaches it. For a constant rate that is a division, for Poisson gaps it is the
inhomogeneous Poisson process exactly (Cinlar 1975).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import gamma as gamma_function
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.api import ConfigError
from gateway.simulation.scenario import Arrivals, Crowd, Diurnal

F64 = NDArray[np.float64]
STEP_S = 0.02


@dataclass(frozen=True, slots=True)
class TraceRows:
    """What a trace says of each request; an empty tuple where it has no such column."""

    at_s: F64
    origins: tuple[str, ...]
    models: tuple[str, ...]
    tokens: F64


def gaps(plan: Arrivals, count: int, random: np.random.Generator) -> F64:
    """float64[count], mean 1: the gaps between requests in operational time."""
    if plan.process == "poisson":
        return random.standard_exponential(count)
    if plan.process == "gamma":
        shape = 1.0 / plan.cv**2
        drawn: F64 = random.standard_gamma(shape, count) / shape
        return drawn
    shape = weibull_shape(plan.cv)
    stretched: F64 = random.weibull(shape, count) / gamma_function(1.0 + 1.0 / shape)
    return stretched


def weibull_shape(cv: float) -> float:
    """The shape k whose Weibull has this coefficient of variation, by bisection."""
    low, high = 0.1, 50.0
    for _ in range(80):
        middle = (low * high) ** 0.5
        first = gamma_function(1.0 + 1.0 / middle)
        spread = (gamma_function(1.0 + 2.0 / middle) / first**2 - 1.0) ** 0.5
        low, high = (middle, high) if spread > cv else (low, middle)
    return float((low * high) ** 0.5)


def instants(operational: F64, rate_per_s: float, shape: F64 | None) -> F64:
    """float64[T] seconds. ``shape``: float64[steps], the rate over ``rate_per_s`` in steps of
    20 ms; past its end the last holds. None: constant.
    """
    if shape is None:
        evenly: F64 = operational / rate_per_s
        return evenly
    integral = np.concatenate(([0.0], np.cumsum(shape * rate_per_s * STEP_S)))
    edges = np.arange(len(integral)) * STEP_S
    beyond = operational - integral[-1]
    bent: F64 = np.where(
        beyond <= 0.0,
        np.interp(operational, integral, edges),
        edges[-1] + beyond / max(1e-9, shape[-1] * rate_per_s),
    )
    return bent


def diurnal_factors(plan: Diurnal, longitudes: F64, at_s: F64) -> F64:
    """float64[steps, V]: how much each place sends at each instant; 1 on average.

    The day begins at midnight UTC; local solar time is 1/360 of a day later a degree east.
    """
    hourly = np.asarray(plan.hourly, dtype=float)
    hourly = hourly / hourly.mean()
    day = at_s[:, None] / plan.day_s + longitudes[None, :] / 360.0
    hour = (day % 1.0) * len(hourly)
    closed = np.append(hourly, hourly[0])
    factors: F64 = np.interp(hour, np.arange(len(closed)), closed)
    return factors


def crowd_factors(plan: Crowd, rows: Sequence[int], places: int, at_s: F64) -> F64:
    """float64[steps, V]: 1, and for ``rows`` up to the crowd's factor while it lasts."""
    factors = np.ones((len(at_s), places))
    grown = np.clip((at_s - plan.at_s) / max(plan.ramp_s, 1e-9), 0.0, 1.0)
    shrunk = np.clip((at_s - plan.until_s) / max(plan.ramp_s, 1e-9), 0.0, 1.0)
    factors[:, list(rows)] += ((plan.factor - 1.0) * (grown - shrunk))[:, None]
    return factors


def read_trace(path: Path, column: str, equals: str, count: int) -> TraceRows:
    """The first ``count`` rows of a trace (again from its start where it is shorter).

    ``tokens`` is that column, or the sum of those ending in ``_tokens``. Raises ConfigError.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            table = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    rows = [row for row in table if not column or row.get(column) == equals]
    if len(rows) < 2 or "t_ms" not in rows[0]:
        columns = ", ".join(table[0]) if table else "none"
        raise ConfigError(
            f"{path}: found {len(rows)} rows of columns {columns}; "
            "expected at least two, with a column t_ms"
        )
    try:
        at_s = np.array([float(row["t_ms"]) for row in rows]) / 1e3
        tokens = np.array([_tokens(row) for row in rows])
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}; expected numbers in t_ms and the tokens") from None
    order = np.argsort(at_s, kind="stable")
    at_s = at_s[order] - at_s.min()
    length_s = float(at_s[-1]) * (1.0 + 1.0 / (len(at_s) - 1))
    if length_s <= 0.0:
        raise ConfigError(f"{path}: all rows have one t_ms; a trace needs some length")
    turns = -(-count // len(at_s))
    taken = np.tile(order, turns)[:count]
    offsets = np.repeat(np.arange(turns) * length_s, len(at_s))[:count]
    return TraceRows(
        at_s=np.tile(at_s, turns)[:count] + offsets,
        origins=tuple(rows[i]["origin"] for i in taken) if "origin" in rows[0] else (),
        models=tuple(rows[i]["model"] for i in taken) if "model" in rows[0] else (),
        tokens=tokens[taken],
    )


def _tokens(row: dict[str, str]) -> float:
    if "tokens" in row:
        return float(row["tokens"])
    return float(sum(float(value) for key, value in row.items() if key.endswith("_tokens")))
