"""Programs in Sluice for `code-assist`, drawn at random and valid by construction.

A program declares sensors, limits and outputs; then comes one rule for each output, in their order,
so that it is clear from the text when a program is complete. Blocks hold one to three statements
and nest at most three deep. A program's key is its plant with its first sensor and first output.
Of the keys' checksums modulo `PARTS` one remainder is for the card and one for checks; training
never sees those combinations.
"""

from __future__ import annotations

import zlib
from random import Random
from typing import NamedTuple

import numpy as np
from code_assist_language import RELATIONS
from splits import Splits

SPLITS = Splits(train=range(61_000, 61_064), stop=(), card=90_011, check=70_011)
PARTS = 12
CARD, CHECK, LEARNT = 0, 1, 2
SENSORS = (
    ("temperature", "degc"), ("pressure", "kpa"), ("level", "pct"), ("flow", "m3h"),
    ("load", "mw"), ("voltage", "kv"), ("speed", "rpm"), ("dust", "ppm"), ("depth", "mm"),
    ("head", "bar"), ("top_gas", "degc"), ("oil_level", "pct"), ("wind", "rpm"),
    ("humidity", "pct"),
)  # fmt: skip
OUTPUTS = (
    ("valve", "pct"), ("pump", "rpm"), ("fan", "rpm"), ("heater", "degc"), ("gate", "pct"),
    ("alarm", "pct"), ("burner", "degc"), ("cooler", "degc"), ("brake", "bar"), ("damper", "mm"),
    ("feeder", "m3h"), ("relay", "kv"), ("lamp", "pct"), ("vent", "mm"),
)  # fmt: skip
PLANTS = (
    "furnace",
    "well",
    "substation",
    "depot",
    "mill",
    "boiler",
    "yard",
    "tower",
    "kiln",
    "dam",
)
SIDES = ("north", "south", "east", "west", "upper", "lower", "old", "new")
LIMITS = ("low", "high", "target", "least", "most", "margin")
REPORTS = (
    "check it", "too hot", "too low", "back to normal", "call the crew", "limit passed",
    "stopped", "started", "look at the gauge", "sensor seems stuck",
)  # fmt: skip
NESTED_MAX = 3


class Program(NamedTuple):
    """Its text and the key by which it is held apart."""

    key: str
    text: str


class _Names(NamedTuple):
    sensors: list[str]
    limits: list[str]
    outputs: list[str]


class Samples(NamedTuple):
    """Whole programs, `<U` [count]."""

    program: np.ndarray


def split_of(key: str) -> int:
    """`CARD`, `CHECK` or `LEARNT`."""
    return min(zlib.crc32(key.encode()) % PARTS, LEARNT)


def _factor(draw: Random, names: _Names, depth: int) -> str:
    chance = draw.random()
    if chance < 0.35:
        return draw.choice(names.sensors)
    if chance < 0.53 and names.limits:
        return draw.choice(names.limits)
    if 0.53 <= chance < 0.63 and names.outputs:
        return draw.choice(names.outputs)
    if chance < 0.88 or depth > 1:
        return str(draw.choice((draw.randint(1, 9), 10 * draw.randint(1, 9), draw.randint(1, 400))))
    inner = _sum(draw, names, depth + 1)
    if chance < 0.94:
        return f"{draw.choice(('min', 'max'))}({inner}, {_sum(draw, names, depth + 1)})"
    return f"({inner} {draw.choice('+-')} {_factor(draw, names, depth + 1)})"


def _sum(draw: Random, names: _Names, depth: int = 0) -> str:
    text = _factor(draw, names, depth)
    if draw.random() < 0.3:
        text += f" {draw.choice('+-*/')} {_factor(draw, names, depth)}"
    return text


def _compared(draw: Random, names: _Names) -> str:
    bound = draw.choice(names.limits) if names.limits and draw.random() < 0.6 else _sum(draw, names)
    return f"{draw.choice(names.sensors)} {draw.choice(RELATIONS)} {bound}"


def _condition(draw: Random, names: _Names) -> str:
    text = _compared(draw, names)
    chance = draw.random()
    if chance < 0.2:
        text += f" {draw.choice(('and', 'or'))} {_compared(draw, names)}"
    elif chance < 0.27:
        text = f"not ({text})"
    elif chance < 0.33:
        text = f"({text} or {_compared(draw, names)}) and {_compared(draw, names)}"
    return text


def _span(draw: Random) -> str:
    return f"{draw.choice((1, 2, 5, 10, 15, 20, 30, 45))} {draw.choice(('s', 'min', 'h'))}"


def _statement(draw: Random, names: _Names, output: str, depth: int) -> list[str]:
    inset = "  " * depth
    chance = draw.random()
    if chance < 0.45 or (depth >= NESTED_MAX and chance > 0.75):
        return [f"{inset}set {output} = {_sum(draw, names)};"]
    if chance < 0.6:
        return [f"{inset}wait {_span(draw)};"]
    if chance < 0.75:
        return [f'{inset}report "{draw.choice(REPORTS)}";']
    inner = _block(draw, names, output, depth + 1)
    if chance < 0.83:
        return [f"{inset}repeat {draw.randint(2, 9)} {{", *inner, f"{inset}}}"]
    lines = [f"{inset}if {_condition(draw, names)} {{", *inner, f"{inset}}}"]
    if draw.random() < 0.4:
        lines[-1] += " else {"
        lines += [*_block(draw, names, output, depth + 1), f"{inset}}}"]
    return lines


def _block(draw: Random, names: _Names, output: str, depth: int) -> list[str]:
    count = draw.choices((1, 2, 3), (0.5, 0.35, 0.15))[0]
    return [line for _ in range(count) for line in _statement(draw, names, output, depth)]


def _rule(draw: Random, names: _Names, output: str) -> list[str]:
    when = f"on {_condition(draw, names)}" if draw.random() < 0.8 else f"every {_span(draw)}"
    return [f"rule {output}_rule {when} {{", *_block(draw, names, output, 1), "}"]


def program(draw: Random) -> Program:
    """One program of either split."""
    sensors = draw.sample(SENSORS, draw.randint(1, 3))
    outputs = draw.sample(OUTPUTS, draw.randint(1, 3))
    names = _Names([name for name, _ in sensors], [], [])
    plant = f"{draw.choice(SIDES)}_{draw.choice(PLANTS)}"
    lines = [f"plant {plant};", *(f"sensor {name}: {unit};" for name, unit in sensors)]
    for limit in draw.sample(LIMITS, draw.randint(0, 2)):
        value = _sum(draw, names) if draw.random() < 0.3 else str(draw.randint(1, 400))
        lines.append(f"let {limit} = {value};")
        names.limits.append(limit)
    lines += [f"output {name}: {unit};" for name, unit in outputs]
    names.outputs.extend(name for name, _ in outputs)
    for output in names.outputs:
        lines += _rule(draw, names, output)
    return Program(f"{plant}|{sensors[0][0]}|{outputs[0][0]}", "\n".join(lines) + "\n")


def programs(count: int, seed: int) -> list[Program]:
    """Programs of the split that `seed` belongs to; a seed of no split counts as a check."""
    draw = Random(seed)
    held_out = CARD if seed == SPLITS.card else CHECK
    split = LEARNT if SPLITS.learnt_from(seed) else held_out
    made: list[Program] = []
    while len(made) < count:
        one = program(draw)
        if split_of(one.key) == split:
            made.append(one)
    return made


def generate(count: int, seed: int) -> Samples:
    """`count` programs of one split; the same seed gives the same programs."""
    return Samples(np.array([one.text for one in programs(count, seed)]))
