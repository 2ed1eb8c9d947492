"""Milliseconds as bars of a terminal: the parts of a sum beside one another, each in its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

COLOURS = {"network": "blue", "queue": "yellow", "service": "green", "gateway": "magenta"}
OTHERS = ("cyan", "red", "bright_black")
SIGNS = "█▓▒░"
"""Neighbours differ in shade too, for a terminal or an eye without colours."""
STEPS = "▁▂▃▄▅▆▇█"


def stacked(parts_ms: Mapping[str, float], width: int, whole_ms: float) -> Text:
    """``parts_ms`` [ms] of ``whole_ms`` in ``width`` cells; the ends stand where the sums fall.

    A part that rounds to no cell is not drawn; what exceeds ``whole_ms`` is cut.
    """
    bar = Text(no_wrap=True)
    sum_ms, drawn = 0.0, 0
    for place, (part, ms) in enumerate(parts_ms.items()):
        sum_ms += max(0.0, ms)
        end = min(width, round(width * sum_ms / whole_ms)) if whole_ms > 0.0 else 0
        bar.append(SIGNS[place % len(SIGNS)] * (end - drawn), style=colour(part, place))
        drawn = end
    return bar


def legend(words: Mapping[str, str]) -> Text:
    """Which sign and colour is which part: its words, by part, in the order of the bar."""
    told = Text(no_wrap=True)
    for place, (part, said) in enumerate(words.items()):
        told.append("  " if place else "")
        told.append(SIGNS[place % len(SIGNS)], style=colour(part, place))
        told.append(f" {said}")
    return told


def colour(part: str, place: int) -> str:
    """A part's colour; of one with no colour of its own, by its place."""
    return COLOURS.get(part, OTHERS[place % len(OTHERS)])


def sparkline(values: Sequence[float], top: float) -> str:
    """A cell a value, from 0 to ``top``; a blank where there is nothing."""
    last = len(STEPS) - 1
    return "".join(
        STEPS[min(last, int(last * value / top + 0.5))] if value > 0.0 else " " for value in values
    )
